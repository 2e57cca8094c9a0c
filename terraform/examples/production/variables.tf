variable "name" {
  description = "Name of the environment. Every resource name starts with it, so it must be unique within the account."
  type        = string
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"
}

variable "cidr" {
  description = "CIDR range of the VPC."
  type        = string
  default     = "10.20.0.0/16"
}

variable "admins" {
  description = "ARNs of the IAM roles or users that administer the cluster."
  type        = set(string)
}

variable "viewers" {
  description = "ARNs of the IAM roles or users with read access to everything except Secrets."
  type        = set(string)
  default     = []
}

variable "public_access_cidrs" {
  description = "CIDR ranges that may reach the Kubernetes API over the internet. Empty makes the API private to the VPC (VPN, bastion)."
  type        = list(string)
  default     = []
}

variable "kubernetes_version" {
  description = "Kubernetes minor version."
  type        = string
  default     = "1.35"
}

variable "method" {
  description = "How pods get their IAM roles: pod_identity or irsa."
  type        = string
  default     = "pod_identity"
}

variable "nat" {
  description = "NAT gateways: one for all zones, or per_zone."
  type        = string
  default     = "per_zone"
}

variable "interface_endpoints" {
  description = "AWS services that nodes reach through interface endpoints instead of NAT."
  type        = set(string)
  default     = ["ecr.api", "ecr.dkr", "eks-auth", "logs", "sts"]
}

variable "node_groups" {
  description = "Node groups by purpose: see modules/cluster."
  type = map(object({
    instance_types = list(string)
    capacity       = optional(string, "ON_DEMAND")
    min            = optional(number, 0)
    max            = number
    disk_gib       = optional(number, 50)
  }))
}

variable "database" {
  description = "The database: see modules/database."
  type = object({
    instance_class      = string
    multi_zone          = bool
    backup_days         = number
    deletion_protection = bool
  })
}

variable "landing_days" {
  description = "Days until a landed file expires. Null keeps files forever."
  type        = number
  default     = 365
}

variable "landing_queue" {
  description = "Whether S3 sends a message to an SQS queue for each landed file, and Bronze reads the queue instead of listing the bucket. Alarms monitor the age of the oldest message and the dead-letter queue."
  type        = bool
  default     = false
}

variable "dashboard_typing" {
  description = "Whether the dashboard may land tweets that users type."
  type        = bool
  default     = false
}

variable "dashboard_labelling" {
  description = "Whether the dashboard may write the labels of people."
  type        = bool
  default     = false
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes buckets and repositories with their contents, and the database without a final snapshot."
  type        = bool
  default     = false
}

variable "monthly_budget_usd" {
  description = "Monthly budget in US dollars. Notifications are sent when the forecast exceeds 80 % or the actual cost exceeds 100 %."
  type        = number
}

variable "emails" {
  description = "Email addresses that receive alarms."
  type        = set(string)
}
