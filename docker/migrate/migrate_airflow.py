"""Create or upgrade Airflow's tables, and create its administrator.

One process instead of three commands, and without the password as an argument.
"""

import logging
import os

from airflow.configuration import conf
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils.db import upgradedb
from airflow.utils.providers_configuration_loader import providers_configuration_loaded
from werkzeug.security import check_password_hash

from database_lock import migrating

_log = logging.getLogger("migrate")


@providers_configuration_loaded
def main() -> None:
    """Migrate Airflow's database, and let the user ADMIN log in with the password PASSWORD."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    _log.setLevel(logging.INFO)
    with migrating(conf.get("database", "sql_alchemy_conn")):
        upgradedb()
        _create_administrator(os.environ["ADMIN"], os.environ["PASSWORD"])
    _log.info("the tables of Airflow are up to date")


def _create_administrator(name: str, password: str) -> None:
    with get_application_builder() as builder:
        users = builder.sm
        user = users.find_user(username=name)
        if user is None:
            role = users.find_role("Admin")
            users.add_user(name, "Platform", "Engineer", f"{name}@localhost", role, password)
        elif not check_password_hash(user.password, password):
            # It also ends the sessions of the user: do it only for a changed password.
            users.reset_password(user.id, password)


if __name__ == "__main__":
    main()
