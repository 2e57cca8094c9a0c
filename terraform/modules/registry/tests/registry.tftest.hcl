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
    error_message = "a repository for each image, under the name of the environment"
  }
  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.image_tag_mutability == "IMMUTABLE" && repository.image_scanning_configuration[0].scan_on_push && !repository.force_delete])
    error_message = "tags never move, pushes are scanned, images are not deleted with the repository"
  }
  assert {
    condition     = jsondecode(aws_ecr_lifecycle_policy.this["spark"].policy).rules[1].selection.countNumber == 20
    error_message = "twenty images are kept"
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
    error_message = "one repository, removed with its images"
  }
  assert {
    condition     = jsondecode(aws_ecr_lifecycle_policy.this["spark"].policy).rules[1].selection.countNumber == 3
    error_message = "three images are kept"
  }
}

run "refuses_a_bad_name" {
  command = plan
  variables {
    name = "t"
  }
  expect_failures = [var.name]
}

run "refuses_no_images" {
  command = plan
  variables {
    images = []
  }
  expect_failures = [var.images]
}

run "refuses_to_keep_only_one" {
  command = plan
  variables {
    kept_images = 1
  }
  expect_failures = [var.kept_images]
}
