# `make values` turns these into the values of the chart, `scripts/` reads them too.

output "region" {
  description = "AWS region."
  value       = var.region
}

output "cluster_name" {
  description = "Name of the cluster: aws eks update-kubeconfig --name."
  value       = module.cluster.name
}

output "vpc_id" {
  description = "The VPC, as the load balancer controller is told of it."
  value       = module.network.vpc_id
}

output "namespaces" {
  description = "Namespaces of the platform and of the streams."
  value       = module.identity.namespaces
}

output "landing" {
  description = "URI under which tweets land."
  value       = "s3a://${module.storage.landing_bucket}/${module.storage.landing_prefix}/"
}

output "lake" {
  description = "URI of the Delta tables."
  value       = "s3a://${module.storage.lake_bucket}/lake"
}

output "mlflow_artifacts" {
  description = "URI of the model files."
  value       = "s3://${module.storage.lake_bucket}/mlflow"
}

output "image_registry" {
  description = "What stands before /tweet-sentiment-<image>."
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
  description = "Whether S3A must be told to read web identity tokens."
  value       = module.identity.web_identity
}

output "node_groups" {
  description = "Label and taint of each group of nodes."
  value       = module.cluster.node_groups
}

output "demo" {
  description = "Whether there is a role for the stream of made-up tweets."
  value       = false
}

output "dashboard_typing" {
  description = "Whether the dashboard may land the tweets that are typed into it."
  value       = var.dashboard_typing
}

output "database" {
  description = "The database outside the cluster: host, port, first user and the ARN of the secret with its password."
  value = {
    host       = module.database.host
    port       = module.database.port
    username   = module.database.username
    secret_arn = module.database.secret_arn
  }
}

output "landing_queue" {
  description = "ARN and URL of the queue that hears of landed files, for a consumer of yours; null without one."
  value       = var.landing_queue ? { arn = module.storage.landing_queue_arn, url = module.storage.landing_queue_url } : null
}

output "alarm_topic_arn" {
  description = "ARN of the topic that alarms are sent to."
  value       = module.observability.topic_arn
}
