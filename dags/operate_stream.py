"""
### operate_stream

A person stops, starts or restarts one stream. Trigger it with the stream, the action and a reason.

- `stop`: the driver finishes its batch and ends. The stream stays down until somebody starts it, even where its
  SparkApplication is deleted: who stopped it and why stands on the map `stream-applications`, with a copy on the
  application.
- `start` takes the hold away, also that of a stream that was left down for failing too often, and forgets its
  failures. It goes on from its checkpoint.
- `restart` ends the driver, which is started again from its checkpoint.

Nothing is lost by any of them: what lands meanwhile is read afterwards. While the operator submits the application,
nothing is written to it: `keep_streams_running` carries out a stop or a start once that is over.

#### When it fails
The log of the task names what is missing. Without a driver there is nothing to restart, and `keep_streams_running` says
why. A stream that something else holds is left to it; what a rescore holds can be started once nothing of the rescore
is left, which gives it up. Where something was changed at the same moment, the task tries again.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from tweet_dags import settings

with DAG(
    dag_id="operate_stream",
    doc_md=__doc__,
    description="Stop, start or restart one stream, with a reason",
    schedule=None,
    max_active_runs=4,
    dagrun_timeout=timedelta(minutes=10),
    tags=["streams", "tweet-sentiment"],
    default_args={
        "owner": "platform",
        "retries": 2,
        "retry_delay": timedelta(seconds=5),
        "execution_timeout": timedelta(minutes=2),
    },
    params={
        "stream": Param(settings.streams()[0], type="string", enum=settings.streams(), title="Stream"),
        "action": Param("restart", type="string", enum=["stop", "start", "restart"], title="Action"),
        "reason": Param(
            "", type="string", minLength=3, title="Reason", description="stands on the stream and in the log"
        ),
    },
) as dag:

    @task
    def operate(params: dict[str, str] | None = None, dag_run: object = None) -> str:
        from tweet_dags import operate

        given = params or {}
        user = getattr(dag_run, "triggering_user_name", None)
        return operate.operate(given["stream"], given["action"], given["reason"], user)

    operate()
