mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name         = "tweets"
  cluster_name = "tweets"
  cluster_arn  = "arn:aws:eks:eu-central-1:111122223333:cluster/tweets"
  landing      = { bucket_arn = "arn:aws:s3:::landing", key_arn = "arn:aws:kms:eu-central-1:111122223333:key/landing", prefix = "voc_volume" }
  lake         = { bucket_arn = "arn:aws:s3:::lake", key_arn = "arn:aws:kms:eu-central-1:111122223333:key/lake" }
}

run "pod_identity" {
  command = plan

  assert {
    condition     = keys(aws_iam_role.this) == ["airflow", "bronze", "dashboard", "gold", "mlflow", "model-jobs", "quality", "silver"]
    error_message = "each service account has a role, and the demo has none by default"
  }
  assert {
    condition = alltrue([
      for role, association in aws_eks_pod_identity_association.this :
      association.service_account == role && association.namespace == (contains(["bronze", "silver", "gold", "dashboard", "quality"], role) ? "tweet-sentiment-streams" : "tweet-sentiment")
    ]) && length(aws_eks_pod_identity_association.this) == 8
    error_message = "each role is associated with the service account of the same name, in its namespace"
  }
  assert {
    condition     = keys(aws_iam_role_policy.this) == ["bronze", "dashboard", "gold", "mlflow", "quality", "silver"]
    error_message = "Airflow and the model jobs have no permissions"
  }
  assert {
    condition     = jsondecode(aws_iam_role.this["gold"].assume_role_policy).Statement[0].Condition.StringEquals["aws:RequestTag/kubernetes-service-account"] == "gold"
    error_message = "only the service account of the same name may assume the role"
  }
  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.this["gold"].policy).Statement : !strcontains(jsonencode(statement.Resource), "arn:aws:s3:::landing")])
    error_message = "gold has no access to the landing bucket"
  }
  assert {
    condition     = alltrue([for account in output.service_accounts : length(account.annotations) == 0]) && !output.web_identity
    error_message = "Pod Identity needs no annotations and no web identity tokens"
  }
}

run "irsa" {
  command = plan
  variables {
    method            = "irsa"
    oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/ABC"
  }
  assert {
    condition     = length(aws_eks_pod_identity_association.this) == 0 && output.web_identity
    error_message = "there are no associations, and the chart must turn on web identity tokens"
  }
  assert {
    condition     = jsondecode(aws_iam_role.this["mlflow"].assume_role_policy).Statement[0].Condition.StringEquals["oidc.eks.eu-central-1.amazonaws.com/id/ABC:sub"] == "system:serviceaccount:tweet-sentiment:mlflow"
    error_message = "only one service account in one namespace may assume the role"
  }
}

run "demo_typing_and_labelling" {
  command = plan
  variables {
    demo                     = true
    dashboard_typing         = true
    dashboard_labelling      = true
    namespaces               = { platform = "a", streams = "b" }
    permissions_boundary_arn = "arn:aws:iam::111122223333:policy/boundary"
  }
  assert {
    condition     = aws_eks_pod_identity_association.this["demo"].namespace == "b" && aws_iam_role.this["demo"].permissions_boundary == "arn:aws:iam::111122223333:policy/boundary"
    error_message = "the demo has a role with the permissions boundary"
  }
  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.this["dashboard"].policy).Statement : statement.Resource if statement.Sid == "WriteLanding"]) == "${var.landing.bucket_arn}/${var.landing.prefix}/typed/*"
    error_message = "the dashboard may land typed tweets in a folder of their own"
  }
}

run "refuses_a_bad_name" {
  command = plan
  variables {
    name = "tweets_1"
  }
  expect_failures = [var.name]
}

run "refuses_an_unknown_method" {
  command = plan
  variables {
    method = "keys"
  }
  expect_failures = [var.method]
}

run "refuses_irsa_without_an_oidc_provider" {
  command = plan
  variables {
    method = "irsa"
  }
  expect_failures = [var.oidc_provider_arn]
}

run "refuses_one_namespace_for_platform_and_streams" {
  command = plan
  variables {
    namespaces = { platform = "tweets", streams = "tweets" }
  }
  expect_failures = [var.namespaces]
}

run "refuses_an_invalid_namespace" {
  command = plan
  variables {
    namespaces = { platform = "Tweets", streams = "streams" }
  }
  expect_failures = [var.namespaces]
}
