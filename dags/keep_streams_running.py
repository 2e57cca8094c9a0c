"""
### keep_streams_running

Watches the three streams, and repairs what the Spark operator does not notice. The desired state of a stream is the
SparkApplication that the chart has rendered; it is suspended while someone holds the stream.

A run takes five minutes, and the next one follows at once. The tasks of a run are deferred: Airflow's triggerer
observes each stream every three seconds, and starts a worker process only when something must be done. A run ends
early when a stream is held, released, given up, or needs a person, so the grid shows the change within seconds.

- `apply` shows how the stream is at the start of the run. It applies the SparkApplication if it is missing, if an
  upgrade or a manual edit has changed it, or if a hold must suspend or resume it. It recreates an application only
  after a dry run shows that the cluster would accept it, and never writes while the operator is submitting the
  application.
- `heal` watches the stream until the end of the run, and shows how the stream is then. It makes the same repairs
  as `apply`, and restarts a driver that makes no progress or does not answer. If a stream has failed too often within
  an hour (`streams.failuresPerHour` of the chart), it gives the stream up: it suspends the stream, and starts it again
  half an hour later (`streams.retryMinutes`). Restarts by an upgrade, an edit or a person do not count as failures.

The rows follow the data: Bronze, Silver, Gold. The arrows between them show this order only; no task waits for
another stream.

| Colour | Meaning |
|---|---|
| violet (deferred) | the stream is being watched |
| green (success) | the stream runs, or restarts by itself |
| pink (skipped) | someone holds the stream: `operate_stream`, a rescore, a rebuild or a replay |
| red (failed) | a person must act: the log says why |
| yellow (up for retry) | the cluster rejected a write; the next try follows within a minute |

A driver that cannot reach its storage does not fail: it waits for the end of the outage, and the log names what it
waits for. Streams keep running while Airflow is stopped, and a run may be deleted at any time: all state is on the
cluster.

#### When it fails
- **Sign:** `the driver is pending` or `… is pending`. **Meaning:** For five minutes, a pod of the stream has not
  found a node, or its container cannot start: the scheduler's or the kubelet's reason follows. With a pending
  executor, the stream runs more slowly. **Remedy:** Add capacity, or correct the image or the volume claim.
- **Sign:** `SUBMISSION_FAILED`. **Meaning:** The operator has failed to submit the application at least four times:
  its message follows, for example a quota or an admission policy. **Remedy:** Fix the cause; the operator tries
  again.
- **Sign:** `check the Spark operator`. **Meaning:** For ten minutes, the operator has not submitted the application.
  **Remedy:** Check the pods of the Spark operator, and restart them.
- **Sign:** `tries have failed`. **Meaning:** The cluster rejects a write: the operator's webhook is down, or a policy
  forbids it. Nothing was deleted. **Remedy:** Read the logs of the earlier tries. Check the operator's webhook and
  the policies of the namespace.
- **Sign:** `the stream cannot be observed`. **Meaning:** For two minutes, Airflow could not read from the Kubernetes
  API, or the chart's ConfigMap is missing. **Remedy:** Check the network policies and the service account of Airflow.
- **Sign:** `the driver cannot be reached`. **Meaning:** The network between Airflow and the streams is closed. The
  driver is left alone; the kubelet still probes it. **Remedy:** Check the network policies.
- **Sign:** `the driver may still be writing`, or `the state of the driver is unknown`. **Meaning:** The driver's node
  is lost. Nothing is ended by force. **Remedy:** Check the node. If it is gone for good, delete the driver's pod.
- **Sign:** `given up`. **Meaning:** The stream failed too often. The log has the driver's last error. **Remedy:** Fix
  the cause. Trigger `operate_stream` with the action `start`, or wait for the next attempt.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, TaskGroup

from tweet_dags import settings
from tweet_dags.reconcile.operator import ReconcileStream

with DAG(
    dag_id="keep_streams_running",
    doc_md=__doc__,
    description="Watch the SparkApplications of the three streams, repair them, and restart stuck drivers",
    schedule="@continuous",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    # The run that an outage of Airflow has interrupted continues: its tasks are deferred, and end at once.
    dagrun_timeout=timedelta(days=1),
    tags=["streams", "tweet-sentiment"],
    default_args={
        "owner": "platform",
        # More tries than fit into a run: the stream stays watched, and the end of the run decides the task's colour.
        "retries": 10,
        "retry_delay": timedelta(seconds=5),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=1),
        # Includes the time in the trigger, and an outage of Airflow during that time.
        "execution_timeout": timedelta(hours=2),
    },
) as dag:
    previous = None
    for stream in settings.streams():
        with TaskGroup(stream):
            # Airflow sorts rows by dependency, then by name: this upstream task, for which no task waits, sorts them.
            apply = ReconcileStream(task_id="apply", stream=stream, settle=True, trigger_rule="always")
            # It watches the stream also if `apply` has failed or is skipped.
            heal = ReconcileStream(task_id="heal", stream=stream, settle=False, trigger_rule="all_done")
            apply >> heal
        if previous:
            previous >> apply
        previous = apply
