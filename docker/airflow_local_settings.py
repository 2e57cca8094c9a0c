"""Airflow imports this module at the start of each process."""

import sys

# The scheduler forks the workers of LocalExecutor, and the workers fork a process for each task, which inherits the
# import. Otherwise the import would take most of the time of a task that repairs a stream. In the triggerer, it would
# block the triggers of all streams.
if {"scheduler", "triggerer"} & set(sys.argv):
    import kubernetes.client  # noqa: F401
