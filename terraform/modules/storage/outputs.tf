output "landing_bucket" {
  description = "Name of the landing bucket."
  value       = aws_s3_bucket.this["landing"].bucket
}

output "lake_bucket" {
  description = "Name of the lake bucket, which holds the Delta tables."
  value       = aws_s3_bucket.this["lake"].bucket
}

output "landing_arn" {
  description = "ARN of the landing bucket."
  value       = aws_s3_bucket.this["landing"].arn
}

output "lake_arn" {
  description = "ARN of the lake bucket."
  value       = aws_s3_bucket.this["lake"].arn
}

output "landing_key_arn" {
  description = "ARN of the KMS key of the landing bucket."
  value       = aws_kms_key.this["landing"].arn
}

output "lake_key_arn" {
  description = "ARN of the KMS key of the lake bucket."
  value       = aws_kms_key.this["lake"].arn
}

output "landing_prefix" {
  description = "Prefix under which tweets land."
  value       = var.landing_prefix
}

output "access_logs_bucket" {
  description = "Name of the bucket with the access logs of the landing and lake buckets."
  value       = aws_s3_bucket.logs.bucket
}

output "landing_queue_name" {
  description = "Name of the landing queue. Null unless `landing_queue` is true."
  value       = one(aws_sqs_queue.landing[*].name)
}

output "landing_dead_queue_name" {
  description = "Name of the dead-letter queue of the landing queue. Null unless `landing_queue` is true."
  value       = one(aws_sqs_queue.dead[*].name)
}

output "landing_queue_arn" {
  description = "ARN of the landing queue. Null unless `landing_queue` is true."
  value       = one(aws_sqs_queue.landing[*].arn)
}

output "landing_queue_url" {
  description = "URL of the landing queue. Null unless `landing_queue` is true."
  value       = one(aws_sqs_queue.landing[*].url)
}
