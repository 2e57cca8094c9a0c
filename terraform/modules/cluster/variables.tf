variable "name" {
  description = "Name of the environment; prefix of every resource's name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 small letters, digits and dashes, and begin with a letter: it becomes part of bucket names."
  }
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes."
  type        = string
  default     = "1.35"

  validation {
    condition     = contains(["1.34", "1.35"], var.kubernetes_version)
    error_message = "kubernetes_version must be one that was in standard support in November 2026: 1.34 (until 2 December 2026) or 1.35 (until 27 March 2027). Newer ones: check their release notes, then add them here."
  }
}

variable "support" {
  description = "What happens at the end of standard support: `STANDARD` upgrades the cluster by itself, `EXTENDED` keeps the version for six times the price."
  type        = string
  default     = "STANDARD"

  validation {
    condition     = contains(["STANDARD", "EXTENDED"], var.support)
    error_message = "support must be STANDARD or EXTENDED."
  }
}

variable "subnet_ids" {
  description = "Private subnets of at least two zones, for nodes and pods."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must name subnets of at least two zones: EKS refuses fewer."
  }
}

variable "public_access_cidrs" {
  description = "Addresses from which the Kubernetes API can be reached over the internet; empty: from inside the VPC only."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.public_access_cidrs : can(cidrnetmask(cidr)) && try(tonumber(split("/", cidr)[1]) >= 8, false)])
    error_message = "public_access_cidrs must be IPv4 ranges of /8 or smaller, such as 203.0.113.7/32: the API is not opened to the whole internet."
  }
}

variable "admins" {
  description = "ARNs of the IAM roles or users that administer the cluster. Who creates it gets no rights by that."
  type        = set(string)

  validation {
    condition     = length(var.admins) > 0
    error_message = "admins must name at least one IAM role or user: without one nobody can enter the cluster."
  }

  validation {
    condition     = alltrue([for arn in var.admins : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/", arn))])
    error_message = "admins must be ARNs of IAM roles or users, such as arn:aws:iam::123456789012:role/platform; for an assumed role give the role, not the session."
  }
}

variable "viewers" {
  description = "ARNs of the IAM roles or users that may look at everything but Secrets."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.viewers : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/", arn))])
    error_message = "viewers must be ARNs of IAM roles or users, such as arn:aws:iam::123456789012:role/readers; for an assumed role give the role, not the session."
  }
}

variable "node_groups" {
  description = <<-TEXT
    Groups of nodes by their use; `system` must be there.
    system: Airflow, MLflow, operators. drivers: drivers of the streams, on demand, since a lost driver stops its stream.
    executors: spot by default, since a lost executor costs its tasks only. gpu: executors of gold with a GPU.
    All but system are tainted, tweet-sentiment/nodes=<group>:NoSchedule, and every node is labelled likewise.
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
    error_message = "node_groups may hold system, drivers, executors and gpu, and must hold system."
  }

  validation {
    condition     = alltrue([for group in var.node_groups : contains(["ON_DEMAND", "SPOT"], group.capacity)])
    error_message = "capacity of a node group must be ON_DEMAND or SPOT."
  }

  validation {
    condition     = alltrue([for use, group in var.node_groups : use != "drivers" || group.capacity == "ON_DEMAND"])
    error_message = "drivers must be ON_DEMAND: on spot each reclaimed node stops the streams whose drivers it held."
  }

  validation {
    condition     = alltrue([for group in var.node_groups : group.min >= 0 && group.max >= 1 && group.max >= group.min && length(group.instance_types) > 0])
    error_message = "each node group needs an instance type, and max must be at least 1 and at least min."
  }

  validation {
    condition     = try(var.node_groups["system"].min >= 1, true)
    error_message = "node_groups.system.min must be at least 1: the autoscaler itself runs there."
  }

  validation {
    condition     = alltrue([for group in var.node_groups : group.disk_gib >= 30])
    error_message = "disk_gib must be at least 30: the Spark image alone takes 3 GiB unpacked, beside the system's."
  }
}

variable "log_types" {
  description = "Logs of the control plane that are kept."
  type        = set(string)
  default     = ["api", "audit", "authenticator", "controllerManager", "scheduler"]

  validation {
    condition     = length(setsubtract(var.log_types, ["api", "audit", "authenticator", "controllerManager", "scheduler"])) == 0
    error_message = "log_types may hold api, audit, authenticator, controllerManager and scheduler."
  }
}

variable "log_days" {
  description = "Days that the control plane's logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400], var.log_days)
    error_message = "log_days must be a retention that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 or 400."
  }
}

variable "container_logs" {
  description = "Whether the CloudWatch add-on sends the pods' logs and metrics to CloudWatch."
  type        = bool
  default     = false
}

variable "irsa" {
  description = "Whether the cluster's OpenID Connect provider is registered, for roles of service accounts without EKS Pod Identity."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
