variable "name" {
  description = "Name of the environment; prefix of every resource's name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 small letters, digits and dashes, and begin with a letter: it becomes part of bucket names."
  }
}

variable "vpc_id" {
  description = "VPC of the database."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of at least two zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must name subnets of at least two zones: RDS refuses a group with fewer."
  }
}

variable "client_security_groups" {
  description = "Security groups that may connect, by a name of each: those of the cluster's nodes."
  type        = map(string)
}

variable "postgres_version" {
  description = "Major version of Postgres; RDS applies the minor ones."
  type        = string
  default     = "17"

  validation {
    condition     = contains(["15", "16", "17"], var.postgres_version)
    error_message = "postgres_version must be 15, 16 or 17: the versions that both Airflow and MLflow are run on."
  }
}

variable "instance_class" {
  description = "Size of the instance. Airflow and MLflow together hold some 30 connections."
  type        = string
  default     = "db.t4g.small"

  validation {
    condition     = can(regex("^db\\.[a-z0-9]+\\.[a-z0-9]+$", var.instance_class)) && var.instance_class != "db.t4g.micro" && var.instance_class != "db.t3.micro"
    error_message = "instance_class must be one of RDS, such as db.t4g.small; the micro ones have too little memory for the connections of Airflow."
  }
}

variable "storage_gib" {
  description = "Disk in GiB: at first, and the most to which RDS lets it grow."
  type        = object({ first = number, most = number })
  default     = { first = 20, most = 100 }

  validation {
    condition     = var.storage_gib.first >= 20 && var.storage_gib.most >= var.storage_gib.first * 1.1
    error_message = "storage_gib.first must be at least 20, and storage_gib.most a tenth above it or more: RDS refuses less."
  }
}

variable "multi_zone" {
  description = "Whether a second instance in another zone stands by."
  type        = bool
  default     = false
}

variable "backup_days" {
  description = "Days for which the database can be set back to any minute."
  type        = number
  default     = 7

  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "backup_days must be from 1 to 35: without backups the registry's history is one disk."
  }
}

variable "deletion_protection" {
  description = "Whether RDS refuses to delete the database. With it, a destroy stops here until it is turned off."
  type        = bool
  default     = true
}

variable "final_snapshot" {
  description = "Whether a snapshot is left when the database is deleted."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
