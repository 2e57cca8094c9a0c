data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

# For the region. `aws_region` has `name` in version 5 of the provider, and deprecates it for `region` in 6.
data "aws_service" "eks" {
  service_id = "eks"
}

locals {
  partition = data.aws_partition.current.partition
  account   = data.aws_caller_identity.current.account_id
  tags      = merge(var.tags, { module = "cluster" })
}

resource "aws_kms_key" "this" {
  description             = "Secrets of the cluster ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "DelegateToIamPolicies"
      Effect    = "Allow"
      Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
      Action    = "kms:*"
      Resource  = "*"
    }]
  })
  tags = merge(local.tags, { Name = "${var.name}-cluster" })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}-cluster"
  target_key_id = aws_kms_key.this.key_id
}

resource "aws_iam_role" "control_plane" {
  name        = "${var.name}-control-plane"
  description = "Control plane of the cluster ${var.name}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "eks.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
  tags = merge(local.tags, { Name = "${var.name}-control-plane" })
}

resource "aws_iam_role_policy_attachment" "control_plane" {
  role       = aws_iam_role.control_plane.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/AmazonEKSClusterPolicy"
}

resource "aws_iam_role_policy" "envelope" {
  name = "envelope-encryption"
  role = aws_iam_role.control_plane.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey", "kms:ListGrants", "kms:CreateGrant"]
      Resource = aws_kms_key.this.arn
    }]
  })
}

# Without this resource, EKS creates the log group itself, without a retention period.
resource "aws_cloudwatch_log_group" "control_plane" {
  name              = "/aws/eks/${var.name}/cluster"
  retention_in_days = var.log_days
  tags              = merge(local.tags, { Name = "${var.name}-control-plane" })
}

resource "aws_eks_cluster" "this" {
  name                      = var.name
  version                   = var.kubernetes_version
  role_arn                  = aws_iam_role.control_plane.arn
  enabled_cluster_log_types = var.log_types
  # The EKS add-ons in addons.tf replace the self-managed ones.
  bootstrap_self_managed_addons = false

  access_config {
    authentication_mode                         = "API"
    bootstrap_cluster_creator_admin_permissions = false
  }

  encryption_config {
    resources = ["secrets"]
    provider {
      key_arn = aws_kms_key.this.arn
    }
  }

  upgrade_policy {
    support_type = var.support
  }

  vpc_config {
    subnet_ids              = var.subnet_ids
    endpoint_private_access = true
    endpoint_public_access  = length(var.public_access_cidrs) > 0
    public_access_cidrs     = length(var.public_access_cidrs) > 0 ? var.public_access_cidrs : null
  }

  tags = merge(local.tags, { Name = var.name })

  lifecycle {
    # With STANDARD, EKS upgrades the cluster itself, and the next plan would undo the upgrade.
    precondition {
      condition     = var.kubernetes_version != "1.34" || var.support == "EXTENDED"
      error_message = "Standard support of Kubernetes 1.34 ended on 2 December 2026: use 1.35, or set support to EXTENDED, which keeps 1.34 at six times the price."
    }
  }

  depends_on = [
    aws_cloudwatch_log_group.control_plane,
    aws_iam_role_policy.envelope,
    aws_iam_role_policy_attachment.control_plane,
  ]
}

resource "aws_iam_openid_connect_provider" "this" {
  count = var.irsa ? 1 : 0

  url            = aws_eks_cluster.this.identity[0].oidc[0].issuer
  client_id_list = ["sts.amazonaws.com"]
  tags           = merge(local.tags, { Name = var.name })
}

resource "aws_eks_access_entry" "this" {
  for_each = setunion(var.admins, var.viewers)

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = each.key
  tags          = merge(local.tags, { Name = "${var.name}-${basename(each.key)}" })
}

resource "aws_eks_access_policy_association" "this" {
  for_each = merge(
    { for arn in var.viewers : arn => "AmazonEKSViewPolicy" },
    { for arn in var.admins : arn => "AmazonEKSClusterAdminPolicy" },
  )

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = aws_eks_access_entry.this[each.key].principal_arn
  policy_arn    = "arn:${local.partition}:eks::aws:cluster-access-policy/${each.value}"

  access_scope {
    type = "cluster"
  }
}
