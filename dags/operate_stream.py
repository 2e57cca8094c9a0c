"""
### operate_stream

Stops, starts or restarts one stream, or acknowledges that it is stopped. Trigger it with the stream, the action and a
reason. Its one task is `operate`.

- `stop`: the driver finishes its batch and ends. The stream stays down until someone starts it, even if its
  SparkApplication is deleted. The hold, with its owner and reason, is an annotation of the ConfigMap
  `stream-applications`, with a copy on the application.
- `start` removes the hold and forgets earlier failures; it also starts a stream that was given up. The stream continues
  from its checkpoint.
- `restart` ends the driver; the operator starts it again from its checkpoint.
- `acknowledge` records that you know why the stream is stopped, whoever holds it. It raises no alert until the hold is
  released. If the stream was given up, the next attempt sets another hold, which alerts again: `stop` it to end the
  attempts.

No action loses tweets: files that land while a stream is down are read afterwards. While the operator is submitting
the application, nothing is written to it; `keep_streams_running` completes a stop or a start after the submission.

#### When it fails
- **Sign:** `operate` is red: `has no driver to restart`. **Meaning:** A restart needs a running driver. **Remedy:**
  Read the log of `keep_streams_running`: it says why the stream has no driver.
- **Sign:** `operate` is red: `held by …`. **Meaning:** Someone else holds the stream, or the action is `restart` and
  the stream is stopped. **Remedy:** Leave the stream to the owner of the hold; trigger `start` to start a stopped
  stream.
- **Sign:** `operate` is red: `held by rescore-gold …`, `held by rebuild-table …` or `held by replay-quarantine …`.
  **Meaning:** A job on the tables of the stream holds it, and the objects of the job still exist. **Remedy:** Trigger
  the DAG of that name to continue the job. To abandon the job, delete the SparkApplication that the log names, wait
  for the end of its pods, and trigger `start`.
- **Sign:** `operate` is red: `the driver may still be writing`. **Meaning:** The driver's node is lost. Nothing is
  ended by force. **Remedy:** Check the node. If it is gone for good, delete the driver's pod.
- **Sign:** `operate` is red: `there is nothing to acknowledge`. **Meaning:** Nobody holds the stream. **Remedy:** Read
  the log of `keep_streams_running`, which says what the stream does.
- **Sign:** `operate` is retried: `has changed since it was read`. **Meaning:** Something else changed the stream at
  the same moment. **Remedy:** None: the retry reads the new state.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from tweet_dags import settings
from tweet_dags.params import required

with DAG(
    dag_id="operate_stream",
    doc_md=__doc__,
    description="Stop, start or restart one stream, or acknowledge its hold, with a reason",
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
        "action": Param("restart", type="string", enum=["stop", "start", "restart", "acknowledge"], title="Action"),
        "reason": required(
            "string", minLength=3, title="Reason", description="Recorded in the hold and in the task's log"
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
