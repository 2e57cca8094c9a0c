locals {
  node_label = "tweet-sentiment/nodes"
}

resource "aws_iam_role" "nodes" {
  name        = "${var.name}-nodes"
  description = "Nodes of the cluster ${var.name}; pods have their own roles"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
  tags = merge(local.tags, { Name = "${var.name}-nodes" })
}

resource "aws_iam_role_policy_attachment" "nodes" {
  for_each = toset(["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"])

  role       = aws_iam_role.nodes.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/${each.key}"
}

resource "aws_launch_template" "nodes" {
  for_each = var.node_groups

  name_prefix            = "${var.name}-${each.key}-"
  description            = "Nodes ${each.key} of the cluster ${var.name}"
  update_default_version = true

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_type           = "gp3"
      volume_size           = each.value.disk_gib
      encrypted             = true
      delete_on_termination = true
    }
  }

  metadata_options {
    http_tokens = "required"
    # A hop limit of 1 stops at the node, so no pod can use the node's role.
    http_put_response_hop_limit = 1
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume", "network-interface"]
    content {
      resource_type = tag_specifications.value
      tags          = merge(local.tags, { Name = "${var.name}-${each.key}" })
    }
  }

  tags = merge(local.tags, { Name = "${var.name}-${each.key}" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_eks_node_group" "this" {
  for_each = var.node_groups

  cluster_name           = aws_eks_cluster.this.name
  node_group_name_prefix = "${each.key}-"
  node_role_arn          = aws_iam_role.nodes.arn
  subnet_ids             = var.subnet_ids
  version                = var.kubernetes_version
  ami_type               = each.key == "gpu" ? "AL2023_x86_64_NVIDIA" : "AL2023_x86_64_STANDARD"
  capacity_type          = each.value.capacity
  instance_types         = each.value.instance_types
  labels                 = { (local.node_label) = each.key }

  launch_template {
    id      = aws_launch_template.nodes[each.key].id
    version = aws_launch_template.nodes[each.key].latest_version
  }

  scaling_config {
    min_size     = each.value.min
    max_size     = each.value.max
    desired_size = each.value.min
  }

  update_config {
    max_unavailable = 1
  }

  dynamic "taint" {
    for_each = each.key == "system" ? [] : [each.key]
    content {
      key    = local.node_label
      value  = taint.value
      effect = "NO_SCHEDULE"
    }
  }

  # The cluster autoscaler discovers node groups by these tags. It reads the labels and taints of empty groups from EKS.
  tags = merge(local.tags, {
    Name                                    = "${var.name}-${each.key}"
    "k8s.io/cluster-autoscaler/enabled"     = "true"
    "k8s.io/cluster-autoscaler/${var.name}" = "owned"
    "tweet-sentiment/nodes"                 = each.key
  })

  lifecycle {
    create_before_destroy = true
    # The cluster autoscaler changes the desired size.
    ignore_changes = [scaling_config[0].desired_size]
  }

  # vpc-cni assigns pod addresses: without this add-on, no node becomes ready.
  depends_on = [aws_iam_role_policy_attachment.nodes, aws_eks_addon.before_nodes]
}
