"""Checks that a landing is readable."""

from spark_apps import storage
from spark_apps.errors import UserError


class LandingError(UserError):
    """The landing is not readable; the message names the remedy."""


def check_readable(landing: str) -> None:
    """Check that a landing exists and that this user may list it.

    Raises:
        LandingError: the landing is not readable.
    """
    if not storage.is_s3(landing):
        if not storage.local_path(landing).is_dir():
            raise LandingError(f"landing {landing} is not a folder: create it, or pass another --landing")
        return
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _ = storage.bucket_and_key(landing)
    try:
        storage.client("s3").head_bucket(Bucket=bucket)
    except (ClientError, BotoCoreError) as error:
        raise LandingError(
            f"landing {landing} is not readable ({error}): check that the bucket {bucket} exists and that this user "
            "has s3:ListBucket, or pass another --landing"
        ) from error
