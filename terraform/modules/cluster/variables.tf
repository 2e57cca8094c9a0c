variable "name" {
  description = "Name of the environment. Every resource name starts with it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 lowercase letters, digits or hyphens, start with a letter and end with a letter or digit: it becomes part of bucket names."
  }
}

variable "kubernetes_version" {
  description = "Kubernetes minor version."
  type        = string
  default     = "1.35"

  validation {
    condition     = contains(["1.34", "1.35"], var.kubernetes_version)
    error_message = "kubernetes_version must be 1.34 or 1.35: the table of versions in terraform/README.md lists their support. To use a newer version, check its release notes, and add it to this validation and to the table."
  }
}

variable "support" {
  description = "What EKS does at the end of standard support: `STANDARD` upgrades the cluster automatically, `EXTENDED` keeps the version at six times the price."
  type        = string
  default     = "STANDARD"

  validation {
    condition     = contains(["STANDARD", "EXTENDED"], var.support)
    error_message = "support must be STANDARD or EXTENDED."
  }
}

variable "subnet_ids" {
  description = "Private subnets for nodes and pods, in at least two availability zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must list subnets in at least two availability zones: EKS rejects fewer."
  }
}

variable "public_access_cidrs" {
  description = "CIDR ranges that may reach the Kubernetes API over the internet. Empty makes the API private to the VPC."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.public_access_cidrs : can(cidrnetmask(cidr)) && try(tonumber(split("/", cidr)[1]) >= 8, false)])
    error_message = "public_access_cidrs must be IPv4 ranges of /8 or smaller, such as 203.0.113.7/32: the API must not be open to the whole internet."
  }
}

variable "admins" {
  description = "ARNs of the IAM roles or users that administer the cluster. The creator of the cluster gets no access unless listed."
  type        = set(string)

  validation {
    condition     = length(var.admins) > 0
    error_message = "admins must list at least one IAM role or user: otherwise no one can access the cluster."
  }

  validation {
    condition     = alltrue([for arn in var.admins : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/", arn))])
    error_message = "admins must be ARNs of IAM roles or users, such as arn:aws:iam::123456789012:role/platform; for an assumed role, use the role ARN, not the session ARN."
  }
}

variable "viewers" {
  description = "ARNs of the IAM roles or users with read access to everything except Secrets."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.viewers : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/", arn))])
    error_message = "viewers must be ARNs of IAM roles or users, such as arn:aws:iam::123456789012:role/readers; for an assumed role, use the role ARN, not the session ARN."
  }
}

variable "node_groups" {
  description = <<-TEXT
    Node groups by purpose. `system` is required.
    system: Airflow, MLflow and operators. drivers: Spark drivers, on demand, because a lost driver stops its stream.
    executors: spot in the default groups, because Spark repeats the tasks of a lost executor. gpu: Gold executors with
    a GPU. A group without `capacity` is on demand.
    Every node is labelled tweet-sentiment/nodes=<group>. All groups except system have the taint
    tweet-sentiment/nodes=<group>:NoSchedule.
  TEXT
  type = map(object({
    instance_types = list(string)
    capacity       = optional(string, "ON_DEMAND")
    min            = optional(number, 0)
    max            = number
    disk_gib       = optional(number, 50)
  }))
  default = {
    system    = { instance_types = ["m6i.large", "m5.large"], min = 2, max = 4 }
    drivers   = { instance_types = ["m6i.large", "m5.large"], min = 1, max = 3 }
    executors = { instance_types = ["m6i.xlarge", "m5.xlarge", "m5a.xlarge", "m6a.xlarge"], capacity = "SPOT", min = 1, max = 6 }
  }

  validation {
    condition     = contains(keys(var.node_groups), "system") && length(setsubtract(keys(var.node_groups), ["system", "drivers", "executors", "gpu"])) == 0
    error_message = "node_groups may contain only system, drivers, executors and gpu, and must contain system."
  }

  validation {
    condition     = alltrue([for group in var.node_groups : contains(["ON_DEMAND", "SPOT"], group.capacity)])
    error_message = "node_groups: capacity must be ON_DEMAND or SPOT."
  }

  validation {
    condition     = alltrue([for name, group in var.node_groups : name != "drivers" || group.capacity == "ON_DEMAND"])
    error_message = "node_groups.drivers.capacity must be ON_DEMAND: a reclaimed spot node would stop every stream with a driver on that node."
  }

  validation {
    condition     = alltrue([for group in var.node_groups : group.min >= 0 && group.max >= 1 && group.max >= group.min && length(group.instance_types) > 0])
    error_message = "node_groups: each group needs at least one instance type, min must be at least 0, and max must be at least 1 and at least min."
  }

  validation {
    condition     = try(var.node_groups["system"].min >= 1, true)
    error_message = "node_groups.system.min must be at least 1: the cluster autoscaler runs on these nodes."
  }

  validation {
    condition     = alltrue([for group in var.node_groups : group.disk_gib >= 30])
    error_message = "node_groups: disk_gib must be at least 30: the unpacked Spark image takes 3 GiB on top of the operating system and the system images."
  }
}

variable "log_types" {
  description = "Control plane log types to keep."
  type        = set(string)
  default     = ["api", "audit", "authenticator", "controllerManager", "scheduler"]

  validation {
    condition     = length(setsubtract(var.log_types, ["api", "audit", "authenticator", "controllerManager", "scheduler"])) == 0
    error_message = "log_types may contain only api, audit, authenticator, controllerManager and scheduler."
  }
}

variable "log_days" {
  description = "Retention of the control plane logs in days."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400], var.log_days)
    error_message = "log_days must be a CloudWatch retention period: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 or 400."
  }
}

variable "container_logs" {
  description = "Whether to install the CloudWatch add-on, which sends pod logs and metrics to CloudWatch."
  type        = bool
  default     = false
}

variable "irsa" {
  description = "Whether to register the cluster's OpenID Connect provider, for IAM roles for service accounts (IRSA) instead of EKS Pod Identity."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags for every resource."
  type        = map(string)
  default     = {}
}
