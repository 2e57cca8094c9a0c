# IAM roles of the controllers that scripts/cluster.sh installs. One service account in kube-system may assume each role,
# and each role may change only the resources of this cluster.
locals {
  region = data.aws_service.eks.region
  elb    = "arn:${local.partition}:elasticloadbalancing:${local.region}:${local.account}"
  ec2    = "arn:${local.partition}:ec2:${local.region}:${local.account}"
  # The AWS Load Balancer Controller tags its resources with the cluster name and prefixes their names with k8s-.
  owned_by_cluster   = { "aws:ResourceTag/elbv2.k8s.aws/cluster" = var.name }
  tagged_for_cluster = { "aws:RequestTag/elbv2.k8s.aws/cluster" = var.name }
  alb_resources      = ["${local.elb}:loadbalancer/app/k8s-*", "${local.elb}:targetgroup/k8s-*"]

  controllers = {
    cluster-autoscaler = jsonencode([
      {
        Sid    = "Describe"
        Effect = "Allow"
        # These actions do not support resource-level permissions.
        Action = [
          "autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingInstances", "autoscaling:DescribeLaunchConfigurations",
          "autoscaling:DescribeScalingActivities", "ec2:DescribeImages", "ec2:DescribeInstanceTypes",
          "ec2:DescribeLaunchTemplateVersions", "ec2:GetInstanceTypesFromInstanceRequirements",
        ]
        Resource = "*"
      },
      {
        Sid      = "DescribeNodeGroups"
        Effect   = "Allow"
        Action   = "eks:DescribeNodegroup"
        Resource = "${replace(aws_eks_cluster.this.arn, ":cluster/", ":nodegroup/")}/*"
      },
      {
        Sid       = "Scale"
        Effect    = "Allow"
        Action    = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:ResourceTag/k8s.io/cluster-autoscaler/${var.name}" = "owned" } }
      },
    ])

    # Permissions for the application load balancers of Ingresses only: none for WAF and Shield, which cluster.sh turns
    # off, and none for Cognito, certificate discovery and network load balancers.
    aws-load-balancer-controller = jsonencode([
      {
        Sid    = "Describe"
        Effect = "Allow"
        # These actions do not support resource-level permissions.
        Action = [
          "ec2:DescribeAccountAttributes", "ec2:DescribeAddresses", "ec2:DescribeAvailabilityZones", "ec2:DescribeInstances",
          "ec2:DescribeInternetGateways", "ec2:DescribeNetworkInterfaces", "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups",
          "ec2:DescribeSubnets", "ec2:DescribeTags", "ec2:DescribeVpcs", "ec2:GetSecurityGroupsForVpc",
          "elasticloadbalancing:DescribeCapacityReservation", "elasticloadbalancing:DescribeListenerAttributes",
          "elasticloadbalancing:DescribeListenerCertificates", "elasticloadbalancing:DescribeListeners",
          "elasticloadbalancing:DescribeLoadBalancerAttributes", "elasticloadbalancing:DescribeLoadBalancers",
          "elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeSSLPolicies", "elasticloadbalancing:DescribeTags",
          "elasticloadbalancing:DescribeTargetGroupAttributes", "elasticloadbalancing:DescribeTargetGroups",
          "elasticloadbalancing:DescribeTargetHealth", "elasticloadbalancing:DescribeTrustStores",
        ]
        Resource = "*"
      },
      {
        Sid       = "CreateServiceLinkedRole"
        Effect    = "Allow"
        Action    = "iam:CreateServiceLinkedRole"
        Resource  = "arn:${local.partition}:iam::${local.account}:role/aws-service-role/elasticloadbalancing.amazonaws.com/*"
        Condition = { StringEquals = { "iam:AWSServiceName" = "elasticloadbalancing.amazonaws.com" } }
      },
      {
        Sid       = "CreateLoadBalancers"
        Effect    = "Allow"
        Action    = ["elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup", "elasticloadbalancing:AddTags"]
        Resource  = local.alb_resources
        Condition = { StringEquals = local.tagged_for_cluster }
      },
      {
        Sid    = "ModifyLoadBalancers"
        Effect = "Allow"
        Action = [
          "elasticloadbalancing:AddTags", "elasticloadbalancing:DeleteLoadBalancer", "elasticloadbalancing:DeleteTargetGroup",
          "elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:ModifyLoadBalancerAttributes", "elasticloadbalancing:ModifyTargetGroup",
          "elasticloadbalancing:ModifyTargetGroupAttributes", "elasticloadbalancing:RegisterTargets", "elasticloadbalancing:RemoveTags",
          "elasticloadbalancing:SetIpAddressType", "elasticloadbalancing:SetSecurityGroups", "elasticloadbalancing:SetSubnets",
        ]
        Resource  = local.alb_resources
        Condition = { StringEquals = local.owned_by_cluster }
      },
      {
        Sid    = "ManageListeners"
        Effect = "Allow"
        Action = [
          "elasticloadbalancing:AddListenerCertificates", "elasticloadbalancing:AddTags", "elasticloadbalancing:CreateListener",
          "elasticloadbalancing:CreateRule", "elasticloadbalancing:DeleteListener", "elasticloadbalancing:DeleteRule",
          "elasticloadbalancing:ModifyListener", "elasticloadbalancing:ModifyListenerAttributes", "elasticloadbalancing:ModifyRule",
          "elasticloadbalancing:RemoveListenerCertificates", "elasticloadbalancing:RemoveTags", "elasticloadbalancing:SetRulePriorities",
        ]
        Resource = ["${local.elb}:listener/app/k8s-*", "${local.elb}:listener-rule/app/k8s-*"]
      },
      {
        # IAM also checks CreateListener against the load balancer.
        Sid       = "CreateListeners"
        Effect    = "Allow"
        Action    = "elasticloadbalancing:CreateListener"
        Resource  = "${local.elb}:loadbalancer/app/k8s-*"
        Condition = { StringEquals = local.owned_by_cluster }
      },
      {
        Sid      = "CreateSecurityGroupsInVpc"
        Effect   = "Allow"
        Action   = "ec2:CreateSecurityGroup"
        Resource = "${local.ec2}:vpc/${aws_eks_cluster.this.vpc_config[0].vpc_id}"
      },
      {
        Sid       = "CreateSecurityGroups"
        Effect    = "Allow"
        Action    = ["ec2:CreateSecurityGroup", "ec2:CreateTags"]
        Resource  = "${local.ec2}:security-group/*"
        Condition = { StringEquals = local.tagged_for_cluster }
      },
      {
        Sid       = "ModifySecurityGroups"
        Effect    = "Allow"
        Action    = ["ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags", "ec2:DeleteSecurityGroup", "ec2:DeleteTags", "ec2:RevokeSecurityGroupIngress"]
        Resource  = "${local.ec2}:security-group/*"
        Condition = { StringEquals = local.owned_by_cluster }
      },
      {
        # Traffic from the load balancers to the pods.
        Sid      = "OpenNodeSecurityGroup"
        Effect   = "Allow"
        Action   = ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
        Resource = "${local.ec2}:security-group/${aws_eks_cluster.this.vpc_config[0].cluster_security_group_id}"
      },
    ])
  }
}

resource "aws_iam_role" "controllers" {
  for_each = local.controllers

  name               = "${var.name}-${each.key}"
  description        = "${each.key} of the cluster ${var.name}"
  assume_role_policy = local.pod_trust[each.key]
  tags               = merge(local.tags, { Name = "${var.name}-${each.key}" })
}

resource "aws_iam_role_policy" "controllers" {
  for_each = local.controllers

  name   = "access"
  role   = aws_iam_role.controllers[each.key].id
  policy = jsonencode({ Version = "2012-10-17", Statement = jsondecode(each.value) })
}

resource "aws_eks_pod_identity_association" "controllers" {
  for_each = local.controllers

  cluster_name    = aws_eks_cluster.this.name
  namespace       = "kube-system"
  service_account = each.key
  role_arn        = aws_iam_role.controllers[each.key].arn
  tags            = merge(local.tags, { Name = "${var.name}-${each.key}" })
}
