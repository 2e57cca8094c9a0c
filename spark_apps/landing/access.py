"""Checks whether a landing is readable, before a stream reads it."""

from spark_apps import storage


def why_not_readable(landing: str) -> str | None:
    """Return why a landing is not readable, with the remedy; None if the landing is readable."""
    if not storage.is_s3(landing):
        if storage.local_path(landing).is_dir():
            return None
        return f"landing {landing} is not a folder: create it, or pass another --landing"
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _ = storage.bucket_and_key(landing)
    try:
        storage.client("s3").head_bucket(Bucket=bucket)
    except (ClientError, BotoCoreError) as error:
        return (
            f"landing {landing} is not readable ({error}): check that the bucket {bucket} exists and that this user "
            "has s3:ListBucket, or pass another --landing"
        )
    return None
