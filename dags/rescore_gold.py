"""
### rescore_gold

Scores the history again with the model in production, so that one version has labelled it all; trends and mentions
follow. Trigger it with a reason, and with the first day to be scored again where that is not all.

- `held` stops Gold, as `rescore-gold` and with the reason. `keep_streams_running` leaves it stopped.
- `quiet` waits until no driver and no executor of Gold is left: two drivers never write one table.
- `rescored` runs the SparkApplication `rescore`, and follows it. It writes part by part, the newest first; what is
  written is not done again, whatever ends the job. The task's log has the last line of the driver at each look.
- `resumed` takes the job away, and lets Gold go on.

Tweets land meanwhile, reach Silver, and are labelled when Gold is back. A restart of Airflow, an upgrade of the chart
or a task that is cleared do nothing to the job: each look finds it by its name.

#### When it fails
The hold stays, and Gold with it stopped, until somebody decides. Trigger `rescore_gold` again, or clear the failed
task: it goes on with what is left. To give it up, delete the SparkApplication `rescore`
(`kubectl -n tweet-sentiment-streams delete sparkapplication rescore`), wait for the end of its pods, and trigger
`operate_stream` for gold with `start`, which is refused before. Labels that were written stay; trends and mentions
follow them at the end of the next rescore only.

- `held` is red: somebody else holds Gold, who is named.
- `quiet` is red: a pod of Gold stands on a node that does not answer, and may still write. Look at the node; when it is
  gone for good, delete the pod.
- `rescored` is red: its log has the last lines of the driver. It is tried again, each time with what is left to do.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param, task

EVERY = 20.0

with DAG(
    dag_id="rescore_gold",
    doc_md=__doc__,
    description="The history is scored again with the model in production, while Gold is stopped",
    schedule=None,
    max_active_runs=1,
    dagrun_timeout=timedelta(days=4),
    tags=["model", "streams", "tweet-sentiment"],
    default_args={
        "owner": "platform",
        "retries": 5,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(minutes=5),
    },
    params={
        "reason": Param(
            "", type="string", minLength=3, title="Reason", description="stands on the stream while it is stopped"
        ),
        "since": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Since",
            description="first day to be scored again; without one, all",
        ),
    },
) as dag:

    @task
    def held(params: dict[str, str] | None = None, dag_run: object = None) -> str:
        from tweet_dags import rescore

        return rescore.held((params or {})["reason"], getattr(dag_run, "triggering_user_name", None))

    @task.sensor(poke_interval=EVERY, mode="reschedule", timeout=timedelta(hours=1).total_seconds())
    def quiet() -> bool:
        from tweet_dags import rescore

        return rescore.quiet()

    @task.sensor(poke_interval=EVERY, mode="reschedule", timeout=timedelta(days=3).total_seconds())
    def rescored(params: dict[str, str | None] | None = None, run_id: str = "") -> bool:
        from tweet_dags import rescore

        return rescore.rescored((params or {}).get("since"), run_id)

    @task.sensor(poke_interval=EVERY, mode="reschedule", timeout=timedelta(hours=1).total_seconds())
    def resumed() -> bool:
        from tweet_dags import rescore

        return rescore.resumed()

    held() >> quiet() >> rescored() >> resumed()
