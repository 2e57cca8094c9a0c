"""Reads and writes files in local folders and on S3; a reader never sees a partially written file."""

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from functools import cache
from pathlib import Path
from typing import IO, Any, Protocol

# boto3 and deltalake read this variable; session.py passes its value to S3A.
S3_ENDPOINT_ENV = "AWS_ENDPOINT_URL"
# Time limits for S3 to accept a connection, and to send the next bytes of a response. All clients of S3 use them. With
# the clients' defaults, a request without a response would outlast `stuckSeconds`, and the driver would be restarted.
CONNECT_TIMEOUT_SECONDS, TIMEOUT_SECONDS = 15, 20
# A client is created for the values of these variables; other values need another client.
_CLIENT_ENV = (S3_ENDPOINT_ENV, "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class Readable(Protocol):
    """What is read in pieces, as a file is."""

    def read(self, size: int = -1, /) -> bytes: ...


def is_s3(uri: str) -> bool:
    return uri.startswith("s3a://")


def bucket_and_key(uri: str) -> tuple[str, str]:
    """Split an s3a:// URI into bucket and key; the key is empty for a whole bucket."""
    bucket, _, key = uri.removeprefix("s3a://").partition("/")
    return bucket, key


def bucket_and_prefix(folder: str) -> tuple[str, str]:
    """Split the s3a:// URI of a folder; the prefix ends with a slash, or is empty for a whole bucket."""
    bucket, key = bucket_and_key(folder)
    return bucket, f"{key.rstrip('/')}/" if key else ""


def client(service: str) -> Any:
    """Return a boto3 client of an AWS service, with AWS's default credentials chain.

    Creating a client takes longer than most requests, so it is kept. A forked process gets a client of its own: it must
    not use the connections of its parent.
    """
    return _client(service, os.getpid(), *map(os.environ.get, _CLIENT_ENV))


@cache
def _client(service: str, *_key: object) -> Any:
    import boto3  # only processes that use AWS need it
    from botocore.config import Config

    # Pods get the region as AWS_REGION, which boto3 does not read.
    return boto3.client(  # type: ignore[call-overload]
        service,
        region_name=os.environ.get("AWS_REGION"),
        config=Config(connect_timeout=CONNECT_TIMEOUT_SECONDS, read_timeout=TIMEOUT_SECONDS),
    )


def local_path(uri: str) -> Path:
    """Return the local path of `uri`: a plain path, or a `file:` URI as Spark writes it, without escapes."""
    return Path(uri.removeprefix("file:"))


def open_binary(uri: str, version: str = "") -> IO[bytes]:
    """Open a file for streaming reads of its bytes.

    Args:
        uri: path, `file:` URI or s3a:// URI.
        version: entity tag of an object on S3, or modification time of a file in nanoseconds; "" opens any version.

    Raises:
        FileNotFoundError: the file does not exist, or not in this version.
        PermissionError: this user may not read the file, or the object is archived and must be restored first.
        OSError: the file is not readable; S3 may raise botocore's `ClientError` instead.
    """
    if not is_s3(uri):
        file = local_path(uri).open("rb")
        if version and str(os.fstat(file.fileno()).st_mtime_ns) != version:
            file.close()
            raise FileNotFoundError(uri)
        return file
    import smart_open
    from botocore.exceptions import ClientError

    # S3 compares the tag in each request: the object may be replaced while it is read.
    arguments = {"S3.Client.get_object": {"IfMatch": f'"{version}"'}} if version else {}
    try:
        # Without decompression: the file name does not tell whether the content is compressed.
        stream: IO[bytes] = smart_open.open(
            "s3://" + uri.removeprefix("s3a://"),
            "rb",
            compression="disable",
            transport_params={"client": client("s3"), "client_kwargs": arguments},
        )
        return stream
    except (ClientError, OSError) as error:
        _raise_os_error(getattr(error, "backend_error", error), uri)
        raise


def _raise_os_error(error: Exception, uri: str) -> None:
    """Raise the OSError for a missing or refused object on S3; do nothing for other errors."""
    code = _error_code(error)
    if code in {"404", "NoSuchKey", "412", "PreconditionFailed"}:
        raise FileNotFoundError(uri) from error
    if code in {"403", "AccessDenied", "InvalidObjectState"}:
        raise PermissionError(str(error)) from error


def is_storage_error(error: BaseException) -> bool:
    """Return whether `error` comes from the storage, and not from the content of a file."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in {"botocore", "urllib3"}


def exists(uri: str) -> bool:
    """Return whether a folder exists: on S3, whether any object has its prefix.

    Raises:
        OSError: S3 does not answer, or refuses to list the bucket.
    """
    if not is_s3(uri):
        return local_path(uri).is_dir()
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, prefix = bucket_and_prefix(uri)
    try:
        listed = client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
    except (ClientError, BotoCoreError) as error:
        if _error_code(error) == "NoSuchBucket":
            return False
        raise OSError(str(error)) from error
    return bool(listed["KeyCount"])


def put(folder: str, name: str, data: bytes) -> str:
    """Write a file atomically; replace an existing file.

    Args:
        folder: folder or s3a:// URI; created if it is missing.
        name: path of the file in the folder.
        data: content of the file.

    Returns:
        The path or s3a:// URI of the file.
    """
    if is_s3(folder):
        bucket, prefix = bucket_and_prefix(folder)
        client("s3").put_object(Bucket=bucket, Key=prefix + name, Body=data)
        return f"s3a://{bucket}/{prefix}{name}"
    target = local_path(folder) / name
    # The rename is atomic within the folder.
    _write_temporary(target, data).replace(target)
    return str(target)


def put_stream(folder: str, name: str, stream: Readable) -> None:
    """Write a file of any size atomically, as `put` does; if reading the stream fails, write nothing."""
    if is_s3(folder):
        from boto3.s3.transfer import TransferConfig

        bucket, prefix = bucket_and_prefix(folder)
        # Without threads, one part is in memory instead of ten.
        client("s3").upload_fileobj(stream, bucket, prefix + name, Config=TransferConfig(use_threads=False))
        return
    target = local_path(folder) / name
    temporary = _temporary(target)
    try:
        with temporary.open("wb") as file:
            shutil.copyfileobj(stream, file)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _write_temporary(target: Path, data: bytes) -> Path:
    """Write `data` beside `target`."""
    temporary = _temporary(target)
    temporary.write_bytes(data)
    return temporary


def _temporary(target: Path) -> Path:
    """Return a path beside `target` that readers skip, because it starts with a dot; create the folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f".{target.name}.{os.getpid()}")


