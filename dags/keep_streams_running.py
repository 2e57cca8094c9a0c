"""
### keep_streams_running

Looks at each stream once a minute and does at most one thing about it.

- `applied` applies the SparkApplication that the chart has rendered: where it is missing, changed by an upgrade,
  edited by hand, or where the operator has forgotten it. It is deleted to be made anew only where the cluster would
  take it again, and never written while the operator submits it. Executors that a killed driver has left are taken
  away five minutes after their end: until then, their logs can be read.
- `advancing` asks the driver whether its micro-batches advance; where they do, `healed` is skipped.
- `healed` ends a driver whose batches stand still or that keeps silent, so that it is started again; a stream that
  fails and has failed too often within an hour is left down. What an upgrade, an edit or a person has brought about is
  no failure.

A run owns nothing: streams go on while Airflow is stopped, and a run may be deleted at any time. A stream that somebody
holds (`operate_stream`, a rescore) is kept suspended, and not made anew where somebody has deleted it.

#### When it fails
- `applied` is red: its log says why the operator cannot start the driver (an image that cannot be pulled, no room on
  the nodes, a submission that is refused). Mend that; the next run goes on.
- `applied` is red, a write is refused: the operator's webhook is away, or a policy forbids it. Nothing was deleted.
- `applied` is red, the driver cannot be asked: the network between Airflow and the streams is closed. Nothing is done
  to the driver, which the kubelet goes on watching; look at the network policies.
- `applied` is red, the driver may still write: its node is lost. Nothing is ended by force. Look at the node; when it
  is gone for good, delete its pod.
- `healed` is red: the stream failed too often and was left down; the log has the driver's last error. Mend the cause,
  then trigger `operate_stream` with the action `start`.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, TaskGroup, task

from tweet_dags import settings

with DAG(
    dag_id="keep_streams_running",
    doc_md=__doc__,
    description="The three streams are applied, advance, and are healed where they do not",
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
            def applied(stream: str) -> str:
                from tweet_dags import keep

                return keep.applied(stream)

            @task.short_circuit
            def advancing(stream: str) -> bool:
                from tweet_dags import keep

                return keep.behind(stream)

            @task
            def healed(stream: str) -> str:
                from tweet_dags import keep

                return keep.healed(stream)

            applied(stream) >> advancing(stream) >> healed(stream)
