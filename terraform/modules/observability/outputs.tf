output "topic_arn" {
  description = "ARN of the SNS topic that receives alarms. Subscribe other receivers to it."
  value       = aws_sns_topic.this.arn
}

output "alarm_names" {
  description = "Names of the alarms."
  value       = concat(aws_cloudwatch_metric_alarm.queue_age[*].alarm_name, aws_cloudwatch_metric_alarm.queue_dead[*].alarm_name, aws_cloudwatch_metric_alarm.database_space[*].alarm_name)
}

output "log_group_names" {
  description = "Names of the log groups that the module creates."
  value       = sort(keys(aws_cloudwatch_log_group.this))
}
