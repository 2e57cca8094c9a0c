terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }

  # `terraform init -backend-config=<name>.s3.tfbackend` sets the location of the state (see README.md).
  backend "s3" {}
}

provider "aws" {
  region = var.region
}
