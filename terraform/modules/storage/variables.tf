variable "name" {
  description = "Name of the environment. Every resource name starts with it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 lowercase letters, digits or hyphens, start with a letter and end with a letter or digit: it becomes part of bucket names."
  }
}

variable "landing_days" {
  description = "Days until a landed file expires. Null keeps files forever. Bronze stores each document unchanged, so the landing zone only has to outlast the longest outage of Bronze."
  type        = number
  default     = 90

  validation {
    condition     = var.landing_days == null ? true : var.landing_days >= 14
    error_message = "landing_days must be null or at least 14: a file that expires before Bronze reads it is lost."
  }
}

variable "undelete_days" {
  description = "Days for which a deleted or overwritten file of the landing zone or the lake can be restored."
  type        = number
  default     = 7

  validation {
    condition     = var.undelete_days >= 1 && var.undelete_days <= 90
    error_message = "undelete_days must be from 1 to 90: streams rewrite files continuously, and AWS charges for each noncurrent version."
  }
}

variable "access_log_days" {
  description = "Days until the access logs of the landing and lake buckets expire."
  type        = number
  default     = 90

  validation {
    condition     = var.access_log_days >= 1
    error_message = "access_log_days must be at least 1."
  }
}

variable "landing_queue" {
  description = "Whether S3 sends a message to an SQS queue for each landed file. Bronze reads the queue instead of listing the bucket for each batch."
  type        = bool
  default     = false
}

variable "landing_prefix" {
  description = "Prefix in the landing bucket under which tweets land."
  type        = string
  default     = "voc_volume"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", var.landing_prefix))
    error_message = "landing_prefix must be a prefix without a leading or trailing slash, such as voc_volume."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes buckets that contain files. For disposable environments."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags for every resource."
  type        = map(string)
  default     = {}
}
