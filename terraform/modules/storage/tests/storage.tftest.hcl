mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name = "tweets"
}

run "defaults" {
  command = plan

  assert {
    condition     = [for bucket in aws_s3_bucket.this : bucket.bucket] == ["tweets-lake-111122223333", "tweets-landing-111122223333"]
    error_message = "bucket names contain the account ID"
  }
  assert {
    condition     = alltrue([for bucket in aws_s3_bucket.this : !bucket.force_destroy]) && !aws_s3_bucket.logs.force_destroy
    error_message = "terraform destroy does not delete buckets with files by default"
  }
  assert {
    condition = alltrue([
      for block in concat(values(aws_s3_bucket_public_access_block.this), [aws_s3_bucket_public_access_block.logs]) :
      block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets
    ])
    error_message = "all public access is blocked"
  }
  assert {
    condition = alltrue([
      for rules in aws_s3_bucket_server_side_encryption_configuration.this :
      alltrue([for rule in rules.rule : rule.bucket_key_enabled && rule.apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms"])
    ])
    error_message = "landing and lake are encrypted with KMS and bucket keys"
  }
  assert {
    condition     = alltrue([for key in aws_kms_key.this : key.enable_key_rotation])
    error_message = "KMS keys are rotated"
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.landing.rule[0].filter[0].prefix == "voc_volume/" && aws_s3_bucket_lifecycle_configuration.landing.rule[0].expiration[0].days == 90
    error_message = "landed files expire after 90 days"
  }
  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.lake.rule) == 1 && aws_s3_bucket_lifecycle_configuration.lake.rule[0].expiration[0].expired_object_delete_marker
    error_message = "no S3 lifecycle rule expires current files of the lake"
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.lake.rule[0].noncurrent_version_expiration[0].noncurrent_days == 7
    error_message = "deleted files of the lake can be restored for a week"
  }
  assert {
    condition     = length(aws_sqs_queue.landing) == 0 && output.landing_queue_arn == null
    error_message = "there is no queue by default"
  }
  assert {
    condition     = [for logging in aws_s3_bucket_logging.this : logging.target_prefix] == ["lake/", "landing/"]
    error_message = "access to both buckets is logged"
  }
}

run "landing_without_expiry" {
  command = plan
  variables {
    landing_days = null
  }
  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.landing.rule : rule.id] == ["expire-noncurrent-versions"]
    error_message = "no rule expires landed files"
  }
}

run "disposable_environment" {
  command = plan
  variables {
    landing_days    = 14
    undelete_days   = 1
    access_log_days = 1
    landing_prefix  = "in/tweets"
    force_destroy   = true
  }
  assert {
    condition     = alltrue([for bucket in aws_s3_bucket.this : bucket.force_destroy]) && aws_s3_bucket.logs.force_destroy
    error_message = "terraform destroy deletes buckets with their files"
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.landing.rule[0].filter[0].prefix == "in/tweets/"
    error_message = "the expiry rule uses the landing prefix"
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.logs.rule[0].expiration[0].days == 1
    error_message = "access logs expire after access_log_days"
  }
}

run "queue" {
  command = plan
  variables {
    landing_queue = true
  }
  assert {
    condition     = aws_sqs_queue.landing[0].name == "tweets-landing" && aws_sqs_queue.landing[0].sqs_managed_sse_enabled && aws_sqs_queue.dead[0].sqs_managed_sse_enabled
    error_message = "the landing queue and its dead-letter queue are encrypted"
  }
  assert {
    condition     = aws_s3_bucket_notification.landing[0].queue[0].filter_prefix == "voc_volume/"
    error_message = "only files under the landing prefix send messages"
  }
}

run "refuses_a_bad_name" {
  command = plan
  variables {
    name = "an-environment-with-a-long-name"
  }
  expect_failures = [var.name]
}

run "refuses_a_short_landing_retention" {
  command = plan
  variables {
    landing_days = 3
  }
  expect_failures = [var.landing_days]
}

run "refuses_a_long_undelete_period" {
  command = plan
  variables {
    undelete_days = 365
  }
  expect_failures = [var.undelete_days]
}

run "refuses_zero_access_log_days" {
  command = plan
  variables {
    access_log_days = 0
  }
  expect_failures = [var.access_log_days]
}

run "refuses_a_prefix_with_outer_slashes" {
  command = plan
  variables {
    landing_prefix = "/voc_volume/"
  }
  expect_failures = [var.landing_prefix]
}
