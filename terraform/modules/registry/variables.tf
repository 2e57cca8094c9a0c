variable "name" {
  description = "Name of the environment; repositories are <name>/tweet-sentiment-…, so environments share an account without sharing images."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 small letters, digits and dashes, and begin with a letter: it becomes part of bucket names."
  }
}

variable "images" {
  description = "Images of the project; each gets the repository <name>/tweet-sentiment-<image>."
  type        = set(string)
  default     = ["spark", "airflow", "mlflow", "dashboard", "model-jobs"]

  validation {
    condition     = length(var.images) > 0 && alltrue([for image in var.images : can(regex("^[a-z][a-z0-9-]*$", image))])
    error_message = "images must hold at least one name, of small letters, digits and dashes."
  }
}

variable "kept_images" {
  description = "Tagged images that each repository keeps: as many releases can be rolled back."
  type        = number
  default     = 20

  validation {
    condition     = var.kept_images >= 2 && floor(var.kept_images) == var.kept_images
    error_message = "kept_images must be a whole number of at least 2: with one, the image before a release is gone."
  }
}

variable "force_destroy" {
  description = "Whether a destroy removes repositories that hold images."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
