mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                   = "tweets"
  vpc_id                 = "vpc-1"
  subnet_ids             = ["subnet-1", "subnet-2"]
  client_security_groups = { nodes = "sg-1" }
}

run "defaults" {
  command = plan

  assert {
    condition     = aws_db_instance.this.storage_encrypted && !aws_db_instance.this.publicly_accessible && aws_db_instance.this.deletion_protection
    error_message = "the database is encrypted, private and protected from deletion"
  }
  assert {
    condition     = aws_db_instance.this.manage_master_user_password && aws_db_instance.this.password == null
    error_message = "RDS manages the master password, and Terraform never sees it"
  }
  assert {
    condition     = aws_db_instance.this.engine_version == "17" && aws_db_parameter_group.this.family == "postgres17" && aws_db_instance.this.backup_retention_period == 7
    error_message = "the default is Postgres 17 with seven days of backups"
  }
  assert {
    condition     = contains([for parameter in aws_db_parameter_group.this.parameter : "${parameter.name}=${parameter.value}"], "rds.force_ssl=1")
    error_message = "connections require TLS"
  }
  assert {
    condition     = [for rule in aws_vpc_security_group_ingress_rule.clients : rule.referenced_security_group_id] == ["sg-1"] && aws_vpc_security_group_ingress_rule.clients["nodes"].from_port == 5432 && aws_vpc_security_group_ingress_rule.clients["nodes"].cidr_ipv4 == null
    error_message = "only the listed security groups may connect"
  }
  assert {
    condition     = !aws_db_instance.this.skip_final_snapshot && aws_db_instance.this.final_snapshot_identifier == "tweets-final"
    error_message = "a final snapshot is taken by default"
  }
}

run "options" {
  command = plan
  variables {
    postgres_version    = "16"
    instance_class      = "db.m7g.large"
    storage_gib         = { first = 50, most = 200 }
    multi_zone          = true
    backup_days         = 35
    deletion_protection = false
    final_snapshot      = false
  }
  assert {
    condition     = aws_db_instance.this.multi_az && aws_db_instance.this.allocated_storage == 50 && aws_db_instance.this.max_allocated_storage == 200
    error_message = "the instance has a standby and the requested storage"
  }
  assert {
    condition     = aws_db_instance.this.skip_final_snapshot && !aws_db_instance.this.deletion_protection && aws_db_instance.this.delete_automated_backups
    error_message = "the database can be destroyed without a snapshot or backups"
  }
  assert {
    condition     = aws_db_parameter_group.this.family == "postgres16"
    error_message = "the parameter group matches the Postgres version"
  }
}

run "refuses_a_bad_name" {
  command = plan
  variables {
    name = "9tweets"
  }
  expect_failures = [var.name]
}

run "refuses_one_subnet" {
  command = plan
  variables {
    subnet_ids = ["subnet-1"]
  }
  expect_failures = [var.subnet_ids]
}

run "refuses_an_unsupported_postgres_version" {
  command = plan
  variables {
    postgres_version = "12"
  }
  expect_failures = [var.postgres_version]
}

run "refuses_a_micro_instance" {
  command = plan
  variables {
    instance_class = "db.t4g.micro"
  }
  expect_failures = [var.instance_class]
}

run "refuses_storage_without_room_to_grow" {
  command = plan
  variables {
    storage_gib = { first = 20, most = 20 }
  }
  expect_failures = [var.storage_gib]
}

run "refuses_zero_backup_days" {
  command = plan
  variables {
    backup_days = 0
  }
  expect_failures = [var.backup_days]
}
