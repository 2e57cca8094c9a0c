variable "name" {
  description = "Name of the environment. Repositories are named <name>/tweet-sentiment-<image>, so environments in one account do not share images."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 lowercase letters, digits or hyphens, start with a letter and end with a letter or digit: it becomes part of bucket names."
  }
}

variable "images" {
  description = "Images of the project. Each gets the repository <name>/tweet-sentiment-<image>."
  type        = set(string)
  default     = ["spark", "airflow", "mlflow", "dashboard", "model-jobs"]

  validation {
    condition     = length(var.images) > 0 && alltrue([for image in var.images : can(regex("^[a-z][a-z0-9-]*$", image))])
    error_message = "images must contain at least one name; a name starts with a lowercase letter and contains lowercase letters, digits and hyphens."
  }
}

variable "kept_images" {
  description = "Number of images that each repository keeps. A rollback needs the image of its release."
  type        = number
  default     = 20

  validation {
    condition     = var.kept_images >= 2 && floor(var.kept_images) == var.kept_images
    error_message = "kept_images must be a whole number of at least 2: with 1, a release deletes the image that a rollback needs."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes repositories that contain images."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags for every resource."
  type        = map(string)
  default     = {}
}
