output "landing_bucket" {
  description = "Name of the bucket in which tweets land."
  value       = aws_s3_bucket.this["landing"].bucket
}

output "lake_bucket" {
  description = "Name of the bucket of the Delta tables."
  value       = aws_s3_bucket.this["lake"].bucket
}

output "landing_arn" {
  description = "ARN of the landing bucket."
  value       = aws_s3_bucket.this["landing"].arn
}

output "lake_arn" {
  description = "ARN of the lake's bucket."
  value       = aws_s3_bucket.this["lake"].arn
}

output "landing_key_arn" {
  description = "ARN of the key of the landing bucket."
  value       = aws_kms_key.this["landing"].arn
}

output "lake_key_arn" {
  description = "ARN of the key of the lake's bucket."
  value       = aws_kms_key.this["lake"].arn
}

output "landing_prefix" {
  description = "Prefix under which tweets land."
  value       = var.landing_prefix
}

output "access_logs_bucket" {
  description = "Name of the bucket with the access logs of the other two."
  value       = aws_s3_bucket.logs.bucket
}

output "landing_queue_name" {
  description = "Name of the queue that hears of landed files; null without one."
  value       = one(aws_sqs_queue.landing[*].name)
}

output "landing_dead_queue_name" {
  description = "Name of the queue of messages that no consumer could handle; null without one."
  value       = one(aws_sqs_queue.dead[*].name)
}

output "landing_queue_arn" {
  description = "ARN of the queue that hears of landed files; null without one."
  value       = one(aws_sqs_queue.landing[*].arn)
}

output "landing_queue_url" {
  description = "URL of the queue that hears of landed files; null without one."
  value       = one(aws_sqs_queue.landing[*].url)
}
