# One configuration for staging and production. staging.tfvars and production.tfvars contain the differences.

locals {
  tags = { project = "tweet-sentiment", environment = var.name, managed-by = "terraform" }
}

module "network" {
  source = "../../modules/network"

  name                = var.name
  cidr                = var.cidr
  zone_count          = 3
  nat                 = var.nat
  interface_endpoints = var.interface_endpoints
  flow_log_days       = 90
  tags                = local.tags
}

module "cluster" {
  source = "../../modules/cluster"

  name                = var.name
  kubernetes_version  = var.kubernetes_version
  subnet_ids          = module.network.private_subnet_ids
  public_access_cidrs = var.public_access_cidrs
  admins              = var.admins
  viewers             = var.viewers
  node_groups         = var.node_groups
  # This expression makes Terraform create the log groups before the add-on, which would otherwise create them without a
  # retention period.
  container_logs = length(module.observability.log_group_names) > 0
  irsa           = var.method == "irsa"
  log_days       = 90
  tags           = local.tags
}

module "storage" {
  source = "../../modules/storage"

  name          = var.name
  landing_days  = var.landing_days
  landing_queue = var.landing_queue
  force_destroy = var.force_destroy
  tags          = local.tags
}

module "registry" {
  source = "../../modules/registry"

  name          = var.name
  force_destroy = var.force_destroy
  tags          = local.tags
}

module "database" {
  source = "../../modules/database"

  name                   = var.name
  vpc_id                 = module.network.vpc_id
  subnet_ids             = module.network.database_subnet_ids
  client_security_groups = { nodes = module.cluster.security_group_id }
  instance_class         = var.database.instance_class
  multi_zone             = var.database.multi_zone
  backup_days            = var.database.backup_days
  deletion_protection    = var.database.deletion_protection
  final_snapshot         = !var.force_destroy
  tags                   = local.tags
}

module "identity" {
  source = "../../modules/identity"

  name                = var.name
  cluster_name        = module.cluster.name
  cluster_arn         = module.cluster.arn
  method              = var.method
  oidc_provider_arn   = module.cluster.oidc_provider_arn
  namespaces          = { platform = "tweet-sentiment", streams = "tweet-sentiment-streams" }
  landing_queue       = var.landing_queue ? { arn = module.storage.landing_queue_arn } : null
  landing             = { bucket_arn = module.storage.landing_arn, key_arn = module.storage.landing_key_arn, prefix = module.storage.landing_prefix }
  lake                = { bucket_arn = module.storage.lake_arn, key_arn = module.storage.lake_key_arn }
  dashboard_typing    = var.dashboard_typing
  dashboard_labelling = var.dashboard_labelling
  tags                = local.tags
}

module "observability" {
  source = "../../modules/observability"

  name               = var.name
  monthly_budget_usd = var.monthly_budget_usd
  emails             = var.emails
  database           = { identifier = module.database.identifier }
  queue              = var.landing_queue ? { name = module.storage.landing_queue_name, dead_name = module.storage.landing_dead_queue_name } : null
  log_groups = {
    "/aws/containerinsights/${var.name}/application" = 30
    "/aws/containerinsights/${var.name}/dataplane"   = 30
    "/aws/containerinsights/${var.name}/host"        = 30
    "/aws/containerinsights/${var.name}/performance" = 14
  }
  tags = local.tags
}
