variable "name" {
  description = "Name of the environment. Every resource name starts with it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 lowercase letters, digits or hyphens, start with a letter and end with a letter or digit: it becomes part of bucket names."
  }
}

variable "vpc_id" {
  description = "VPC of the database."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets for the database, in at least two availability zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must list subnets in at least two availability zones: RDS rejects a subnet group with fewer."
  }
}

variable "client_security_groups" {
  description = "Security groups that may connect to Postgres, as a map of label to ID. Use the security group of the cluster's nodes."
  type        = map(string)
}

variable "postgres_version" {
  description = "Postgres major version. RDS applies minor versions automatically."
  type        = string
  default     = "17"

  validation {
    condition     = contains(["15", "16", "17"], var.postgres_version)
    error_message = "postgres_version must be 15, 16 or 17: the versions that both Airflow and MLflow run on."
  }
}

variable "instance_class" {
  description = "RDS instance class. Airflow and MLflow together hold about 30 connections."
  type        = string
  default     = "db.t4g.small"

  validation {
    condition     = can(regex("^db\\.[a-z0-9]+\\.[a-z0-9]+$", var.instance_class)) && var.instance_class != "db.t4g.micro" && var.instance_class != "db.t3.micro"
    error_message = "instance_class must be an RDS instance class, such as db.t4g.small. Micro classes have too little memory for the connections of Airflow."
  }
}

variable "storage_gib" {
  description = "Storage in GiB: `first` is the initial size, `most` is the limit of RDS storage autoscaling."
  type        = object({ first = number, most = number })
  default     = { first = 20, most = 100 }

  validation {
    condition     = var.storage_gib.first >= 20 && var.storage_gib.most >= var.storage_gib.first * 1.1
    error_message = "storage_gib.first must be at least 20, and storage_gib.most at least 10 % larger: RDS rejects smaller values."
  }
}

variable "multi_zone" {
  description = "Whether to run a standby instance in another availability zone."
  type        = bool
  default     = false
}

variable "backup_days" {
  description = "Days of backups for point-in-time recovery."
  type        = number
  default     = 7

  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "backup_days must be from 1 to 35: without backups, the model registry's history exists on a single disk only."
  }
}

variable "deletion_protection" {
  description = "Whether RDS refuses to delete the database. `terraform destroy` fails until this is turned off."
  type        = bool
  default     = true
}

variable "final_snapshot" {
  description = "Whether RDS takes a final snapshot when the database is deleted."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags for every resource."
  type        = map(string)
  default     = {}
}
