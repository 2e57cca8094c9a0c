# `make values` turns these outputs into chart values, and the scripts in terraform/scripts read them.

output "region" {
  description = "AWS region."
  value       = var.region
}

output "cluster_name" {
  description = "Name of the EKS cluster, for aws eks update-kubeconfig --name."
  value       = module.cluster.name
}

output "vpc_id" {
  description = "ID of the VPC, for the load balancer controller."
  value       = module.network.vpc_id
}

output "namespaces" {
  description = "Namespaces of the platform and of the streams."
  value       = module.identity.namespaces
}

output "landing" {
  description = "URI of the landing zone."
  value       = "s3a://${module.storage.landing_bucket}/${module.storage.landing_prefix}/"
}

output "lake" {
  description = "URI of the Delta tables."
  value       = "s3a://${module.storage.lake_bucket}/lake"
}

output "mlflow_artifacts" {
  description = "URI of the MLflow artifacts."
  value       = "s3://${module.storage.lake_bucket}/mlflow"
}

output "image_registry" {
  description = "Registry prefix before /tweet-sentiment-<image>."
  value       = module.registry.registry
}

output "service_accounts" {
  description = "Namespace and annotations of each service account with a role."
  value       = module.identity.service_accounts
}

output "role_arns" {
  description = "ARN of the role of each service account."
  value       = module.identity.role_arns
}

output "web_identity" {
  description = "Whether S3A must read web identity tokens (the chart's storage.s3.webIdentity)."
  value       = module.identity.web_identity
}

output "node_groups" {
  description = "Label and taint of each node group."
  value       = module.cluster.node_groups
}

output "demo" {
  description = "Whether the demo, which lands generated tweets, has a role."
  value       = false
}

output "dashboard_typing" {
  description = "Whether the dashboard may land tweets that users type."
  value       = var.dashboard_typing
}

output "dashboard_labelling" {
  description = "Whether the dashboard may write the labels of people."
  value       = var.dashboard_labelling
}

output "database" {
  description = "The external database: host, port, master username and ARN of the secret with its password."
  value = {
    host       = module.database.host
    port       = module.database.port
    username   = module.database.username
    secret_arn = module.database.secret_arn
  }
}

output "landing_queue" {
  description = "ARN and URL of the landing queue, which Bronze reads. Null unless landing_queue is true."
  value       = var.landing_queue ? { arn = module.storage.landing_queue_arn, url = module.storage.landing_queue_url } : null
}

output "alarm_topic_arn" {
  description = "ARN of the SNS topic that receives alarms."
  value       = module.observability.topic_arn
}
