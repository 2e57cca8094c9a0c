output "name" {
  description = "Name of the cluster."
  value       = aws_eks_cluster.this.name
}

output "arn" {
  description = "ARN of the cluster."
  value       = aws_eks_cluster.this.arn
}

output "endpoint" {
  description = "URL of the Kubernetes API."
  value       = aws_eks_cluster.this.endpoint
}

output "certificate_authority" {
  description = "Certificate authority of the Kubernetes API, base64-encoded."
  value       = aws_eks_cluster.this.certificate_authority[0].data
}

output "security_group_id" {
  description = "Security group of the control plane and all nodes."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}

output "oidc_provider_arn" {
  description = "ARN of the OpenID Connect provider. Null unless `irsa` is true."
  value       = one(aws_iam_openid_connect_provider.this[*].arn)
}

output "node_groups" {
  description = "Node label of each node group, and whether its nodes have a taint with the same key and value."
  value       = { for group in keys(var.node_groups) : group => { label = local.node_label, value = group, tainted = group != "system" } }
}
