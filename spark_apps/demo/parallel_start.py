"""The parts of the demo's start that run in threads of their own: Spark, the registration and the loading of the model.

Their imports take seconds, so each thread imports what it needs.
"""

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from spark_apps.dashboard.startup import MODEL
from spark_apps.demo.terminal import TerminalView
from spark_apps.settings import MODEL_NAME, Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# The registration shares the cores with the start of Spark: on a busy machine one request takes minutes.
_REGISTRY_SECONDS = 600


def start_spark(settings: Settings) -> None:
    """Start Spark while the main thread imports the streams; `run` gets the same session, or raises the same error."""
    from spark_apps.session import make_session

    with suppress(Exception):
        make_session(settings)


def load_model(spark: "SparkSession", view: TerminalView) -> None:
    """Start the Python workers and load the bundled model in them while Spark creates the tables."""
    from spark_apps.registry.client import BUNDLED
    from spark_apps.scoring import udf
    from spark_apps.scoring.description import Description, ModelVersion

    # Gold loads its model later anyway: an error here, such as a stop of Spark, only delays the first labels.
    with suppress(Exception):
        precisions = udf.load_model(spark, ModelVersion(MODEL_NAME, "bundled", BUNDLED))
        if precisions != {Description.read(BUNDLED).precision}:
            view.note(
                "The int8 model fails its self-check on this processor: tweets are scored in float32, more slowly."
            )


class Registration(threading.Thread):
    """Registers the bundled model while Spark starts; a failure stops the demo."""

    def __init__(self, registry: str, view: TerminalView, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.error: Exception | None = None
        self._registry = registry
        self._view = view
        self._stop_demo = stop

    def run(self) -> None:
        from spark_apps.registry.client import BUNDLED, Registry
        from spark_apps.registry.production import ensure_production

        try:
            ensure_production(Registry(self._registry, _REGISTRY_SECONDS), BUNDLED)
            self._view.finish(MODEL.key)
        except Exception as error:  # the main thread raises it
            self.error = error
            self._stop_demo.set()
