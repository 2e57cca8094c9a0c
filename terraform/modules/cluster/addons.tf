locals {
  # Add-ons that call AWS APIs: service account and AWS managed policy of each.
  addon_roles = merge(
    {
      vpc-cni            = { namespace = "kube-system", service_account = "aws-node", policy = "AmazonEKS_CNI_Policy" }
      aws-ebs-csi-driver = { namespace = "kube-system", service_account = "ebs-csi-controller-sa", policy = "service-role/AmazonEBSCSIDriverPolicy" }
    },
    var.container_logs ? {
      amazon-cloudwatch-observability = { namespace = "amazon-cloudwatch", service_account = "cloudwatch-agent", policy = "CloudWatchAgentServerPolicy" }
    } : {},
  )

  addons_before_nodes = {
    eks-pod-identity-agent = {}
    kube-proxy             = {}
    # vpc-cni ignores the chart's network policies unless this is set.
    vpc-cni = { enableNetworkPolicy = "true" }
  }

  addons_after_nodes = merge(
    {
      coredns            = {}
      metrics-server     = {}
      aws-ebs-csi-driver = {}
    },
    var.container_logs ? { amazon-cloudwatch-observability = {} } : {},
  )
}

locals {
  # The service account that may assume each role, for add-ons and controllers.
  pod_accounts = merge(
    { for name, role in local.addon_roles : name => { namespace = role.namespace, service_account = role.service_account } },
    { for name in keys(local.controllers) : name => { namespace = "kube-system", service_account = name } },
  )
  pod_trust = {
    for name, account in local.pod_accounts : name => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Service = "pods.eks.amazonaws.com" }
        Action    = ["sts:AssumeRole", "sts:TagSession"]
        Condition = {
          StringEquals = {
            "aws:SourceAccount"                         = local.account
            "aws:RequestTag/kubernetes-namespace"       = account.namespace
            "aws:RequestTag/kubernetes-service-account" = account.service_account
          }
          ArnEquals = { "aws:SourceArn" = aws_eks_cluster.this.arn }
        }
      }]
    })
  }
}

resource "aws_iam_role" "addons" {
  for_each = local.addon_roles

  name               = "${var.name}-${each.key}"
  description        = "Add-on ${each.key} of the cluster ${var.name}"
  assume_role_policy = local.pod_trust[each.key]
  tags               = merge(local.tags, { Name = "${var.name}-${each.key}" })
}

resource "aws_iam_role_policy_attachment" "addons" {
  for_each = local.addon_roles

  role       = aws_iam_role.addons[each.key].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/${each.value.policy}"
}

# DaemonSets become active without nodes, and nodes need these add-ons to become ready.
resource "aws_eks_addon" "before_nodes" {
  for_each = local.addons_before_nodes

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  configuration_values        = length(each.value) > 0 ? jsonencode(each.value) : null
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"
  tags                        = merge(local.tags, { Name = "${var.name}-${each.key}" })

  dynamic "pod_identity_association" {
    for_each = contains(keys(local.addon_roles), each.key) ? [each.key] : []
    content {
      role_arn        = aws_iam_role.addons[each.key].arn
      service_account = local.addon_roles[each.key].service_account
    }
  }

  depends_on = [aws_iam_role_policy_attachment.addons]
}

# These add-ons become active only once their pods run, so they need nodes.
resource "aws_eks_addon" "after_nodes" {
  for_each = local.addons_after_nodes

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  configuration_values        = length(each.value) > 0 ? jsonencode(each.value) : null
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"
  tags                        = merge(local.tags, { Name = "${var.name}-${each.key}" })

  dynamic "pod_identity_association" {
    for_each = contains(keys(local.addon_roles), each.key) ? [each.key] : []
    content {
      role_arn        = aws_iam_role.addons[each.key].arn
      service_account = local.addon_roles[each.key].service_account
    }
  }

  depends_on = [aws_iam_role_policy_attachment.addons, aws_eks_node_group.this]
}
