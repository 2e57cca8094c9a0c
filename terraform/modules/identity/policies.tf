locals {
  # Folders above the ones that a role uses: S3A looks whether they exist before it makes a folder below them.
  above = {
    for role, access in local.roles : role => distinct(flatten([
      for folder in concat(access.read, access.write, access.logs) : [
        for depth in range(1, length(split("/", folder))) : join("/", slice(split("/", folder), 0, depth))
      ]
    ]))
  }

  readable = {
    for role, access in local.roles : role => concat(access.read, access.write, [for table in access.logs : "${table}/_delta_log"])
  }

  statements = {
    for role, access in local.roles : role => concat(
      access.landing != "read" ? [] : [
        {
          # The whole bucket: it holds nothing but what landed, and Bronze asks whether the bucket is there.
          Sid       = "ListLanding"
          Effect    = "Allow"
          Action    = "s3:ListBucket"
          Resource  = var.landing.bucket_arn
          Condition = {}
        },
        {
          Sid       = "ReadLanding"
          Effect    = "Allow"
          Action    = "s3:GetObject"
          Resource  = ["${var.landing.bucket_arn}/${var.landing.prefix}", "${var.landing.bucket_arn}/${var.landing.prefix}/*"]
          Condition = {}
        },
        {
          Sid       = "DecryptLanding"
          Effect    = "Allow"
          Action    = "kms:Decrypt"
          Resource  = var.landing.key_arn
          Condition = { StringEquals = { "kms:ViaService" = "s3.${data.aws_region.current.name}.amazonaws.com" } }
        },
      ],
      access.landing != "put" ? [] : [
        {
          Sid       = "Land"
          Effect    = "Allow"
          Action    = "s3:PutObject"
          Resource  = "${var.landing.bucket_arn}/${var.landing.prefix}/*"
          Condition = {}
        },
        {
          Sid       = "EncryptLanding"
          Effect    = "Allow"
          Action    = "kms:GenerateDataKey"
          Resource  = var.landing.key_arn
          Condition = { StringEquals = { "kms:ViaService" = "s3.${data.aws_region.current.name}.amazonaws.com" } }
        },
      ],
      length(local.readable[role]) == 0 ? [] : [
        {
          Sid      = "ListLake"
          Effect   = "Allow"
          Action   = "s3:ListBucket"
          Resource = var.lake.bucket_arn
          Condition = {
            StringLike = {
              "s3:prefix" = concat(
                flatten([for folder in local.above[role] : [folder, "${folder}/"]]),
                flatten([for folder in local.readable[role] : [folder, "${folder}/*"]]),
              )
            }
          }
        },
        {
          Sid    = "ReadLake"
          Effect = "Allow"
          Action = "s3:GetObject"
          Resource = concat(
            [for folder in local.above[role] : "${var.lake.bucket_arn}/${folder}"],
            flatten([for folder in local.readable[role] : ["${var.lake.bucket_arn}/${folder}", "${var.lake.bucket_arn}/${folder}/*"]]),
          )
          Condition = {}
        },
        {
          Sid    = "UseLakeKey"
          Effect = "Allow"
          # A large file is written in parts, and S3 reads the parts to join them: a writer decrypts too.
          Action    = length(access.write) > 0 ? ["kms:Decrypt", "kms:GenerateDataKey"] : ["kms:Decrypt"]
          Resource  = var.lake.key_arn
          Condition = { StringEquals = { "kms:ViaService" = "s3.${data.aws_region.current.name}.amazonaws.com" } }
        },
      ],
      length(access.write) == 0 ? [] : [
        {
          Sid       = "WriteLake"
          Effect    = "Allow"
          Action    = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
          Resource  = flatten([for folder in access.write : ["${var.lake.bucket_arn}/${folder}", "${var.lake.bucket_arn}/${folder}/*"]])
          Condition = {}
        },
      ],
      !access.queue ? [] : [
        {
          Sid       = "HearOfLanding"
          Effect    = "Allow"
          Action    = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
          Resource  = var.landing_queue_arn
          Condition = {}
        },
      ],
    )
  }
}
