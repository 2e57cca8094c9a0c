"""
### keep_streams_running

Looks at each stream once a minute and does at most one thing about it.

- `applied` applies the SparkApplication that the chart has rendered: where it is missing, changed by an upgrade,
  edited by hand, or where the operator has forgotten it.
- `advancing` asks the driver whether its micro-batches advance; where they do, `healed` is skipped.
- `healed` ends a driver whose batches stand still, so that it is started again; a stream that failed too
  often within an hour is left down.

A run owns nothing: streams go on while Airflow is stopped, and a run may be deleted at any time. A stream that somebody
holds (`operate_stream`, a rescore) is left alone.

#### When it fails
- `applied` is red: its log says why the operator cannot start the driver (an image that cannot be pulled, no room on
  the nodes, a submission that is refused). Mend that; the next run goes on.
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
