variable "name" {
  description = "Name of the environment; prefix of every resource's name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 small letters, digits and dashes, and begin with a letter: it becomes part of bucket names."
  }
}

variable "landing_days" {
  description = "Days that a landed file is kept; null: for ever. Bronze holds the documents as they came, so landing only has to outlast the longest time for which Bronze may be down."
  type        = number
  default     = 90

  validation {
    condition     = var.landing_days == null ? true : var.landing_days >= 14
    error_message = "landing_days must be at least 14: a file that expires before Bronze has read it is lost."
  }
}

variable "undelete_days" {
  description = "Days for which a file of landing or lake that was deleted or overwritten can be brought back."
  type        = number
  default     = 7

  validation {
    condition     = var.undelete_days >= 1 && var.undelete_days <= 90
    error_message = "undelete_days must be from 1 to 90: streams rewrite files all day, and each old version is paid for."
  }
}

variable "access_log_days" {
  description = "Days that the access logs of both buckets are kept."
  type        = number
  default     = 90

  validation {
    condition     = var.access_log_days >= 1
    error_message = "access_log_days must be at least 1."
  }
}

variable "landing_queue" {
  description = "Whether a queue hears of each landed file. For consumers of yours: Bronze lists the bucket and needs none."
  type        = bool
  default     = false
}

variable "landing_prefix" {
  description = "Prefix of the landing bucket under which tweets land."
  type        = string
  default     = "voc_volume"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", var.landing_prefix))
    error_message = "landing_prefix must be a prefix without a slash at its ends, such as voc_volume."
  }
}

variable "force_destroy" {
  description = "Whether a destroy removes buckets that hold files. For environments that are thrown away."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
