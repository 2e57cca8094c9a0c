variable "name" {
  description = "Name of the environment. Every resource name starts with it."
  type        = string
  default     = "tweets-try"
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"
}

variable "admins" {
  description = "ARNs of the IAM roles or users that administer the cluster. Include your own."
  type        = set(string)
}

variable "public_access_cidrs" {
  description = "CIDR ranges that may reach the Kubernetes API: your own address, such as 203.0.113.7/32."
  type        = list(string)

  validation {
    condition     = length(var.public_access_cidrs) > 0
    error_message = "public_access_cidrs is empty: this example has no other access to the VPC, so add your own public address, such as 203.0.113.7/32."
  }
}

variable "method" {
  description = "How pods get their IAM roles: pod_identity or irsa."
  type        = string
  default     = "pod_identity"
}

variable "monthly_budget_usd" {
  description = "Monthly budget in US dollars. Notifications are sent when the forecast exceeds 80 % or the actual cost exceeds 100 %."
  type        = number
  default     = 350
}

variable "emails" {
  description = "Email addresses that receive alarms."
  type        = set(string)
  default     = []
}
