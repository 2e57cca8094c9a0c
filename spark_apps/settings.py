"""Typed settings from command line options and TWEETS_… environment variables; all errors are reported together."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from spark_apps.errors import UserError

MODEL_NAME = "tweet-sentiment"
PRODUCTION, SHADOW = "production", "shadow"
LAYERS = ("bronze", "silver", "gold")
# The streams of each layer, along the path of a tweet.
STREAMS = {"bronze": ("bronze",), "silver": ("silver",), "gold": ("gold", "gold-aggregates")}

# The seconds in each unit of an interval.
_UNITS = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
}
_INTERVAL = re.compile(rf"(\d+(?:\.\d+)?)\s*({'|'.join(_UNITS)})", re.IGNORECASE)


class SettingsError(UserError):
    """A setting is missing or invalid; the message names all such settings, and the remedy for each."""


def _uri(value: str) -> str:
    """Validate a folder, file: or s3a:// URI; return an absolute path, or the s3a:// URI without a trailing slash."""
    parts = urlsplit(value)
    if parts.scheme in {"s3", "s3n"}:
        raise ValueError(f"{value!r} has an unsupported scheme: write s3a://{parts.netloc}{parts.path}")
    if "://" in value and parts.scheme not in {"s3a", "file"}:
        raise ValueError(f"{value!r} has an unsupported scheme: write a folder or s3a://bucket/prefix")
    if parts.scheme == "s3a" and not parts.netloc:
        raise ValueError(f"{value!r} has no bucket: write s3a://bucket/prefix")
    if parts.scheme == "s3a":
        return value.rstrip("/")
    # Delta would read a relative path as the name of a table.
    path = value.removeprefix("file://").removeprefix("file:")
    return str(Path(path).expanduser().absolute())


def seconds(interval: str) -> float:
    """Convert an interval such as `60 seconds`, `500 ms` or `1 min` to seconds.

    Raises:
        ValueError: the text is not a number with a unit (ms, s, min, h or their long forms).
    """
    match = _INTERVAL.fullmatch(interval.strip())
    if not match:
        raise ValueError(
            f"{interval!r} is not an interval: write a number and a unit, such as '60 seconds' or '500 ms'"
        )
    return float(match[1]) * _UNITS[match[2].lower()]


def _interval(interval: str) -> str:
    seconds(interval)
    return interval


Kind = TypeVar("Kind", bound=BaseSettings)
Uri = Annotated[str, AfterValidator(_uri)]
Interval = Annotated[str, AfterValidator(_interval)]


