"""Create or upgrade the tables of MLflow. `mlflow db upgrade` takes the URI with its password as an argument."""

import logging
import os

from mlflow.db import upgrade

from database_lock import migrating


def main() -> None:
    """Migrate the database of MLFLOW_BACKEND_STORE_URI."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    uri = os.environ["MLFLOW_BACKEND_STORE_URI"]
    with migrating(uri):
        upgrade.main([uri], standalone_mode=False)
    logging.getLogger("migrate").info("the tables of MLflow are up to date")


if __name__ == "__main__":
    main()
