output "vpc_id" {
  description = "ID of the VPC."
  value       = aws_vpc.this.id
}

output "cidr" {
  description = "CIDR range of the VPC."
  value       = aws_vpc.this.cidr_block
}

output "zones" {
  description = "The availability zones in use."
  value       = local.zones
}

output "private_subnet_ids" {
  description = "Subnets of nodes and pods, one per zone."
  value       = [for zone in local.zones : aws_subnet.private[zone].id]
}

output "public_subnet_ids" {
  description = "Subnets of load balancers and NAT gateways, one per zone."
  value       = [for zone in local.zones : aws_subnet.public[zone].id]
}

output "database_subnet_ids" {
  description = "Database subnets, one per zone, without a route out of the VPC."
  value       = [for zone in local.zones : aws_subnet.database[zone].id]
}

output "nat_addresses" {
  description = "Public IP addresses of the NAT gateways, the source of the nodes' internet traffic."
  value       = [for zone in local.nat_zones : aws_eip.nat[zone].public_ip]
}
