name   = "tweets-production"
cidr   = "10.20.0.0/16"
admins = ["arn:aws:iam::111122223333:role/platform"] # replace with yours

nat = "per_zone"
node_groups = {
  system    = { instance_types = ["m6i.large", "m5.large"], min = 2, max = 4 }
  drivers   = { instance_types = ["m6i.large", "m5.large"], min = 2, max = 4 }
  executors = { instance_types = ["m6i.xlarge", "m5.xlarge", "m5a.xlarge", "m6a.xlarge"], capacity = "SPOT", min = 2, max = 10 }
  # gpu     = { instance_types = ["g5.xlarge", "g6.xlarge"], capacity = "SPOT", min = 0, max = 2, disk_gib = 100 }
}
database = { instance_class = "db.t4g.medium", multi_zone = true, backup_days = 14, deletion_protection = true }

monthly_budget_usd = 1500
emails             = ["platform@example.com"] # replace with yours
