locals {
  queues = var.landing_queue ? 1 : 0
}

resource "aws_sqs_queue" "dead" {
  count = local.queues

  name                      = "${var.name}-landing-dead"
  message_retention_seconds = 14 * 24 * 3600
  sqs_managed_sse_enabled   = true
  tags                      = merge(local.tags, { Name = "${var.name}-landing-dead" })
}

resource "aws_sqs_queue" "landing" {
  count = local.queues

  name                       = "${var.name}-landing"
  message_retention_seconds  = 4 * 24 * 3600
  visibility_timeout_seconds = 300
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true
  redrive_policy             = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead[0].arn, maxReceiveCount = 5 })
  tags                       = merge(local.tags, { Name = "${var.name}-landing" })
}

resource "aws_sqs_queue_policy" "landing" {
  count = local.queues

  queue_url = aws_sqs_queue.landing[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "LandingBucketSends"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.landing[0].arn
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.account }
          ArnEquals    = { "aws:SourceArn" = aws_s3_bucket.this["landing"].arn }
        }
      },
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = "sqs:*"
        Resource  = aws_sqs_queue.landing[0].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_s3_bucket_notification" "landing" {
  count = local.queues

  bucket = aws_s3_bucket.this["landing"].id
  queue {
    queue_arn     = aws_sqs_queue.landing[0].arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "${var.landing_prefix}/"
  }

  # S3 sends a test message when the notification is created, and rejects the notification if delivery is denied.
  depends_on = [aws_sqs_queue_policy.landing]
}
