data "aws_caller_identity" "current" {}

# For the region. `aws_region` has `name` in version 5 of the provider, and deprecates it for `region` in 6.
data "aws_service" "s3" {
  service_id = "s3"
}

locals {
  tags = merge(var.tags, { module = "identity" })
  # arn:aws:iam::…:oidc-provider/<issuer>
  issuer = var.oidc_provider_arn == null ? "" : split(":oidc-provider/", var.oidc_provider_arn)[1]

  # Only one service account in one namespace of this cluster may assume each role.
  trust = {
    for role, access in local.roles : role => var.method == "irsa" ? {
      Effect    = "Allow"
      Principal = { Federated = var.oidc_provider_arn }
      Action    = ["sts:AssumeRoleWithWebIdentity"]
      Condition = {
        StringEquals = {
          "${local.issuer}:sub" = "system:serviceaccount:${access.namespace}:${role}"
          "${local.issuer}:aud" = "sts.amazonaws.com"
        }
      }
      } : {
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = {
        StringEquals = {
          "aws:SourceAccount"                         = data.aws_caller_identity.current.account_id
          "aws:RequestTag/kubernetes-namespace"       = access.namespace
          "aws:RequestTag/kubernetes-service-account" = role
        }
        ArnEquals = { "aws:SourceArn" = var.cluster_arn }
      }
    }
  }
}

resource "aws_iam_role" "this" {
  for_each = local.roles

  name                 = "${var.name}-${each.key}"
  description          = "Service account ${each.key} in ${each.value.namespace} of the cluster ${var.cluster_name}"
  assume_role_policy   = jsonencode({ Version = "2012-10-17", Statement = [local.trust[each.key]] })
  permissions_boundary = var.permissions_boundary_arn
  tags                 = merge(local.tags, { Name = "${var.name}-${each.key}" })
}

# A role without permissions gets no policy: IAM rejects a policy without statements.
resource "aws_iam_role_policy" "this" {
  for_each = toset([for role, statements in local.statements : role if anytrue(statements[*].when)])

  name = "access"
  role = aws_iam_role.this[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for statement in local.statements[each.key] :
      { for field, value in statement : field => value if field != "when" } if statement.when
    ]
  })
}

resource "aws_eks_pod_identity_association" "this" {
  for_each = var.method == "pod_identity" ? local.roles : {}

  cluster_name    = var.cluster_name
  namespace       = each.value.namespace
  service_account = each.key
  role_arn        = aws_iam_role.this[each.key].arn
  tags            = merge(local.tags, { Name = "${var.name}-${each.key}" })
}
