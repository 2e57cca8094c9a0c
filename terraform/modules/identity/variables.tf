variable "name" {
  description = "Name of the environment. Every resource name starts with it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 lowercase letters, digits or hyphens, start with a letter and end with a letter or digit: it becomes part of bucket names."
  }
}

variable "cluster_name" {
  description = "Name of the EKS cluster that runs the service accounts."
  type        = string
}

variable "cluster_arn" {
  description = "ARN of the EKS cluster."
  type        = string
}

variable "method" {
  description = "How pods get their role: `pod_identity` (an association in EKS) or `irsa` (an annotation on the service account). With `irsa`, S3A must read web identity tokens: set storage.s3.webIdentity in the chart."
  type        = string
  default     = "pod_identity"

  validation {
    condition     = contains(["pod_identity", "irsa"], var.method)
    error_message = "method must be pod_identity or irsa."
  }
}

variable "oidc_provider_arn" {
  description = "ARN of the cluster's OpenID Connect provider. Required with `irsa`."
  type        = string
  default     = null

  validation {
    condition     = var.method != "irsa" || var.oidc_provider_arn != null
    error_message = "oidc_provider_arn is missing: with method = \"irsa\", roles trust the cluster's OpenID Connect provider. Set irsa = true in the module cluster and pass its output oidc_provider_arn."
  }
}

variable "namespaces" {
  description = "Namespaces of the platform (Airflow, MLflow, model jobs) and of the streams (drivers, executors, dashboard, quality, demo)."
  type        = object({ platform = string, streams = string })
  default     = { platform = "tweet-sentiment", streams = "tweet-sentiment-streams" }

  validation {
    condition     = var.namespaces.platform != var.namespaces.streams
    error_message = "namespaces.platform and namespaces.streams must differ: drivers may create pods, and RBAC cannot restrict which Secrets of their namespace these pods read."
  }

  validation {
    condition     = alltrue([for namespace in values(var.namespaces) : can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", namespace))])
    error_message = "namespaces must be valid Kubernetes names: up to 63 lowercase letters, digits or hyphens, starting and ending with a letter or digit."
  }
}

variable "landing" {
  description = "The landing zone: ARNs of its bucket and KMS key, and the prefix under which tweets land."
  type        = object({ bucket_arn = string, key_arn = string, prefix = string })
}

variable "landing_queue" {
  description = "The SQS queue with S3's notifications about the landing zone, which Bronze reads: its ARN. Null without a queue."
  type        = object({ arn = string })
  default     = null
}

variable "lake" {
  description = "The lake: ARNs of its bucket and KMS key."
  type        = object({ bucket_arn = string, key_arn = string })
}

variable "demo" {
  description = "Whether to create a role for the demo, which lands generated tweets."
  type        = bool
  default     = false
}

variable "dashboard_typing" {
  description = "Whether the dashboard may land tweets that users type (the chart's dashboard.typing)."
  type        = bool
  default     = false
}

variable "dashboard_labelling" {
  description = "Whether the dashboard may write the labels of people (the chart's dashboard.labelling)."
  type        = bool
  default     = false
}

variable "permissions_boundary_arn" {
  description = "ARN of a permissions boundary for every role, for accounts that require one."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags for every resource."
  type        = map(string)
  default     = {}
}
