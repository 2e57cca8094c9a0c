output "name" {
  description = "Name of the cluster."
  value       = aws_eks_cluster.this.name
}

output "arn" {
  description = "ARN of the cluster."
  value       = aws_eks_cluster.this.arn
}

output "endpoint" {
  description = "Address of the Kubernetes API."
  value       = aws_eks_cluster.this.endpoint
}

output "certificate_authority" {
  description = "Certificate by which the Kubernetes API is known, in base64."
  value       = aws_eks_cluster.this.certificate_authority[0].data
}

output "security_group_id" {
  description = "Security group of the control plane and of all nodes."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}

output "oidc_provider_arn" {
  description = "ARN of the OpenID Connect provider; null without irsa."
  value       = one(aws_iam_openid_connect_provider.this[*].arn)
}

output "node_groups" {
  description = "Label of each group's nodes, and whether they have the taint of the same key and value."
  value       = { for use in keys(var.node_groups) : use => { label = local.use_label, value = use, tainted = use != "system" } }
}
