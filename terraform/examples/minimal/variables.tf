variable "name" {
  description = "Name of the environment; prefix of everything in it."
  type        = string
  default     = "tweets-try"
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"
}

variable "admins" {
  description = "ARNs of the IAM roles or users that administer the cluster: yours must be among them."
  type        = set(string)
}

variable "public_access_cidrs" {
  description = "Addresses from which the Kubernetes API can be reached: your own, such as 203.0.113.7/32."
  type        = list(string)

  validation {
    condition     = length(var.public_access_cidrs) > 0
    error_message = "public_access_cidrs is empty: this example has no other way into the VPC, so name the address that you come from."
  }
}

variable "method" {
  description = "How pods get their roles: pod_identity or irsa."
  type        = string
  default     = "pod_identity"
}

variable "monthly_budget_usd" {
  description = "US dollars a month above which an alarm is raised."
  type        = number
  default     = 350
}

variable "emails" {
  description = "Addresses that hear of alarms."
  type        = set(string)
  default     = []
}
