"""
### replay_quarantine

Reads quarantined records again with the current parser, while Silver is stopped. Use it when an upgrade or a newly
declared format makes rejected records readable. Trigger it with a reason, one or more quarantine reasons and, to read
only newer records, the first day on which Bronze read them. `tweet-sentiment quarantine list` shows the quarantine
reasons with their number of records.

- `suspend_silver` holds Silver as `replay-quarantine`, with the reason, and suspends it. `keep_streams_running` leaves
  it suspended.
- `silver_stopped` waits until no driver and no executor of Silver remains: two drivers never write one table.
- `replay` runs the SparkApplication `replay` and polls its state. Records that are readable now become tweets of
  `silver/tweets` and leave `silver/quarantine`; the others stay. A retry continues after the parts that are committed.
  Each poll logs the last line of the driver's log.
- `resume_silver` deletes the job, releases the hold and resumes Silver.

Tweets keep landing meanwhile; Silver reads them when it resumes, and Gold labels the new tweets. A restart of Airflow,
an upgrade of the chart or a cleared task does not affect the job: each poll finds it by its name.

#### When it fails
The hold remains and Silver stays stopped until someone decides.

To continue, trigger `replay_quarantine` again with the same parameters or clear the failed task: the job continues with
the remaining records.

To abandon the job, delete the SparkApplication `replay`
(`kubectl -n tweet-sentiment-streams delete sparkapplication replay`), wait for the end of its pods, and trigger
`operate_stream` for silver with `start`; it is refused before that. Tweets that were written remain. The totals of
`silver/tweets` may count the records of one part twice until the next replay.

- **Sign:** `suspend_silver` is red. **Meaning:** Someone else holds Silver, for example a rebuild; the log names the
  owner. **Remedy:** Trigger `replay_quarantine` again when the hold is gone.
- **Sign:** `silver_stopped` is red. **Meaning:** A pod of Silver is on a node that does not respond, and may still
  write. **Remedy:** Check the node. If it is gone for good, delete the pod.
- **Sign:** `replay` is red. **Meaning:** The job failed; the log has the last lines of its driver, for example an
  unknown quarantine reason. Each retry continues with the remaining records. **Remedy:** Fix the cause in the log, then
  clear the task. For a wrong quarantine reason, trigger `replay_quarantine` again.
- **Sign:** `replay` is red: `no longer holds silver, but …`. **Meaning:** Someone removed the hold of another job, but
  the objects of that job still exist. **Remedy:** Delete the SparkApplication that the log names, wait for the end of
  its pods, and clear the task.
- **Sign:** `resume_silver` is red. **Meaning:** A pod of the job is on a node that does not respond, and may still
  write. **Remedy:** Check the node. If it is gone for good, delete the pod, then clear the task.
"""

from airflow.sdk import DAG

from tweet_dags.params import required
from tweet_dags.table_jobs.dag import SETTINGS, add_tasks, reason_param, since_param
from tweet_dags.table_jobs.definitions import REASON_PATTERN, REPLAY, reason_arguments, since_arguments

with DAG(
    dag_id="replay_quarantine",
    doc_md=__doc__,
    description="Read quarantined records again with the current parser, while Silver is stopped",
    tags=["streams", "tweet-sentiment"],
    params={
        "reason": reason_param("Silver"),
        "quarantine_reasons": required(
            "array",
            items={"type": "string", "pattern": REASON_PATTERN},
            minItems=1,
            uniqueItems=True,
            title="Quarantine reasons",
            description="Reasons of the records to read again, such as not_a_tweet; one per line",
        ),
        "since": since_param("First day to read again; leave it empty for the whole history"),
    },
    **SETTINGS,
) as dag:
    add_tasks(
        lambda _: REPLAY,
        lambda params: [*reason_arguments(params["quarantine_reasons"]), *since_arguments(params["since"])],
        stream="silver",
        task_id="replay",
    )