class Settings(BaseSettings):
    """The settings of all commands. Each field is also read from the environment: `lake` from TWEETS_LAKE."""

    model_config = SettingsConfigDict(env_prefix="TWEETS_", env_ignore_empty=True, extra="ignore")

    landing: Uri | None = Field(None, description="folder or s3a://bucket/prefix with the landed JSON files")
    lake: Uri | None = Field(None, description="folder or s3a://bucket/prefix of the Delta tables")
    trigger: Interval = Field(
        "60 seconds", description="interval between micro-batches; '0 seconds' starts a batch as soon as data arrives"
    )
    registry: str | None = Field(None, description="URI of the MLflow registry, e.g. http://127.0.0.1:5000")
    registry_timeout: float = Field(5, gt=0, description="seconds to wait for a response of the registry")
    shadow_share: float = Field(
        0.05, gt=0, le=1, description="share of the tweets that the version with the alias `shadow` scores too"
    )
    labelling: bool = Field(
        False, description="whether people may label tweets on the dashboard; with a login, people with role releaser"
    )
    max_document_mb: int = Field(64, ge=1, le=256, description="size limit in MiB; larger documents are quarantined")
    landing_queue: str | None = Field(
        None, pattern="^https?://", description="URL of the SQS queue with S3's notifications about the landing"
    )
    formats: Path | None = Field(None, description="YAML file that declares more formats of tweets for Silver")
    deletion_notices: bool = Field(
        True, description="whether Twitter's notices of deleted tweets and accounts erase these tweets"
    )
    max_files_per_batch: int = Field(1000, ge=1, description="maximum number of files per Bronze micro-batch")
    max_batch_mb: int = Field(
        256, ge=1, description="maximum MiB of new files per Bronze micro-batch; a larger file is taken alone"
    )
    max_task_mb: int = Field(
        512, ge=1, description="decompressed MiB after which a task of Bronze leaves the rest to the next batch"
    )
    max_task_documents: int = Field(
        1_000_000, ge=1, description="documents after which a task of Bronze leaves the rest to the next batch"
    )
    max_expansion: int = Field(
        200, ge=10, description="maximum ratio of the content of a compressed file to its size; the rest is quarantined"
    )
    max_text_characters: int = Field(
        100_000, ge=1_000, description="maximum length of a text; a tweet with a longer text is quarantined"
    )
    max_mentions: int = Field(100, ge=0, description="maximum number of mentions per tweet; further ones are dropped")
    monitor_port: int | None = Field(None, ge=0, le=65535, description="port of /healthz, /progress and /metrics")
    startup_seconds: float = Field(
        1800, gt=0, description="seconds until the first query starts, after which /healthz returns 503"
    )
    stuck_seconds: float = Field(300, gt=0, description="seconds without progress after which /healthz returns 503")
    stuck_seconds_file: Path | None = Field(
        None, description="file that replaces stuck_seconds; it is read at each request, so a change needs no restart"
    )
    stream_status: Path | None = Field(
        None, description="folder with the reports of Airflow on the streams: the ConfigMap stream-status on a cluster"
    )
    runbook: str = Field("docs/operations.md", description="path or URL of docs/operations.md, for links to it")
    retention_hours: float = Field(
        48, ge=0.1, description="how long replaced files and old versions of a table are kept, in hours"
    )
    bronze_days: int = Field(0, ge=0, description="days for which documents stay in bronze/tweets; 0 keeps them all")
    quarantine_days: int = Field(
        0, ge=0, description="days for which rejected records stay in silver/quarantine; 0 keeps them all"
    )
    memory: str = Field("2g", pattern=r"^\d+[mg]$", description="heap of local Spark, such as 2g")
    cores: int | None = Field(None, ge=1, description="number of cores of local Spark; all by default")

    @model_validator(mode="after")
    def _check_no_overlap(self) -> "Settings":
        """Refuse a lake inside the landing, and the reverse: Bronze would read the files that it writes."""
        if self.landing and self.lake:
            landing, lake = f"{self.landing}/", f"{self.lake}/"
            if landing.startswith(lake) or lake.startswith(landing):
                raise ValueError(f"landing {self.landing} and lake {self.lake} overlap: use two separate folders")
        return self

    @model_validator(mode="after")
    def _check_queue(self) -> "Settings":
        if self.landing_queue and self.landing and not self.landing.startswith("s3a://"):
            raise ValueError(
                f"TWEETS_LANDING_QUEUE is set, but landing {self.landing} is not on S3: unset one of the two"
            )
        return self

    @property
    def retention_seconds(self) -> float:
        return self.retention_hours * 3600

    def current_stuck_seconds(self) -> float:
        """Return the number in `stuck_seconds_file`; `stuck_seconds` if there is no such file, or no number in it."""
        try:
            return float(self.stuck_seconds_file.read_text()) if self.stuck_seconds_file else self.stuck_seconds
        except (OSError, ValueError):
            return self.stuck_seconds

    def require(self, *names: str) -> tuple[str, ...]:
        """Return the values of required settings.

        Raises:
            SettingsError: one or more of them are not set; the message names all of them.
        """
        missing = [name for name in names if getattr(self, name) is None]
        if missing:
            raise SettingsError("\n".join(f"--{name} (or TWEETS_{name.upper()}) is missing" for name in missing))
        return tuple(getattr(self, name) for name in names)


def load(**flags: Any) -> Settings:
    """Read the settings. An option overrides the environment, and the environment overrides the default.

    Args:
        **flags: values of command line options by the name of the setting; None for an option that is not given.

    Raises:
        SettingsError: one or more values are invalid; the message names the option or the variable of each.
    """
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            name = str(problem["loc"][0]) if problem["loc"] else ""
            source = f"--{name}" if flags.get(name) is not None else f"TWEETS_{name.upper()}"
            lines.append(f"{source}: {_message(problem['msg'])}" if name else _message(problem["msg"]))
        raise SettingsError("\n".join(lines)) from None


def check_files(files: Iterable[Path]) -> None:
    """Check that files exist.

    Raises:
        SettingsError: one or more of them do not; the message names all of them.
    """
    if missing := [file for file in files if not file.is_file()]:
        raise SettingsError("\n".join(f"{file} is not a file: check the path" for file in missing))


def load_from_environment(kind: type[Kind]) -> Kind:
    """Read settings without command line options from the environment.

    Raises:
        SettingsError: one or more values are invalid; the message names all of them.
    """
    try:
        return kind()
    except ValidationError as error:
        prefix = str(kind.model_config.get("env_prefix", ""))
        lines = (f"{prefix}{str(problem['loc'][0]).upper()}: {_message(problem['msg'])}" for problem in error.errors())
        raise SettingsError("\n".join(lines)) from None


def _message(message: str) -> str:
    """Remove pydantic's prefix from the message of a ValueError."""
    return message.removeprefix("Value error, ")
