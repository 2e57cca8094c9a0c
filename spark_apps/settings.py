"""Typed settings: from flags, or from TWEETS_… in the environment; all errors are reported at once."""

import re
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from spark_apps.errors import UserError

MODEL_NAME = "tweet-sentiment"
PRODUCTION = "production"
LAYERS = ("bronze", "silver", "gold")

_INTERVAL = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|seconds?|min|minutes?|h|hours?)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "mi": 60.0, "s": 1.0, "h": 3600.0}


class SettingsError(UserError):
    """Settings that cannot be used; the text names each of them and its remedy."""


def _uri(value: str) -> str:
    """Accept a folder or an s3a:// URI; both come back without a trailing slash, a folder with its whole path."""
    parts = urlsplit(value)
    if parts.scheme in {"s3", "s3n"}:
        raise ValueError(f"{value!r}: write s3a://{parts.netloc}{parts.path}")
    if "://" in value and parts.scheme not in {"s3a", "file"}:
        raise ValueError(f"{value!r}: use a folder or s3a://bucket/prefix")
    if parts.scheme == "s3a" and not parts.netloc:
        raise ValueError(f"{value!r}: names no bucket; write s3a://bucket/prefix")
    if parts.scheme == "s3a":
        return value.rstrip("/")
    # Delta takes a path that is not whole for the name of a table.
    return str(Path(value.removeprefix("file://")).expanduser().absolute())


def seconds(interval: str) -> float:
    """Return an interval such as `60 seconds`, `500 ms` or `1 min` in seconds."""
    match = _INTERVAL.fullmatch(interval.strip())
    if not match:
        raise ValueError(f"{interval!r}: write a number and a unit, such as '60 seconds' or '500 ms'")
    unit = match[2].lower()
    return float(match[1]) * _SECONDS[unit if unit == "ms" else unit[:2] if unit.startswith("mi") else unit[0]]


def _interval(interval: str) -> str:
    seconds(interval)
    return interval


Kind = TypeVar("Kind", bound=BaseSettings)
Uri = Annotated[str, AfterValidator(_uri)]
Interval = Annotated[str, AfterValidator(_interval)]


class Settings(BaseSettings):
    """What every command shares. A field `lake` is read from TWEETS_LAKE."""

    model_config = SettingsConfigDict(env_prefix="TWEETS_", extra="ignore")

    landing: Uri | None = Field(None, description="folder or s3a://bucket/prefix in which JSON files land")
    lake: Uri | None = Field(None, description="folder or s3a://bucket/prefix of the Delta tables")
    trigger: Interval = Field("60 seconds", description="pause between micro-batches; '0 seconds': as data arrives")
    registry: str | None = Field(None, description="URI of the MLflow registry, e.g. http://127.0.0.1:5000")
    registry_timeout: float = Field(5, gt=0, description="seconds to wait for the registry's answer")
    max_document_mb: int = Field(64, ge=1, le=256, description="larger documents are quarantined")
    max_files_per_batch: int = Field(1000, ge=1, description="files that one Bronze micro-batch reads at most")
    monitor_port: int | None = Field(None, ge=0, le=65535, description="port of /healthz, /progress and /metrics")
    stuck_seconds: float = Field(300, gt=0, description="/healthz fails once a stream has not advanced for so long")
    memory: str = Field("2g", pattern=r"^\d+[mg]$", description="heap of a local Spark, such as 2g")
    cores: int | None = Field(None, ge=1, description="cores that a local Spark uses; all by default")

    @model_validator(mode="after")
    def _apart(self) -> "Settings":
        """Landing and lake may not hold each other: Bronze would read what it writes."""
        if self.landing and self.lake:
            landing, lake = f"{self.landing}/", f"{self.lake}/"
            if landing.startswith(lake) or lake.startswith(landing):
                raise ValueError(f"landing {self.landing} and lake {self.lake} overlap: give each a folder of its own")
        return self

    def require(self, *names: str) -> tuple[str, ...]:
        """Return settings that this command cannot do without; the error names all that are missing."""
        missing = [name for name in names if getattr(self, name) is None]
        if missing:
            raise SettingsError("\n".join(f"--{name} (or TWEETS_{name.upper()}) is missing" for name in missing))
        return tuple(getattr(self, name) for name in names)


def load(**flags: Any) -> Settings:
    """Read the settings; flags that are None leave the word to the environment and the defaults."""
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            name = str(problem["loc"][0]) if problem["loc"] else ""
            where = f"--{name.replace('_', '-')} (or TWEETS_{name.upper()}): " if name else ""
            lines.append(where + _said(problem["msg"]))
        raise SettingsError("\n".join(lines)) from None


def load_from_environment(kind: type[Kind]) -> Kind:
    """Read settings that have no flags; `SettingsError` names all that are wrong."""
    try:
        return kind()
    except ValidationError as error:
        prefix = str(kind.model_config.get("env_prefix", ""))
        lines = (f"{prefix}{str(found['loc'][0]).upper()}: {_said(found['msg'])}" for found in error.errors())
        raise SettingsError("\n".join(lines)) from None


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")
