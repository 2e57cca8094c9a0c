locals {
  # Folders above the ones that a role uses: S3A looks whether they exist before it makes a folder below them, and Delta
  # whether one of them is a table. Without these rights the answer were not "no" but an error.
  above = {
    for role, access in local.roles : role => distinct(flatten([
      for folder in concat(access.read, access.write, access.logs) : [
        for depth in range(1, length(split("/", folder))) : join("/", slice(split("/", folder), 0, depth))
      ]
    ]))
  }

  asked = {
    for role, above in local.above : role => [
      for folder in concat(above, ["_delta_log"], [for folder in above : "${folder}/_delta_log"]) : folder if length(above) > 0
    ]
  }

  readable = {
    for role, access in local.roles : role => concat(access.read, access.write, [for table in access.logs : "${table}/_delta_log"])
  }

  # Keys are of use through S3 only.
  through_s3 = { StringEquals = { "kms:ViaService" = "s3.${data.aws_region.current.name}.amazonaws.com" } }

  # Each statement with the condition under which a role has it.
  statements = {
    for role, access in local.roles : role => [
      {
        when   = access.landing == "read"
        Sid    = "ListLanding"
        Effect = "Allow"
        Action = "s3:ListBucket"
        # The whole bucket: it holds nothing but what landed, and Bronze asks whether the bucket is there.
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
        when     = access.landing == "put"
        Sid      = "Land"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${var.landing.bucket_arn}/${var.landing.prefix}/*"
      },
      {
        when      = access.landing == "put"
        Sid       = "EncryptLanding"
        Effect    = "Allow"
        Action    = "kms:GenerateDataKey"
        Resource  = var.landing.key_arn
        Condition = local.through_s3
      },
      {
        when     = length(local.readable[role]) > 0
        Sid      = "ListLake"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = var.lake.bucket_arn
        Condition = {
          StringLike = {
            "s3:prefix" = concat(
              flatten([for folder in local.asked[role] : [folder, "${folder}/"]]),
              flatten([for folder in local.readable[role] : [folder, "${folder}/*"]]),
            )
          }
        }
      },
      {
        when   = length(local.readable[role]) > 0
        Sid    = "ReadLake"
        Effect = "Allow"
        Action = "s3:GetObject"
        Resource = concat(
          [for folder in local.asked[role] : "${var.lake.bucket_arn}/${folder}"],
          flatten([for folder in local.readable[role] : ["${var.lake.bucket_arn}/${folder}", "${var.lake.bucket_arn}/${folder}/*"]]),
        )
      },
      {
        when   = length(local.readable[role]) > 0
        Sid    = "UseLakeKey"
        Effect = "Allow"
        # A large file is written in parts, and S3 reads the parts to join them: a writer decrypts too.
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
