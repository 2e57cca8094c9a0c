mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name   = "tweets-production"
  admins = ["arn:aws:iam::111122223333:role/platform"]
  node_groups = {
    system    = { instance_types = ["m6i.large"], min = 2, max = 4 }
    drivers   = { instance_types = ["m6i.large"], min = 2, max = 4 }
    executors = { instance_types = ["m6i.xlarge"], capacity = "SPOT", min = 2, max = 10 }
  }
  database           = { instance_class = "db.t4g.medium", multi_zone = true, backup_days = 14, deletion_protection = true }
  monthly_budget_usd = 1500
  emails             = ["platform@example.com"]
}

run "production" {
  command = plan

  assert {
    condition     = output.landing == "s3a://tweets-production-landing-111122223333/voc_volume/"
    error_message = "the URI of the landing zone contains the environment and the account"
  }
  assert {
    condition     = !contains(keys(output.service_accounts), "demo") && !output.dashboard_typing && !output.dashboard_labelling
    error_message = "generated and typed tweets and the labels of people are off by default"
  }
  assert {
    condition     = length(module.network.nat_addresses) == 3 && output.database.username == "tweets"
    error_message = "there are three NAT gateways and a database"
  }
  assert {
    condition     = join(",", module.observability.alarm_names) == "tweets-production-database-space"
    error_message = "there is no queue alarm without a queue"
  }
}

run "queue_gpu_and_irsa" {
  command = plan
  variables {
    method           = "irsa"
    landing_queue    = true
    dashboard_typing = true
    nat              = "one"
    node_groups = {
      system = { instance_types = ["m6i.large"], min = 1, max = 2 }
      gpu    = { instance_types = ["g5.xlarge"], max = 1 }
    }
  }
  assert {
    condition     = output.web_identity && output.dashboard_typing && length(module.network.nat_addresses) == 1
    error_message = "irsa, dashboard_typing and nat follow the variables"
  }
  assert {
    condition     = join(",", module.observability.alarm_names) == "tweets-production-landing-queue-age,tweets-production-landing-queue-dead,tweets-production-database-space"
    error_message = "the landing queue has its alarms"
  }
  assert {
    condition     = join(",", keys(output.node_groups)) == "gpu,system"
    error_message = "the node groups follow the variable"
  }
}
