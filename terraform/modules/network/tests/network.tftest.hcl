mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name = "tweets"
}

run "defaults" {
  command = plan

  assert {
    condition     = [for subnet in aws_subnet.private : subnet.cidr_block] == ["10.20.0.0/20", "10.20.16.0/20", "10.20.32.0/20"]
    error_message = "there are three private subnets of size /20"
  }
  assert {
    condition     = keys(aws_subnet.public) == ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
    error_message = "there is one public subnet per zone"
  }
  assert {
    condition     = [for subnet in aws_subnet.database : subnet.cidr_block] == ["10.20.248.0/24", "10.20.249.0/24", "10.20.250.0/24"]
    error_message = "database subnets are in the last /20 block"
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.public : subnet.tags["kubernetes.io/role/elb"] == "1" && subnet.map_public_ip_on_launch != true])
    error_message = "public subnets are tagged for load balancers and assign no public addresses to instances"
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.private : subnet.tags["kubernetes.io/role/internal-elb"] == "1"])
    error_message = "private subnets are tagged for internal load balancers"
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.nat) == 3
    error_message = "all three zones route through one NAT gateway"
  }
  assert {
    condition     = length(aws_vpc_endpoint.interface) == 0 && aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway"
    error_message = "only the free S3 gateway endpoint exists by default"
  }
  assert {
    condition     = aws_cloudwatch_log_group.flow[0].retention_in_days == 30 && aws_flow_log.this[0].traffic_type == "ALL"
    error_message = "flow logs record all traffic and are kept for 30 days"
  }
}

run "nat_per_zone" {
  command = plan
  variables {
    nat = "per_zone"
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 3 && length(aws_eip.nat) == 3
    error_message = "there is one NAT gateway per zone"
  }
}

run "two_zones" {
  command = plan
  variables {
    zone_count = 2
    cidr       = "10.30.0.0/18"
  }
  assert {
    condition     = [for subnet in aws_subnet.private : subnet.cidr_block] == ["10.30.0.0/22", "10.30.4.0/22"]
    error_message = "two zones of a /18 get private subnets of size /22"
  }
  assert {
    condition     = join(",", output.zones) == "eu-central-1a,eu-central-1b"
    error_message = "the first two zones in alphabetical order are used"
  }
}

run "interface_endpoints" {
  command = plan
  variables {
    interface_endpoints = ["ecr.api", "sts"]
  }
  assert {
    condition     = aws_vpc_endpoint.interface["ecr.api"].service_name == "com.amazonaws.eu-central-1.ecr.api" && aws_vpc_endpoint.interface["sts"].private_dns_enabled
    error_message = "endpoints have the service's name and private DNS"
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints[0].cidr_ipv4 == "10.20.0.0/16" && aws_vpc_security_group_ingress_rule.endpoints[0].to_port == 443
    error_message = "endpoints accept HTTPS from the VPC only"
  }
}

run "no_flow_logs" {
  command = plan
  variables {
    flow_log_days = 0
  }
  assert {
    condition     = length(aws_flow_log.this) + length(aws_iam_role.flow) + length(aws_cloudwatch_log_group.flow) == 0
    error_message = "no resource of the flow logs is created"
  }
}

run "refuses_a_bad_name" {
  command = plan
  variables {
    name = "Tweets_1"
  }
  expect_failures = [var.name]
}

run "refuses_a_small_cidr" {
  command = plan
  variables {
    cidr = "10.20.0.0/24"
  }
  expect_failures = [var.cidr]
}

run "refuses_one_zone" {
  command = plan
  variables {
    zone_count = 1
  }
  expect_failures = [var.zone_count]
}

run "refuses_an_unknown_nat" {
  command = plan
  variables {
    nat = "none"
  }
  expect_failures = [var.nat]
}

run "refuses_an_unknown_endpoint" {
  command = plan
  variables {
    interface_endpoints = ["s3"]
  }
  expect_failures = [var.interface_endpoints]
}

run "refuses_an_unknown_retention" {
  command = plan
  variables {
    flow_log_days = 31
  }
  expect_failures = [var.flow_log_days]
}
