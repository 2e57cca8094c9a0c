name   = "tweets-staging"
cidr   = "10.21.0.0/16"
admins = ["arn:aws:iam::111122223333:role/platform"] # replace with yours

nat                 = "one"
interface_endpoints = []
node_groups = {
  system    = { instance_types = ["m6i.large", "m5.large"], min = 1, max = 3 }
  drivers   = { instance_types = ["m6i.large", "m5.large"], min = 1, max = 2 }
  executors = { instance_types = ["m6i.large", "m5.large", "m5a.large"], capacity = "SPOT", min = 1, max = 3 }
}
database = { instance_class = "db.t4g.small", multi_zone = false, backup_days = 3, deletion_protection = false }

landing_days        = 30
dashboard_typing    = true
dashboard_labelling = true
force_destroy       = true
monthly_budget_usd  = 700
emails              = ["platform@example.com"] # replace with yours
