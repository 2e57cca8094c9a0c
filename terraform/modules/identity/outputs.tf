output "role_arns" {
  description = "ARN of the role of each service account."
  value       = { for name, role in aws_iam_role.this : name => role.arn }
}

output "service_accounts" {
  description = "Namespace and annotations of each service account. The annotations are empty with `pod_identity`, which needs none."
  value = {
    for role, access in local.roles : role => {
      namespace   = access.namespace
      annotations = { for key, value in { "eks.amazonaws.com/role-arn" = aws_iam_role.this[role].arn } : key => value if var.method == "irsa" }
    }
  }
}

output "web_identity" {
  description = "Whether pods get their role through web identity tokens (the chart's storage.s3.webIdentity)."
  value       = var.method == "irsa"
}

output "namespaces" {
  description = "Namespaces of the platform and of the streams."
  value       = var.namespaces
}
