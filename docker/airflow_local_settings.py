"""Airflow imports this module at the start of each process."""

import sys

# The scheduler forks the workers of LocalExecutor, and the workers fork a process for each task, which inherits the
# import. Otherwise the import would take four fifths of the time of each task of keep_streams_running.
if "scheduler" in sys.argv:
    import kubernetes.client  # noqa: F401
