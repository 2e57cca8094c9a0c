output "registry" {
  description = "Registry prefix before /tweet-sentiment-<image>: the chart's image.registry."
  value       = trimsuffix(values(aws_ecr_repository.this)[0].repository_url, "/tweet-sentiment-${keys(aws_ecr_repository.this)[0]}")
}

output "repository_urls" {
  description = "URL of each image's repository."
  value       = { for image, repository in aws_ecr_repository.this : image => repository.repository_url }
}

output "repository_arns" {
  description = "ARN of each image's repository."
  value       = { for image, repository in aws_ecr_repository.this : image => repository.arn }
}
