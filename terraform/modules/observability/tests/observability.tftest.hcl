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
    error_message = "the budget, in dollars"
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.queue_age) + length(aws_cloudwatch_metric_alarm.database_space) + length(aws_sns_topic_subscription.email) == 0
    error_message = "nothing to watch unless named"
  }
}

run "all" {
  command = plan
  variables {
    emails     = ["platform@example.com"]
    log_groups = { "/aws/containerinsights/tweets/application" = 30 }
    database   = { identifier = "tweets" }
    queue      = { name = "tweets-landing", dead_name = "tweets-landing-dead", age_seconds = 600 }
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.database_space[0].threshold == 5 * 1024 * 1024 * 1024 && aws_cloudwatch_metric_alarm.database_space[0].treat_missing_data == "breaching"
    error_message = "below 5 GiB, or silent"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.queue_age[0].threshold == 600 && aws_cloudwatch_metric_alarm.queue_age[0].dimensions.QueueName == "tweets-landing" && aws_cloudwatch_metric_alarm.queue_dead[0].dimensions.QueueName == "tweets-landing-dead"
    error_message = "the age of the oldest message, and any that nobody could handle"
  }
  assert {
    condition     = join(",", output.alarm_names) == "tweets-landing-queue-age,tweets-landing-queue-dead,tweets-database-space" && join(",", output.log_group_names) == "/aws/containerinsights/tweets/application"
    error_message = "all of them are named"
  }
  assert {
    condition     = aws_cloudwatch_log_group.this["/aws/containerinsights/tweets/application"].retention_in_days == 30
    error_message = "logs have an end"
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

run "refuses_what_is_no_address" {
  command = plan
  variables {
    emails = ["platform"]
  }
  expect_failures = [var.emails]
}

run "refuses_no_budget" {
  command = plan
  variables {
    monthly_budget_usd = 0
  }
  expect_failures = [var.monthly_budget_usd]
}

run "refuses_a_database_without_a_limit" {
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
