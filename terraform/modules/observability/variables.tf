variable "name" {
  description = "Name of the environment. Every resource name starts with it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 lowercase letters, digits or hyphens, start with a letter and end with a letter or digit: it becomes part of bucket names."
  }
}

variable "log_groups" {
  description = "Log groups with their retention in days. Use them for the CloudWatch add-on, which otherwise creates its log groups without a retention period."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for days in values(var.log_groups) : contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400], days)])
    error_message = "log_groups must map names to a CloudWatch retention period in days: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 or 400."
  }
}

variable "emails" {
  description = "Email addresses that receive alarms and budget notifications. Each must confirm the subscription email from AWS."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for email in var.emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", email))])
    error_message = "emails must be email addresses, such as platform@example.com."
  }
}

variable "monthly_budget_usd" {
  description = "Monthly budget in US dollars for the whole account. Notifications are sent when the forecast exceeds 80 % or the actual cost exceeds 100 %."
  type        = number

  validation {
    condition     = var.monthly_budget_usd > 0
    error_message = "monthly_budget_usd must be above 0."
  }
}

variable "database" {
  description = "The database to monitor: its identifier, and the free storage in GiB below which an alarm is raised. Null monitors no database."
  type        = object({ identifier = string, free_gib = optional(number, 5) })
  default     = null

  validation {
    condition     = try(var.database.free_gib > 0, true)
    error_message = "database.free_gib must be above 0."
  }
}

variable "queue" {
  description = "The queue to monitor: its name, the name of its dead-letter queue, where any message raises an alarm, and the age of the oldest message in seconds above which an alarm is raised. Null monitors no queue."
  type        = object({ name = string, dead_name = string, age_seconds = optional(number, 900) })
  default     = null

  validation {
    condition     = try(var.queue.age_seconds >= 60, true)
    error_message = "queue.age_seconds must be at least 60: CloudWatch measures the age once a minute."
  }
}

variable "tags" {
  description = "Tags for every resource."
  type        = map(string)
  default     = {}
}