def create(folder: str, name: str, data: bytes) -> None:
    """Write a file atomically, unless it exists; do nothing if it exists with the same content.

    Args:
        folder: folder or s3a:// URI; created if it is missing.
        name: path of the file in the folder.
        data: content of the file.

    Raises:
        FileExistsError: the file exists with other content. If several processes create the file, one succeeds.
    """
    try:
        if is_s3(folder):
            _create_object(*bucket_and_key(f"{folder}/{name}"), data)
        else:
            _create_file(local_path(folder) / name, data)
    except FileExistsError:
        # The S3 client repeats a request that succeeded if the response was lost.
        if read(f"{folder}/{name}") != data:
            raise


def _create_object(bucket: str, key: str, data: bytes) -> None:
    from botocore.exceptions import ClientError

    try:
        client("s3").put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*")
    except ClientError as error:
        if _error_code(error) in {"412", "PreconditionFailed"}:
            raise FileExistsError(f"s3a://{bucket}/{key}") from error
        raise


def _create_file(target: Path, data: bytes) -> None:
    temporary = _write_temporary(target, data)
    try:
        target.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # the file system has no hard links
        if target.exists():
            raise FileExistsError(str(target)) from None
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def read(uri: str) -> bytes | None:
    """Return the content of a small file; None if the file does not exist.

    Raises:
        OSError: the file is not readable; S3 may raise botocore's `ClientError` instead.
    """
    try:
        with open_stream(uri) as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except PermissionError:
        # If a role may list only some folders, S3 answers 403 instead of 404 for a missing object.
        folder, _, name = uri.rpartition("/")
        if is_s3(uri) and name not in names(folder):
            return None
        raise


def open_stream(uri: str) -> AbstractContextManager[IO[bytes]]:
    """Open a file to read it once, from its beginning to its end.

    Unlike `open_binary`, it needs no smart_open, which only the image of the streams contains.

    Raises:
        OSError: the file does not exist or is not readable; S3 may raise botocore's `ClientError` instead.
    """
    return closing(_open_object(uri)) if is_s3(uri) else open_binary(uri)


def _open_object(uri: str) -> IO[bytes]:
    from botocore.exceptions import ClientError

    bucket, key = bucket_and_key(uri)
    try:
        body: IO[bytes] = client("s3").get_object(Bucket=bucket, Key=key)["Body"]
        return body
    except ClientError as error:
        _raise_os_error(error, uri)
        raise


def names(folder: str) -> list[str]:
    """Return the names of the files in a folder, unsorted; an empty list if the folder does not exist.

    The names of subfolders are included in a local folder, but not on S3.
    """
    if not is_s3(folder):
        path = local_path(folder)
        return [file.name for file in path.iterdir()] if path.is_dir() else []
    bucket, prefix = bucket_and_prefix(folder)
    pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    return [item["Key"].rpartition("/")[2] for page in pages for item in page.get("Contents", ())]


def folders(folder: str) -> list[str]:
    """Return the names of the subfolders of a folder, unsorted; an empty list if the folder does not exist."""
    if not is_s3(folder):
        path = local_path(folder)
        return [child.name for child in path.iterdir() if child.is_dir()] if path.is_dir() else []
    bucket, prefix = bucket_and_prefix(folder)
    pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    return [item["Prefix"].removeprefix(prefix)[:-1] for page in pages for item in page.get("CommonPrefixes", ())]


def paths(folder: str) -> Iterator[str]:
    """Yield the paths of all files in a folder and its subfolders, relative to it and unsorted."""
    if not is_s3(folder):
        root = local_path(folder)
        for parent, _, names_ in os.walk(root):
            yield from (Path(parent, name).relative_to(root).as_posix() for name in names_)
        return
    bucket, prefix = bucket_and_prefix(folder)
    for page in client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (item["Key"].removeprefix(prefix) for item in page.get("Contents", ()))


def size(folder: str) -> int:
    """Return the size of all files in a folder and its subfolders in bytes; 0 if the folder does not exist."""
    if not is_s3(folder):
        return sum(_file_size(Path(root, name)) for root, _, files in os.walk(local_path(folder)) for name in files)
    bucket, prefix = bucket_and_prefix(folder)
    pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return sum(item["Size"] for page in pages for item in page.get("Contents", ()))


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # removed since it was listed
        return 0


def delete(uri: str) -> None:
    """Delete a file; do nothing if the file does not exist."""
    if not is_s3(uri):
        local_path(uri).unlink(missing_ok=True)
        return
    bucket, key = bucket_and_key(uri)
    client("s3").delete_object(Bucket=bucket, Key=key)


def _error_code(error: object) -> str | None:
    """Return the code of a botocore `ClientError`, such as NoSuchKey."""
    code: str | None = getattr(error, "response", {}).get("Error", {}).get("Code")
    return code
