locals {
  # Parents of the folders that a role uses. S3A checks whether they exist before it creates a folder below them, and Delta
  # checks whether one of them is a table. Without these permissions S3 returns 403 instead of 404.
  parent_folders = {
    for role, access in local.roles : role => distinct(flatten([
      for folder in concat(access.read, access.write, access.logs) : [
        for depth in range(1, length(split("/", folder))) : join("/", slice(split("/", folder), 0, depth))
      ]
    ]))
  }

  probed_folders = {
    for role, parents in local.parent_folders : role => [
      for folder in concat(parents, ["_delta_log"], [for folder in parents : "${folder}/_delta_log"]) : folder if length(parents) > 0
    ]
  }

  readable_folders = {
    for role, access in local.roles : role => concat(access.read, access.write, [for table in access.logs : "${table}/_delta_log"])
  }

  # Roles may use the keys through S3 only.
  through_s3 = { StringEquals = { "kms:ViaService" = "s3.${data.aws_service.s3.region}.amazonaws.com" } }

  # `when` says whether a role gets the statement.
  statements = {
    for role, access in local.roles : role => [
      {
        when   = access.landing == "read"
        Sid    = "ListLanding"
        Effect = "Allow"
        Action = "s3:ListBucket"
        # The whole bucket, without a prefix condition: it contains landed files only, and Bronze checks that it exists.
        Resource = var.landing.bucket_arn
      },
      {
        when     = access.landing == "read"
        Sid      = "ReadLanding"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = ["${var.landing.bucket_arn}/${var.landing.prefix}", "${var.landing.bucket_arn}/${var.landing.prefix}/*"]
      },
      {
        when      = access.landing == "read"
        Sid       = "DecryptLanding"
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = var.landing.key_arn
        Condition = local.through_s3
      },
      {
        when     = access.landing == "read" && var.landing_queue != null
        Sid      = "ReadQueue"
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage"]
        Resource = try(var.landing_queue.arn, null)
      },
      {
        when     = startswith(access.landing, "put")
        Sid      = "WriteLanding"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${var.landing.bucket_arn}/${var.landing.prefix}/${access.landing == "put-typed" ? "typed/" : ""}*"
      },
      {
        when      = startswith(access.landing, "put")
        Sid       = "EncryptLanding"
        Effect    = "Allow"
        Action    = "kms:GenerateDataKey"
        Resource  = var.landing.key_arn
        Condition = local.through_s3
      },
      {
        when     = length(local.readable_folders[role]) > 0
        Sid      = "ListLake"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = var.lake.bucket_arn
        Condition = {
          StringLike = {
            "s3:prefix" = concat(
              flatten([for folder in local.probed_folders[role] : [folder, "${folder}/"]]),
              flatten([for folder in local.readable_folders[role] : [folder, "${folder}/*"]]),
            )
          }
        }
      },
      {
        when   = length(local.readable_folders[role]) > 0
        Sid    = "ReadLake"
        Effect = "Allow"
        Action = "s3:GetObject"
        Resource = concat(
          [for folder in local.probed_folders[role] : "${var.lake.bucket_arn}/${folder}"],
          flatten([for folder in local.readable_folders[role] : ["${var.lake.bucket_arn}/${folder}", "${var.lake.bucket_arn}/${folder}/*"]]),
        )
      },
      {
        when   = length(local.readable_folders[role]) > 0
        Sid    = "UseLakeKey"
        Effect = "Allow"
        # Writers need kms:Decrypt too: S3 decrypts the parts of a multipart upload to join them.
        Action    = concat(["kms:Decrypt"], length(access.write) > 0 ? ["kms:GenerateDataKey"] : [])
        Resource  = var.lake.key_arn
        Condition = local.through_s3
      },
      {
        when     = length(access.write) > 0
        Sid      = "WriteLake"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        Resource = flatten([for folder in access.write : ["${var.lake.bucket_arn}/${folder}", "${var.lake.bucket_arn}/${folder}/*"]])
      },
    ]
  }
}
