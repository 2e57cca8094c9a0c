"""Score a share of the tweets with the shadow version too, into gold/shadow.

The stream of the aggregates does this: it reads the committed labels, runs at its own interval, and lets scoring go
first. An error of the shadow version is logged, and its batch leaves no rows in gold/shadow.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_apps.gold.production_model import open_cache
from spark_apps.gold.scoring import score_tweets
from spark_apps.gold.shadow_model import ShadowModel
from spark_apps.lake.erasures import drop_erased
from spark_apps.registry.client import Registry
from spark_apps.scoring.description import ModelVersion
from spark_apps.settings import Settings
from spark_apps.spark_context import task_slots
from spark_apps.streaming.stream import Batch
from spark_apps.tables import GOLD_SHADOW

# Tweets of a batch for each task slot, as many as in a batch of Gold: in a backlog the share is smaller.
_MAX_TWEETS_PER_SLOT = 2_000
# The share is compared with a hash in this number of steps.
_STEPS = 1_000_000
# The columns of GOLD_SHADOW that are the same in GOLD_SENTIMENT.
_COPIED = ("id", "user_id", "timestamp", "lang", "tweet_date", "retweet_of", "retweet_of_user")


class ShadowScorer:
    """Scores a share of the tweets with the version that has the alias `shadow`."""

    def __init__(self, models: ShadowModel, share: float) -> None:
        self._models = models
        self._share = share

    @classmethod
    def from_settings(cls, settings: Settings) -> "ShadowScorer | None":
        """Return the scorer of `settings`; None without a registry, which has the alias."""
        # A client of its own: a client has one thread, and the stream `gold` waits for its answers.
        registry = Registry.from_settings(settings)
        return cls(ShadowModel(registry, open_cache()), settings.shadow_share) if registry else None

    def current(self) -> ModelVersion | None:
        """Return the shadow version for the next batch; None without one."""
        return self._models.current()

    def append(self, batch: Batch, lake: str, tweets: int, model: ModelVersion) -> int:
        """Append the rows of `model` to gold/shadow, unless the batch is already committed there.

        Args:
            batch: micro-batch of rows of gold/sentiment.
            lake: folder or s3a:// URI of the Delta tables.
            tweets: number of rows in the batch.
            model: shadow version.

        Returns:
            The number of rows; 0 if the shadow version failed.

        Raises:
            LakeError: another process has written gold/shadow.
        """
        writer = batch.writers[GOLD_SHADOW.name]
        if writer.is_committed(batch.id) or not tweets:
            return 0
        share = min(self._share, _MAX_TWEETS_PER_SLOT * task_slots(batch.rows.sparkSession) / tweets)
        rows = shadow_rows(drop_erased(choose(batch.rows, model, share), lake), model).persist()
        try:
            try:
                scored = rows.count()
            except Exception as error:  # nothing that the shadow version does may end Gold
                self._models.pause(model, error)
                return 0
            writer.append(rows, batch.id, {"rows": scored})
        finally:
            rows.unpersist()
        return scored


def choose(sentiment: DataFrame, model: ModelVersion, share: float) -> DataFrame:
    """Return the rows of GOLD_SENTIMENT that `model` scores as the shadow version.

    The choice depends only on the tweet id: a repeated batch has the same tweets, and the tweets of a small share are
    among those of a larger one.
    """
    has_other_label = F.col("label").isNotNull() & (F.col("model_version") != model.version)
    return sentiment.where(has_other_label & (_hash("id") < F.lit(round(share * _STEPS))))


def shadow_rows(sentiment: DataFrame, model: ModelVersion) -> DataFrame:
    """Score rows of GOLD_SENTIMENT with `model`; return rows of GOLD_SHADOW."""
    production = (F.col("label").alias("production_label"), F.col("model_version").alias("production_version"))
    tweets = sentiment.select(*_COPIED, "full_text", *production)
    return score_tweets(tweets, model).select(GOLD_SHADOW.column_names)


def _hash(column: str) -> Column:
    return F.pmod(F.xxhash64(column), F.lit(_STEPS))
