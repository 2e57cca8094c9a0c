"""Limits of the quality checks, from TWEETS_QUALITY_… in the environment."""

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from spark_apps.settings import load_from_environment


class QualityLimits(BaseSettings):
    """Limits of a healthy stream; `drift` is read from TWEETS_QUALITY_DRIFT. Shares are 0 to 1."""

    model_config = SettingsConfigDict(env_prefix="TWEETS_QUALITY_", extra="ignore")

    window_minutes: float = Field(60, gt=0, description="length of the window: rows written in it are measured")
    freshness_seconds: float = Field(900, gt=0, description="longest wait of a row for the next layer")
    tweets_per_minute: float = Field(0, ge=0, description="lowest rate of tweets that Gold scores; 0: no lower limit")
    quarantine_share: float = Field(0.25, ge=0, le=1, description="highest share of the records in quarantine")
    drift: float = Field(0.25, gt=0, description="highest population stability index (PSI) against the baseline")
    least_tweets: int = Field(500, ge=1, description="fewest tweets of a language in the window to compare it")

    @property
    def window(self) -> timedelta:
        return timedelta(minutes=self.window_minutes)


def load_limits() -> QualityLimits:
    """Read the limits from the environment; `SettingsError` lists all invalid variables."""
    return load_from_environment(QualityLimits)
