variable "name" {
  description = "Name of the environment; prefix of every resource's name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 small letters, digits and dashes, and begin with a letter: it becomes part of bucket names."
  }
}

variable "log_groups" {
  description = "Log groups and the days that each keeps: those of the CloudWatch add-on, made here before it makes them without an end."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for days in values(var.log_groups) : contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400], days)])
    error_message = "log_groups must map names to days that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 or 400."
  }
}

variable "emails" {
  description = "Addresses that hear of alarms and of the budget; each must confirm a letter from AWS."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for email in var.emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", email))])
    error_message = "emails must be addresses such as platform@example.com."
  }
}

variable "monthly_budget_usd" {
  description = "US dollars a month: at 80 % forecast and at 100 % spent an alarm is raised. Counts the whole account."
  type        = number

  validation {
    condition     = var.monthly_budget_usd > 0
    error_message = "monthly_budget_usd must be above 0."
  }
}

variable "database" {
  description = "The database to watch: its identifier, and the GiB of free space below which an alarm is raised; null: none."
  type        = object({ identifier = string, free_gib = optional(number, 5) })
  default     = null

  validation {
    condition     = try(var.database.free_gib > 0, true)
    error_message = "database.free_gib must be above 0."
  }
}

variable "queue" {
  description = "The queue to watch: its name, that of the queue of what nobody could handle, in which any message raises an alarm, and the age in seconds of the oldest message above which one is raised; null: none."
  type        = object({ name = string, dead_name = string, age_seconds = optional(number, 900) })
  default     = null

  validation {
    condition     = try(var.queue.age_seconds >= 60, true)
    error_message = "queue.age_seconds must be at least 60: CloudWatch sees the age once a minute."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
