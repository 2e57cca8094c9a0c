mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name       = "tweets"
  subnet_ids = ["subnet-1", "subnet-2", "subnet-3"]
  admins     = ["arn:aws:iam::111122223333:role/platform"]
}

run "defaults" {
  command = plan

  assert {
    condition     = aws_eks_cluster.this.version == "1.35" && aws_eks_cluster.this.upgrade_policy[0].support_type == "STANDARD"
    error_message = "the default is Kubernetes 1.35 with standard support"
  }
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "the API endpoint is private by default"
  }
  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].resources == toset(["secrets"]) && length(aws_eks_cluster.this.enabled_cluster_log_types) == 5
    error_message = "Secrets are encrypted and all five control plane log types are enabled"
  }
  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API" && !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions
    error_message = "only access entries grant access, not the creation of the cluster"
  }
  assert {
    condition     = endswith(aws_eks_access_policy_association.this["arn:aws:iam::111122223333:role/platform"].policy_arn, "/AmazonEKSClusterAdminPolicy")
    error_message = "admins get the cluster admin policy"
  }
  assert {
    condition     = keys(aws_eks_node_group.this) == ["drivers", "executors", "system"]
    error_message = "there is no GPU node group by default"
  }
  assert {
    condition     = [for use, group in aws_eks_node_group.this : "${use} ${group.capacity_type} ${join(",", [for taint in group.taint : "${taint.key}=${taint.value}:${taint.effect}"])}"] == ["drivers ON_DEMAND tweet-sentiment/nodes=drivers:NO_SCHEDULE", "executors SPOT tweet-sentiment/nodes=executors:NO_SCHEDULE", "system ON_DEMAND "]
    error_message = "drivers run on demand, executors on spot, and both groups are tainted"
  }
  assert {
    condition     = alltrue([for use, group in aws_eks_node_group.this : group.labels["tweet-sentiment/nodes"] == use && group.tags["k8s.io/cluster-autoscaler/tweets"] == "owned"])
    error_message = "node groups carry the label for pods and the tag for the autoscaler"
  }
  assert {
    condition     = alltrue([for template in aws_launch_template.nodes : template.metadata_options[0].http_tokens == "required" && template.metadata_options[0].http_put_response_hop_limit == 1 && template.block_device_mappings[0].ebs[0].encrypted == "true"])
    error_message = "nodes require IMDSv2 with a hop limit of 1 and encrypted disks"
  }
  assert {
    condition     = jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).enableNetworkPolicy == "true"
    error_message = "vpc-cni enforces network policies"
  }
  assert {
    condition     = setunion(keys(aws_eks_addon.before_nodes), keys(aws_eks_addon.after_nodes)) == toset(["vpc-cni", "kube-proxy", "eks-pod-identity-agent", "coredns", "metrics-server", "aws-ebs-csi-driver"])
    error_message = "exactly these add-ons are installed by default"
  }
  assert {
    condition     = aws_cloudwatch_log_group.control_plane.name == "/aws/eks/tweets/cluster" && aws_cloudwatch_log_group.control_plane.retention_in_days == 30
    error_message = "the log group of the control plane expires logs after 30 days"
  }
  assert {
    condition     = length(aws_iam_openid_connect_provider.this) == 0 && keys(aws_eks_pod_identity_association.controllers) == ["aws-load-balancer-controller", "cluster-autoscaler"]
    error_message = "the controllers use Pod Identity by default, without an OpenID Connect provider"
  }
}

run "public_endpoint" {
  command = plan
  variables {
    public_access_cidrs = ["203.0.113.7/32"]
    viewers             = ["arn:aws:iam::111122223333:role/readers"]
  }
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_public_access && aws_eks_cluster.this.vpc_config[0].public_access_cidrs == toset(["203.0.113.7/32"])
    error_message = "the API endpoint is public for one address only"
  }
  assert {
    condition     = endswith(aws_eks_access_policy_association.this["arn:aws:iam::111122223333:role/readers"].policy_arn, "/AmazonEKSViewPolicy")
    error_message = "viewers get the view policy"
  }
}

run "gpu" {
  command = plan
  variables {
    node_groups = {
      system = { instance_types = ["m6i.large"], min = 1, max = 2 }
      gpu    = { instance_types = ["g5.xlarge"], capacity = "SPOT", max = 2, disk_gib = 100 }
    }
  }
  assert {
    condition     = aws_eks_node_group.this["gpu"].ami_type == "AL2023_x86_64_NVIDIA" && aws_eks_node_group.this["gpu"].scaling_config[0].min_size == 0
    error_message = "GPU nodes use the NVIDIA image and scale from zero"
  }
  assert {
    condition     = aws_eks_node_group.this["system"].ami_type == "AL2023_x86_64_STANDARD" && length(aws_eks_node_group.this) == 2
    error_message = "other nodes use the standard image"
  }
  assert {
    condition     = output.node_groups["gpu"].tainted && !output.node_groups["system"].tainted
    error_message = "the output says which groups are tainted"
  }
}

