"""
### rescore_gold

Scores the history again with the model in production, so that a single version has labelled all tweets, and rebuilds
trends and mentions. Trigger it with a reason and, to rescore only a part, the first day of the tweets.

- `suspend_gold` holds Gold as `rescore-gold`, with the reason, and suspends it. `keep_streams_running` leaves it
  suspended.
- `gold_stopped` waits until no driver and no executor of Gold remains: two drivers never write one table.
- `rescore` runs the SparkApplication `rescore` and polls its state. The job commits part by part, the newest first. A
  retry skips the parts that are committed. Each poll logs the last line of the driver's log.
- `resume_gold` deletes the job, releases the hold and resumes Gold.

Tweets keep landing and reach Silver meanwhile; Gold labels them when it resumes. A restart of Airflow, an upgrade of
the chart or a cleared task does not affect the job: each poll finds it by its name.

#### When it fails
The hold remains and Gold stays stopped until someone decides.

To continue, trigger `rescore_gold` again or clear the failed task: the job continues with the remaining parts.

To abandon the job, delete the SparkApplication `rescore`
(`kubectl -n tweet-sentiment-streams delete sparkapplication rescore`), wait for the end of its pods, and trigger
`operate_stream` for gold with `start`; it is refused before that. Labels that were written remain. Trends and mentions
show them only after the next rescore or rebuild has finished.

- **Sign:** `suspend_gold` is red. **Meaning:** Someone else holds Gold, for example a rebuild; the log names the owner.
  **Remedy:** Trigger `rescore_gold` again when the hold is gone.
- **Sign:** `gold_stopped` is red. **Meaning:** A pod of Gold is on a node that does not respond, and may still write.
  **Remedy:** Check the node. If it is gone for good, delete the pod.
- **Sign:** `rescore` is red. **Meaning:** The job failed; the log has the last lines of its driver. Each retry
  continues with the remaining parts. **Remedy:** Fix the cause in the log, then clear the task.
- **Sign:** `rescore` is red: `no longer holds gold, but …`. **Meaning:** Someone removed the hold of another job, but
  the objects of that job still exist. **Remedy:** Delete the SparkApplication that the log names, wait for the end of
  its pods, and clear the task.
- **Sign:** `resume_gold` is red. **Meaning:** A pod of the job is on a node that does not respond, and may still
  write. **Remedy:** Check the node. If it is gone for good, delete the pod, then clear the task.
"""

from airflow.sdk import DAG

from tweet_dags.table_jobs.dag import SETTINGS, add_tasks, reason_param, since_param
from tweet_dags.table_jobs.definitions import RESCORE, since_arguments

with DAG(
    dag_id="rescore_gold",
    doc_md=__doc__,
    description="Score the history again with the model in production, while Gold is stopped",
    tags=["model", "streams", "tweet-sentiment"],
    params={
        "reason": reason_param("Gold"),
        "since": since_param("First day to score again; leave it empty for the whole history"),
    },
    **SETTINGS,
) as dag:
    add_tasks(lambda _: RESCORE, lambda params: since_arguments(params["since"]), stream="gold", task_id="rescore")
