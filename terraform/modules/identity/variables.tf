variable "name" {
  description = "Name of the environment; prefix of every resource's name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 small letters, digits and dashes, and begin with a letter: it becomes part of bucket names."
  }
}

variable "cluster_name" {
  description = "Name of the EKS cluster whose pods get the roles."
  type        = string
}

variable "cluster_arn" {
  description = "ARN of that cluster."
  type        = string
}

variable "method" {
  description = "How a pod gets its role: `pod_identity` (an association in EKS), or `irsa` (an annotation of its service account; then S3A must be told to read web identity tokens, which the chart does with storage.s3.webIdentity)."
  type        = string
  default     = "pod_identity"

  validation {
    condition     = contains(["pod_identity", "irsa"], var.method)
    error_message = "method must be pod_identity or irsa."
  }
}

variable "oidc_provider_arn" {
  description = "ARN of the cluster's OpenID Connect provider; irsa needs it."
  type        = string
  default     = null

  validation {
    condition     = var.method != "irsa" || var.oidc_provider_arn != null
    error_message = "oidc_provider_arn is missing: with method = \"irsa\" roles trust the cluster's OpenID Connect provider (irsa = true in the module cluster)."
  }
}

variable "namespaces" {
  description = "Namespaces of the platform (Airflow, MLflow, model jobs) and of the streams (drivers, executors, dashboard, quality, demo)."
  type        = object({ platform = string, streams = string })
  default     = { platform = "tweet-sentiment", streams = "tweet-sentiment-streams" }

  validation {
    condition     = var.namespaces.platform != var.namespaces.streams
    error_message = "namespaces.platform and namespaces.streams must differ: a driver may start pods, hence read every Secret of its namespace."
  }

  validation {
    condition     = alltrue([for namespace in values(var.namespaces) : can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", namespace))])
    error_message = "namespaces must be names that Kubernetes accepts: up to 63 small letters, digits and dashes."
  }
}

variable "landing" {
  description = "The landing: ARNs of its bucket and key, and the prefix under which tweets land."
  type        = object({ bucket_arn = string, key_arn = string, prefix = string })
}

variable "lake" {
  description = "The lake: ARNs of its bucket and key."
  type        = object({ bucket_arn = string, key_arn = string })
}

variable "demo" {
  description = "Whether there is a role for the stream of made-up tweets, which writes into the landing."
  type        = bool
  default     = false
}

variable "dashboard_typing" {
  description = "Whether the dashboard may land the tweets that are typed into it (the chart's dashboard.typing)."
  type        = bool
  default     = false
}

variable "permissions_boundary_arn" {
  description = "ARN of a permissions boundary for every role, where the account demands one."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
