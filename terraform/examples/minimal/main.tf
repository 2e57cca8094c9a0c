# The cheapest environment that runs everything: one NAT gateway, small spot nodes, Postgres in the cluster, and buckets
# and repositories that `terraform destroy` deletes with their contents. For evaluation, not for tweets that you need to
# keep.

locals {
  tags = { project = "tweet-sentiment", environment = var.name, managed-by = "terraform" }
}

module "network" {
  source = "../../modules/network"

  name          = var.name
  zone_count    = 2
  nat           = "one"
  flow_log_days = 7
  tags          = local.tags
}

module "cluster" {
  source = "../../modules/cluster"

  name                = var.name
  subnet_ids          = module.network.private_subnet_ids
  public_access_cidrs = var.public_access_cidrs
  admins              = var.admins
  irsa                = var.method == "irsa"
  log_types           = ["audit", "authenticator"]
  log_days            = 7
  tags                = local.tags

  # One group for all pods: a driver on a reclaimed spot node restarts elsewhere within minutes, from its checkpoint.
  node_groups = {
    system = {
      instance_types = ["t3.large", "t3a.large", "m5.large", "m6i.large"]
      capacity       = "SPOT"
      min            = 2
      max            = 3
    }
  }
}

module "storage" {
  source = "../../modules/storage"

  name            = var.name
  landing_days    = 30
  undelete_days   = 1
  access_log_days = 7
  force_destroy   = true
  tags            = local.tags
}

module "registry" {
  source = "../../modules/registry"

  name          = var.name
  kept_images   = 5
  force_destroy = true
  tags          = local.tags
}

module "identity" {
  source = "../../modules/identity"

  name                = var.name
  cluster_name        = module.cluster.name
  cluster_arn         = module.cluster.arn
  method              = var.method
  oidc_provider_arn   = module.cluster.oidc_provider_arn
  namespaces          = { platform = "tweet-sentiment", streams = "tweet-sentiment-streams" }
  landing             = { bucket_arn = module.storage.landing_arn, key_arn = module.storage.landing_key_arn, prefix = module.storage.landing_prefix }
  lake                = { bucket_arn = module.storage.lake_arn, key_arn = module.storage.lake_key_arn }
  demo                = true
  dashboard_typing    = true
  dashboard_labelling = true
  tags                = local.tags
}

module "observability" {
  source = "../../modules/observability"

  name               = var.name
  monthly_budget_usd = var.monthly_budget_usd
  emails             = var.emails
  tags               = local.tags
}
