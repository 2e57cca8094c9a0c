# The complete access table of all service accounts; policies.tf turns it into policy statements.
#
# `read` and `write` list folders of the lake bucket. `write` includes `read`, because Delta reads the log that it appends
# to. Access to a folder includes the key of the folder itself: S3A requests it to tell a file from a folder. For tables in
# `logs`, only the Delta log may be read: counts, sizes and times, but no tweets.
locals {
  checkpoints = {
    for stream in ["bronze", "silver", "gold", "gold-aggregates"] :
    # The checkpoint, and next to it the last error of the stream.
    stream => ["lake/checkpoints/${stream}", "lake/checkpoints/${stream}.error.json"]
  }
  # When erasures were applied, for the report of `tweet-sentiment erasures`.
  erasure_progress = [for stream in keys(local.checkpoints) : "lake/checkpoints/${stream}/erasures.json"]

  last_errors = [for stream in keys(local.checkpoints) : "lake/checkpoints/${stream}.error.json"]

  access = {
    bronze = {
      namespace = var.namespaces.streams
      landing   = "read"
      # The position of the stream that reads Bronze's table: Bronze keeps the files that it has not read. The erasures
      # that Bronze applies to its documents.
      read  = ["lake/checkpoints/silver", "lake/silver/erasures"]
      write = concat(["lake/bronze"], local.checkpoints["bronze"])
      logs  = []
    }
    silver = {
      namespace = var.namespaces.streams
      landing   = "none"
      read      = ["lake/bronze", "lake/checkpoints/gold"]
      # The two files exist while a rebuild or a replay of the quarantine is unfinished.
      write = concat(
        ["lake/silver", "lake/checkpoints/rebuild-silver.json", "lake/checkpoints/replay.json"], local.checkpoints["silver"]
      )
      logs = []
    }
    gold = {
      namespace = var.namespaces.streams
      landing   = "none"
      read      = ["lake/silver"]
      # rescore.json exists while a rescore or a rebuild is unfinished.
      write = concat(
        ["lake/gold", "lake/checkpoints/rescore.json"], local.checkpoints["gold"], local.checkpoints["gold-aggregates"]
      )
      logs = []
    }
    # Shows Gold, traces a single tweet through Silver, counts the rows of every table from the Delta logs, and reports
    # on erasures and on the last error of each stream, which may quote a document. Writes the labels of people.
    dashboard = {
      namespace = var.namespaces.streams
      landing   = var.dashboard_typing ? "put-typed" : "none"
      read      = concat(["lake/silver/tweets", "lake/silver/erasures", "lake/gold", "lake/human_labels"], local.erasure_progress, local.last_errors)
      write     = var.dashboard_labelling ? ["lake/human_labels"] : []
      logs      = ["lake/bronze/tweets", "lake/silver/quarantine"]
    }
    # Measures data quality: reads Gold, the Silver tweets that Gold scores, and batch metadata from Delta logs.
    quality = {
      namespace = var.namespaces.streams
      landing   = "none"
      read      = ["lake/silver/tweets", "lake/gold"]
      write     = []
      logs      = ["lake/bronze/tweets", "lake/silver/quarantine"]
    }
    # Controls the streams through the Kubernetes API and never reads tweets.
    airflow = {
      namespace = var.namespaces.platform
      landing   = "none"
      read      = []
      write     = []
      logs      = []
    }
    # Serves the model files to all other pods, which therefore need no access to the files in S3.
    mlflow = {
      namespace = var.namespaces.platform
      landing   = "none"
      read      = []
      write     = ["mlflow"]
      logs      = []
    }
    # Downloads and uploads model files through MLflow. A job that evaluates the stream itself (`evaluate --lake`) would
    # read lake/silver/tweets and lake/gold/sentiment: add them here together with that job.
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
