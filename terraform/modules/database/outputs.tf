output "host" {
  description = "Host name of the database."
  value       = aws_db_instance.this.address
}

output "port" {
  description = "Port of the database."
  value       = aws_db_instance.this.port
}

output "username" {
  description = "Name of the first user."
  value       = aws_db_instance.this.username
}

output "secret_arn" {
  description = "ARN of the secret with the first user's password."
  value       = aws_db_instance.this.master_user_secret[0].secret_arn
}

output "identifier" {
  description = "Identifier of the instance, as CloudWatch's metrics name it."
  value       = aws_db_instance.this.identifier
}

output "key_arn" {
  description = "ARN of the key of the database and its password."
  value       = aws_kms_key.this.arn
}

output "security_group_id" {
  description = "Security group of the database."
  value       = aws_security_group.this.id
}