run "irsa_logs_and_extended_support" {
  command = plan
  variables {
    irsa               = true
    container_logs     = true
    log_types          = ["audit"]
    log_days           = 7
    support            = "EXTENDED"
    kubernetes_version = "1.34"
  }
  assert {
    condition     = length(aws_iam_openid_connect_provider.this) == 1
    error_message = "irsa registers the OpenID Connect provider"
  }
  assert {
    condition     = contains(keys(aws_eks_addon.after_nodes), "amazon-cloudwatch-observability") && contains(keys(aws_iam_role.addons), "amazon-cloudwatch-observability")
    error_message = "container_logs installs the CloudWatch add-on with its role"
  }
  assert {
    condition     = aws_eks_cluster.this.version == "1.34" && aws_eks_cluster.this.upgrade_policy[0].support_type == "EXTENDED" && aws_eks_cluster.this.enabled_cluster_log_types == toset(["audit"])
    error_message = "version, support type and log types follow the variables"
  }
}

run "refuses_a_bad_name" {
  command = plan
  variables {
    name = "t!"
  }
  expect_failures = [var.name]
}

run "refuses_an_unsupported_kubernetes_version" {
  command = plan
  variables {
    kubernetes_version = "1.29"
  }
  expect_failures = [var.kubernetes_version]
}

run "refuses_standard_support_after_its_end" {
  command = plan
  variables {
    kubernetes_version = "1.34"
  }
  expect_failures = [aws_eks_cluster.this]
}

run "refuses_an_unknown_support_type" {
  command = plan
  variables {
    support = "BASIC"
  }
  expect_failures = [var.support]
}

run "refuses_one_subnet" {
  command = plan
  variables {
    subnet_ids = ["subnet-1"]
  }
  expect_failures = [var.subnet_ids]
}

run "refuses_a_public_endpoint_open_to_the_internet" {
  command = plan
  variables {
    public_access_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.public_access_cidrs]
}

run "refuses_no_admins" {
  command = plan
  variables {
    admins = []
  }
  expect_failures = [var.admins]
}

run "refuses_a_session_as_admin" {
  command = plan
  variables {
    admins = ["arn:aws:sts::111122223333:assumed-role/platform/me"]
  }
  expect_failures = [var.admins]
}

run "refuses_a_session_as_viewer" {
  command = plan
  variables {
    viewers = ["arn:aws:sts::111122223333:assumed-role/readers/me"]
  }
  expect_failures = [var.viewers]
}

run "refuses_node_groups_without_system" {
  command = plan
  variables {
    node_groups = { executors = { instance_types = ["m6i.large"], max = 1 } }
  }
  expect_failures = [var.node_groups]
}

run "refuses_an_unknown_node_group" {
  command = plan
  variables {
    node_groups = { system = { instance_types = ["m6i.large"], min = 1, max = 1 }, others = { instance_types = ["m6i.large"], max = 1 } }
  }
  expect_failures = [var.node_groups]
}

run "refuses_an_unknown_capacity" {
  command = plan
  variables {
    node_groups = { system = { instance_types = ["m6i.large"], min = 1, max = 1, capacity = "CHEAP" } }
  }
  expect_failures = [var.node_groups]
}

run "refuses_drivers_on_spot" {
  command = plan
  variables {
    node_groups = { system = { instance_types = ["m6i.large"], min = 1, max = 1 }, drivers = { instance_types = ["m6i.large"], max = 1, capacity = "SPOT" } }
  }
  expect_failures = [var.node_groups]
}

run "refuses_min_above_max" {
  command = plan
  variables {
    node_groups = { system = { instance_types = ["m6i.large"], min = 2, max = 1 } }
  }
  expect_failures = [var.node_groups]
}

run "refuses_zero_system_nodes" {
  command = plan
  variables {
    node_groups = { system = { instance_types = ["m6i.large"], min = 0, max = 1 } }
  }
  expect_failures = [var.node_groups]
}

run "refuses_a_small_disk" {
  command = plan
  variables {
    node_groups = { system = { instance_types = ["m6i.large"], min = 1, max = 1, disk_gib = 10 } }
  }
  expect_failures = [var.node_groups]
}

run "refuses_an_unknown_log_type" {
  command = plan
  variables {
    log_types = ["kubelet"]
  }
  expect_failures = [var.log_types]
}

run "refuses_an_unknown_retention" {
  command = plan
  variables {
    log_days = 31
  }
  expect_failures = [var.log_days]
}
