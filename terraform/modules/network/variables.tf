variable "name" {
  description = "Name of the environment. Every resource name starts with it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 lowercase letters, digits or hyphens, start with a letter and end with a letter or digit: it becomes part of bucket names."
  }
}

variable "cidr" {
  description = "CIDR range of the VPC. Every pod takes an address, so a /16 is rarely too large."
  type        = string
  default     = "10.20.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.cidr)) && try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 18, false)
    error_message = "cidr must be an IPv4 range from /16 to /18, such as 10.20.0.0/16: smaller ranges run out of pod addresses."
  }
}

variable "zone_count" {
  description = "Number of availability zones."
  type        = number
  default     = 3

  validation {
    condition     = contains([2, 3], var.zone_count)
    error_message = "zone_count must be 2 or 3: EKS and RDS need two availability zones, and the subnet layout has room for three."
  }
}

variable "nat" {
  description = "NAT gateways: `one` for all zones (cheaper, but a failure of its zone cuts off all nodes), or `per_zone`."
  type        = string
  default     = "one"

  validation {
    condition     = contains(["one", "per_zone"], var.nat)
    error_message = "nat must be one or per_zone."
  }
}

variable "interface_endpoints" {
  description = "AWS services that private nodes reach through interface endpoints instead of NAT. In each zone, an endpoint costs about a quarter of a NAT gateway. The S3 gateway endpoint always exists and is free."
  type        = set(string)
  default     = []

  validation {
    condition = length(setsubtract(var.interface_endpoints, [
      "ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "elasticloadbalancing", "autoscaling", "logs", "monitoring", "secretsmanager", "sqs", "sts", "kms",
    ])) == 0
    error_message = "interface_endpoints may contain only ec2, ecr.api, ecr.dkr, eks, eks-auth, elasticloadbalancing, autoscaling, logs, monitoring, secretsmanager, sqs, sts and kms."
  }
}

variable "flow_log_days" {
  description = "Retention of the VPC flow logs in days. 0 turns flow logs off."
  type        = number
  default     = 30

  validation {
    condition     = contains([0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400], var.flow_log_days)
    error_message = "flow_log_days must be 0 or a CloudWatch retention period: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 or 400."
  }
}

variable "tags" {
  description = "Tags for every resource."
  type        = map(string)
  default     = {}
}
