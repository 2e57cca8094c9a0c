"""Imported by each process of Airflow when it starts."""

import sys

# The scheduler forks the processes of LocalExecutor, and these fork one for each task. The tasks that keep the streams
# running need the Kubernetes client: importing it took four fifths of their time.
if "scheduler" in sys.argv:
    import kubernetes.client  # noqa: F401
