variable "name" {
  description = "Name of the environment; prefix of everything in it. Two environments of one account differ in it."
  type        = string
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"
}

variable "cidr" {
  description = "Addresses of the VPC."
  type        = string
  default     = "10.20.0.0/16"
}

variable "admins" {
  description = "ARNs of the IAM roles or users that administer the cluster."
  type        = set(string)
}

variable "viewers" {
  description = "ARNs of the IAM roles or users that may look at everything but Secrets."
  type        = set(string)
  default     = []
}

variable "public_access_cidrs" {
  description = "Addresses from which the Kubernetes API can be reached over the internet; empty: through the VPC only (VPN, bastion)."
  type        = list(string)
  default     = []
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes."
  type        = string
  default     = "1.35"
}

variable "method" {
  description = "How pods get their roles: pod_identity or irsa."
  type        = string
  default     = "pod_identity"
}

variable "nat" {
  description = "NAT gateways: one, or per_zone."
  type        = string
  default     = "per_zone"
}

variable "interface_endpoints" {
  description = "AWS services that nodes reach without NAT."
  type        = set(string)
  default     = ["ecr.api", "ecr.dkr", "eks-auth", "logs", "sts"]
}

variable "node_groups" {
  description = "Groups of nodes: see modules/cluster."
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
  description = "Days that a landed file is kept; null: for ever."
  type        = number
  default     = 365
}

variable "landing_queue" {
  description = "Whether a queue hears of each landed file, with an alarm on the age of its oldest message: for a consumer of yours."
  type        = bool
  default     = false
}

variable "dashboard_typing" {
  description = "Whether the dashboard may land the tweets that are typed into it."
  type        = bool
  default     = false
}

variable "force_destroy" {
  description = "Whether a destroy removes buckets and repositories that are not empty, and leaves no snapshot."
  type        = bool
  default     = false
}

variable "monthly_budget_usd" {
  description = "US dollars a month above which an alarm is raised."
  type        = number
}

variable "emails" {
  description = "Addresses that hear of alarms."
  type        = set(string)
}
