mock_provider "aws" {
  source = "../../mocks"
}

variables {
  admins              = ["arn:aws:iam::111122223333:role/platform"]
  public_access_cidrs = ["203.0.113.7/32"]
}

run "defaults" {
  command = plan

  assert {
    condition     = output.landing == "s3a://tweets-try-landing-111122223333/voc_volume/" && output.lake == "s3a://tweets-try-lake-111122223333/lake" && output.mlflow_artifacts == "s3://tweets-try-lake-111122223333/mlflow"
    error_message = "the URIs of landing zone, lake and artifacts have the schemes that the programs expect"
  }
  assert {
    condition     = output.database == null && keys(output.node_groups) == ["system"] && length(output.service_accounts) == 9 && contains(keys(output.service_accounts), "demo")
    error_message = "Postgres runs in the cluster, there is one node group, and the demo has a role"
  }
}

run "irsa" {
  command = plan
  variables {
    method = "irsa"
  }
  assert {
    condition     = output.web_identity
    error_message = "irsa turns on web identity tokens"
  }
}

run "refuses_empty_public_access_cidrs" {
  command = plan
  variables {
    public_access_cidrs = []
  }
  expect_failures = [var.public_access_cidrs]
}
