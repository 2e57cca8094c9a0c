output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "cidr" {
  description = "Addresses of the VPC."
  value       = aws_vpc.this.cidr_block
}

output "zones" {
  description = "The availability zones in use."
  value       = local.zones
}

output "private_subnet_ids" {
  description = "Subnets of nodes and pods, one a zone."
  value       = [for zone in local.zones : aws_subnet.private[zone].id]
}

output "public_subnet_ids" {
  description = "Subnets of load balancers and NAT gateways, one a zone."
  value       = [for zone in local.zones : aws_subnet.public[zone].id]
}

output "database_subnet_ids" {
  description = "Subnets without a way out, one a zone."
  value       = [for zone in local.zones : aws_subnet.database[zone].id]
}

output "nat_addresses" {
  description = "Public addresses that the nodes' traffic comes from."
  value       = [for zone in local.gates : aws_eip.nat[zone].public_ip]
}
