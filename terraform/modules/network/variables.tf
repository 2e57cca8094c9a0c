variable "name" {
  description = "Name of the environment; prefix of every resource's name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 small letters, digits and dashes, and begin with a letter: it becomes part of bucket names."
  }
}

variable "cidr" {
  description = "Addresses of the VPC. Every pod takes one, so a /16 is seldom too much."
  type        = string
  default     = "10.20.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.cidr)) && try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 18, false)
    error_message = "cidr must be an IPv4 range from /16 to /18, such as 10.20.0.0/16: smaller ones run out of pod addresses."
  }
}

variable "zone_count" {
  description = "Number of availability zones."
  type        = number
  default     = 3

  validation {
    condition     = contains([2, 3], var.zone_count)
    error_message = "zone_count must be 2 or 3: EKS and RDS need two, and the address plan has room for three."
  }
}

variable "nat" {
  description = "Where private nodes leave the VPC: `one` gateway for all zones (cheap; its zone's failure cuts all off), `per_zone`."
  type        = string
  default     = "one"

  validation {
    condition     = contains(["one", "per_zone"], var.nat)
    error_message = "nat must be one or per_zone."
  }
}

variable "interface_endpoints" {
  description = "AWS services that private nodes reach without NAT. Each costs about as much in every zone as a quarter of a NAT gateway; S3 is always there, for free."
  type        = set(string)
  default     = []

  validation {
    condition = length(setsubtract(var.interface_endpoints, [
      "ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "elasticloadbalancing", "autoscaling", "logs", "monitoring", "secretsmanager", "sqs", "sts", "kms",
    ])) == 0
    error_message = "interface_endpoints may hold ec2, ecr.api, ecr.dkr, eks, eks-auth, elasticloadbalancing, autoscaling, logs, monitoring, secretsmanager, sqs, sts and kms."
  }
}

variable "flow_log_days" {
  description = "Days that the flow logs of the VPC are kept; 0 turns them off."
  type        = number
  default     = 30

  validation {
    condition     = contains([0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400], var.flow_log_days)
    error_message = "flow_log_days must be 0 or a retention that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 or 400."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
