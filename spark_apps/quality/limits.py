"""The limits of what is watched, from TWEETS_QUALITY_… in the environment."""

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from spark_apps.settings import load_from_environment


class Limits(BaseSettings):
    """What a stream in order keeps to; `drift` is read from TWEETS_QUALITY_DRIFT. Shares are 0 to 1."""

    model_config = SettingsConfigDict(env_prefix="TWEETS_QUALITY_", extra="ignore")

    window_minutes: float = Field(60, gt=0, description="what was written so long ago at most is measured")
    freshness_seconds: float = Field(900, gt=0, description="longest that a row may wait for the layer after it")
    tweets_per_minute: float = Field(0, ge=0, description="fewest that Gold scores; 0: as few as there are")
    quarantine_share: float = Field(0.25, ge=0, le=1, description="highest share of the records in quarantine")
    drift: float = Field(0.25, gt=0, description="highest population stability index against the baseline")
    least_tweets: int = Field(500, ge=1, description="a language with fewer in the window is not compared")

    @property
    def window(self) -> timedelta:
        return timedelta(minutes=self.window_minutes)


def load_limits() -> Limits:
    """Read the limits from the environment; `SettingsError` names all that are wrong."""
    return load_from_environment(Limits)
