mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name = "tweets"
}

run "defaults" {
  command = plan

  assert {
    condition     = [for repository in aws_ecr_repository.this : repository.name] == ["tweets/tweet-sentiment-airflow", "tweets/tweet-sentiment-dashboard", "tweets/tweet-sentiment-mlflow", "tweets/tweet-sentiment-model-jobs", "tweets/tweet-sentiment-spark"]
    error_message = "each image has a repository prefixed with the name of the environment"
  }
  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.image_tag_mutability == "IMMUTABLE" && repository.image_scanning_configuration[0].scan_on_push && !repository.force_delete])
    error_message = "tags are immutable, pushes are scanned, and a repository with images is not deleted"
  }
  assert {
    condition     = jsondecode(aws_ecr_lifecycle_policy.this["spark"].policy).rules[1].selection.countNumber == 20
    error_message = "each repository keeps 20 images by default"
  }
}

run "options" {
  command = plan
  variables {
    images        = ["spark"]
    kept_images   = 3
    force_destroy = true
  }
  assert {
    condition     = length(aws_ecr_repository.this) == 1 && aws_ecr_repository.this["spark"].force_delete
    error_message = "one repository is created, and it is deleted with its images"
  }
  assert {
    condition     = jsondecode(aws_ecr_lifecycle_policy.this["spark"].policy).rules[1].selection.countNumber == 3
    error_message = "the repository keeps three images"
  }
}

run "refuses_a_bad_name" {
  command = plan
  variables {
    name = "t"
  }
  expect_failures = [var.name]
}

run "refuses_an_empty_list_of_images" {
  command = plan
  variables {
    images = []
  }
  expect_failures = [var.images]
}

run "refuses_keeping_only_one_image" {
  command = plan
  variables {
    kept_images = 1
  }
  expect_failures = [var.kept_images]
}
