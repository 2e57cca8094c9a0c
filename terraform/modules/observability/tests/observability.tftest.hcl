mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name               = "tweets"
  monthly_budget_usd = 100
}

run "defaults" {
  command = plan

  assert {
    condition     = aws_budgets_budget.this.limit_amount == "100"
    error_message = "the budget has the requested limit in US dollars"
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.queue_age) + length(aws_cloudwatch_metric_alarm.database_space) + length(aws_sns_topic_subscription.email) == 0
    error_message = "there are no alarms and no subscriptions by default"
  }
}

run "all_alarms" {
  command = plan
  variables {
    emails     = ["platform@example.com"]
    log_groups = { "/aws/containerinsights/tweets/application" = 30 }
    database   = { identifier = "tweets" }
    queue      = { name = "tweets-landing", dead_name = "tweets-landing-dead", age_seconds = 600 }
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.database_space[0].threshold == 5 * 1024 * 1024 * 1024 && aws_cloudwatch_metric_alarm.database_space[0].treat_missing_data == "breaching"
    error_message = "the database alarm is raised below 5 GiB of free storage and on missing metrics"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.queue_age[0].threshold == 600 && aws_cloudwatch_metric_alarm.queue_age[0].dimensions.QueueName == "tweets-landing" && aws_cloudwatch_metric_alarm.queue_dead[0].dimensions.QueueName == "tweets-landing-dead"
    error_message = "the queue alarms monitor the age of the oldest message and the dead-letter queue"
  }
  assert {
    condition     = join(",", output.alarm_names) == "tweets-landing-queue-age,tweets-landing-queue-dead,tweets-database-space" && join(",", output.log_group_names) == "/aws/containerinsights/tweets/application"
    error_message = "the outputs list all alarms and log groups"
  }
  assert {
    condition     = aws_cloudwatch_log_group.this["/aws/containerinsights/tweets/application"].retention_in_days == 30
    error_message = "the log group has the requested retention"
  }
}

run "refuses_a_bad_name" {
  command = plan
  variables {
    name = "Tweets"
  }
  expect_failures = [var.name]
}

run "refuses_an_unknown_retention" {
  command = plan
  variables {
    log_groups = { "/a" = 31 }
  }
  expect_failures = [var.log_groups]
}

run "refuses_an_invalid_email" {
  command = plan
  variables {
    emails = ["platform"]
  }
  expect_failures = [var.emails]
}

run "refuses_a_zero_budget" {
  command = plan
  variables {
    monthly_budget_usd = 0
  }
  expect_failures = [var.monthly_budget_usd]
}

run "refuses_a_zero_storage_threshold" {
  command = plan
  variables {
    database = { identifier = "tweets", free_gib = 0 }
  }
  expect_failures = [var.database]
}

run "refuses_an_age_below_a_minute" {
  command = plan
  variables {
    queue = { name = "tweets-landing", dead_name = "tweets-landing-dead", age_seconds = 5 }
  }
  expect_failures = [var.queue]
}
