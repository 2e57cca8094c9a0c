"""Create or upgrade the tables of MLflow, create its users, and write the configuration of its login.

`mlflow db upgrade` takes the URI with its password as an argument, and MLflow creates its users over the network.
"""

import logging
import os
from pathlib import Path

from mlflow.db import upgrade

from database_lock import migrating
from mlflow_login import ADMIN, GRANTS, create_model, create_users, write_config


def main() -> None:
    """Migrate the database of MLFLOW_BACKEND_STORE_URI; let each user log in with the password <USER>_PASSWORD."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    uri = os.environ["MLFLOW_BACKEND_STORE_URI"]
    passwords = {user: os.environ[f"{user.upper()}_PASSWORD"] for user in (ADMIN, *GRANTS)}
    with migrating(uri):
        upgrade.main([uri], standalone_mode=False)
        create_users(uri, passwords)
        create_model(uri)
    write_config(Path(os.environ["LOGIN_CONFIG"]), uri)
    logging.getLogger("migrate").info("the tables and users of MLflow are up to date")


if __name__ == "__main__":
    main()
