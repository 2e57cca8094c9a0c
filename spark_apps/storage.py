"""Files of the landing, in a folder or on S3: read as bytes, put so that no reader ever sees half of one."""

import os
from pathlib import Path
from typing import IO, Any

S3_ENDPOINT_ENV = "AWS_ENDPOINT_URL"  # boto3 and deltalake both read it; session.py hands it to S3A


def is_s3(uri: str) -> bool:
    return uri.startswith("s3a://")


def _bucket_key(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3a://").partition("/")
    return bucket, key


def _client() -> Any:
    import boto3  # only the processes that use S3 need it

    return boto3.client("s3")


def local_path(uri: str) -> Path:
    """Return the path behind a folder's name or a `file:` URI as Spark writes it: nothing in it is escaped."""
    return Path(uri.removeprefix("file:"))


def open_binary(uri: str) -> IO[bytes]:
    """Open one file for streaming reads; `FileNotFoundError` when it is gone."""
    if not is_s3(uri):
        return local_path(uri).open("rb")
    import smart_open
    from botocore.exceptions import ClientError

    try:
        # The bytes are wanted as they are: a name that ends in .gz may hold no gzip, and the other way round.
        stream: IO[bytes] = smart_open.open(
            "s3://" + uri.removeprefix("s3a://"), "rb", compression="disable", transport_params={"client": _client()}
        )
        return stream
    except (ClientError, OSError) as error:
        cause = getattr(error, "backend_error", error)
        code = getattr(cause, "response", {}).get("Error", {}).get("Code")
        if code in {"404", "NoSuchKey"}:
            raise FileNotFoundError(uri) from error
        raise


def why_not_readable(landing: str) -> str | None:
    """Return why nothing can be read from `landing`, or None where it is in order."""
    if not is_s3(landing):
        if local_path(landing).is_dir():
            return None
        return f"landing {landing} is no folder: create it, or name the one that the files land in"
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _ = _bucket_key(landing)
    try:
        _client().head_bucket(Bucket=bucket)
    except (ClientError, BotoCoreError) as error:
        return f"landing {landing}: the bucket {bucket} is not there, or may not be listed ({error})"
    return None


def put(landing: str, name: str, data: bytes) -> str:
    """Land `data` as the file `name`, whole or not at all; return its URI."""
    if is_s3(landing):
        bucket, prefix = _bucket_key(landing)
        key = f"{prefix}/{name}" if prefix else name
        _client().put_object(Bucket=bucket, Key=key, Body=data)
        return f"s3a://{bucket}/{key}"
    target = local_path(landing) / name
    target.parent.mkdir(parents=True, exist_ok=True)
    # Readers skip names that start with a dot; the rename is atomic within the folder.
    half = target.with_name(f".{target.name}.{os.getpid()}")
    half.write_bytes(data)
    half.replace(target)
    return str(target)
