# Who may do what: this table is the whole of it; policies.tf turns it into statements.
#
# `read` and `write` name folders of the lake's bucket; who may write may read too, since Delta reads the log that it
# appends to. A folder's own key is part of it: S3A asks for it to tell a file from a folder. `logs` are folders of
# tables of which only Delta's log may be read: counts, sizes and times, no tweets.
locals {
  checkpoints = {
    for stream in ["bronze", "silver", "gold", "gold-aggregates"] :
    # The checkpoint, and beside it the last error of its stream.
    stream => ["lake/checkpoints/${stream}", "lake/checkpoints/${stream}.error.json"]
  }

  access = {
    bronze = {
      namespace = var.namespaces.streams
      landing   = "read"
      read      = []
      write     = concat(["lake/bronze"], local.checkpoints["bronze"])
      logs      = []
    }
    silver = {
      namespace = var.namespaces.streams
      landing   = "none"
      read      = ["lake/bronze"]
      write     = concat(["lake/silver"], local.checkpoints["silver"])
      logs      = []
    }
    gold = {
      namespace = var.namespaces.streams
      landing   = "none"
      read      = ["lake/silver"]
      write     = concat(["lake/gold"], local.checkpoints["gold"], local.checkpoints["gold-aggregates"])
      logs      = []
    }
    # Shows Gold, follows one tweet through Silver, and counts the rows of every table from its log.
    dashboard = {
      namespace = var.namespaces.streams
      landing   = var.dashboard_typing ? "put" : "none"
      read      = ["lake/silver/tweets", "lake/gold"]
      write     = []
      logs      = ["lake/bronze/tweets", "lake/silver/quarantine"]
    }
    # Watches the streams: looks at Gold, at what Silver holds for it, and at the notes of the batches before.
    quality = {
      namespace = var.namespaces.streams
      landing   = "none"
      read      = ["lake/silver/tweets", "lake/gold"]
      write     = []
      logs      = ["lake/bronze/tweets", "lake/silver/quarantine"]
    }
    # Keeps the streams running through Kubernetes, and never looks at a tweet.
    airflow = {
      namespace = var.namespaces.platform
      landing   = "none"
      read      = []
      write     = []
      logs      = []
    }
    # Serves the model files to all others, which therefore need no right to them.
    mlflow = {
      namespace = var.namespaces.platform
      landing   = "none"
      read      = []
      write     = ["mlflow"]
      logs      = []
    }
    # Model files come from MLflow and go to it. A job that measures the stream itself (`evaluate --lake`) will read
    # lake/silver/tweets and lake/gold/sentiment: write them here together with that job.
    model-jobs = {
      namespace = var.namespaces.platform
      landing   = "none"
      read      = []
      write     = []
      logs      = []
    }
    demo = {
      namespace = var.namespaces.streams
      landing   = "put"
      read      = []
      write     = []
      logs      = []
    }
  }

  roles = { for role, access in local.access : role => access if role != "demo" || var.demo }
}
