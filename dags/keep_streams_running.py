"""
### keep_streams_running

Reconciles each stream once a minute: compares its observed state with its desired state, and executes at most one
action. The desired state is the SparkApplication that the chart has rendered; it is suspended while someone holds the
stream.

- `apply` applies the SparkApplication if it is missing, if an upgrade or a manual edit has changed it, or if the
  operator has lost track of it. It recreates an application only after a dry run shows that the cluster would accept
  it. It never writes while the operator is submitting the application. It deletes the executors of a killed driver five
  minutes after they end; until then, their logs can be read.
- `needs_healing` asks the driver whether its micro-batches advance. If they do, `heal` is skipped.
- `heal` restarts a driver that makes no progress or does not answer. If a stream has failed too often within an hour
  (`streams.failuresPerHour` of the chart), `heal` gives the stream up: it suspends the stream. Restarts by an upgrade,
  an edit or a person do not count as failures.
- `apply` starts a stream again half an hour after it was given up (`streams.retryMinutes`).

A driver that cannot reach its storage does not fail: it waits for the end of the outage, and `needs_healing` logs what
it waits for.

Streams keep running while Airflow is stopped, and a run may be deleted at any time: all state is on the cluster. A
stream that is held (by `operate_stream`, or by a rescore, a rebuild or a replay) stays suspended, and is not created
again if its application is deleted.

#### When it fails
- **Sign:** `apply` is red: `the driver is pending` or `SUBMISSION_FAILED`. **Meaning:** The operator cannot start the
  driver: the log says why, for example an image that cannot be pulled, no room on the nodes, or a rejected submission.
  **Remedy:** Fix the cause; the next run continues.
- **Sign:** `apply` is red: `was not written and stays unchanged`. **Meaning:** The cluster rejected a write: the
  operator's webhook is down, or a policy forbids it. Nothing was deleted. **Remedy:** Check the operator's webhook and
  the policies of the namespace.
- **Sign:** `apply` is red: `the driver cannot be reached`. **Meaning:** The network between Airflow and the streams is
  closed. The driver is left alone; the kubelet still probes it. **Remedy:** Check the network policies.
- **Sign:** `apply` is red: `the driver may still be writing`, or `the state of the driver is unknown`. **Meaning:** The
  driver's node is lost. Nothing is ended by force. **Remedy:** Check the node. If it is gone for good, delete the
  driver's pod.
- **Sign:** `heal` is red: `given up`. **Meaning:** The stream failed too often. The log has the driver's last error.
  **Remedy:** Fix the cause. Trigger `operate_stream` with the action `start`, or wait for the next attempt.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, TaskGroup, task

from tweet_dags import settings

with DAG(
    dag_id="keep_streams_running",
    doc_md=__doc__,
    description="Apply the SparkApplications of the three streams, check their progress, and restart stuck drivers",
    schedule=timedelta(minutes=1),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=5),
    tags=["streams", "tweet-sentiment"],
    default_args={
        "owner": "platform",
        "retries": 2,
        "retry_delay": timedelta(seconds=5),
        "execution_timeout": timedelta(minutes=2),
    },
) as dag:
    for stream in settings.streams():
        with TaskGroup(stream):

            @task
            def apply(stream: str) -> str:
                from tweet_dags.reconcile import tasks

                return tasks.apply(stream)

            @task.short_circuit
            def needs_healing(stream: str) -> bool:
                from tweet_dags.reconcile import tasks

                return tasks.needs_healing(stream)

            @task
            def heal(stream: str) -> str:
                from tweet_dags.reconcile import tasks

                return tasks.heal(stream)

            apply(stream) >> needs_healing(stream) >> heal(stream)
