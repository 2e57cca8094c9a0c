"""
### rebuild_table

Computes the tables of a layer again from the layer before it, while the stream of the layer is stopped. Trigger it with
a reason, the table and, to rebuild only a part, the first day.

- `silver`: reads the documents of Bronze again with the current parser, and corrects the tables of Silver. The first
  day is the day on which Bronze read the documents. If tweets were changed or removed, rebuild `gold` afterwards.
- `gold`: makes the tables of Gold match `silver/tweets`. The first day is the day of the tweets.

The tasks:

- `suspend_stream` holds the stream as `rebuild-table`, with the reason, and suspends it. `keep_streams_running` leaves
  it suspended.
- `stream_stopped` waits until no driver and no executor of the stream remains: two drivers never write one table.
- `rebuild` runs the SparkApplication `rebuild-silver` or `rebuild-gold` and polls its state. The job commits part by
  part. A retry continues after the parts that are committed. Each poll logs the last line of the driver's log.
- `resume_stream` deletes the job, releases the hold and resumes the stream.

Tweets keep landing meanwhile; the stream reads them when it resumes. A restart of Airflow, an upgrade of the chart or a
cleared task does not affect the job: each poll finds it by its name.

#### When it fails
The hold remains and the stream stays stopped until someone decides.

To continue, trigger `rebuild_table` again with the same parameters or clear the failed task: the job continues with the
remaining parts.

To abandon the job, delete the SparkApplication
(`kubectl -n tweet-sentiment-streams delete sparkapplication rebuild-silver`, or `rebuild-gold`), wait for the end of
its pods, and trigger `operate_stream` for the stream with `start`; it is refused before that. Parts that were written
remain. After an abandoned rebuild of Gold, trends and mentions may not match the labels until the next rebuild or
rescore has finished.

- **Sign:** `suspend_stream` is red. **Meaning:** Someone else holds the stream, for example a rescore or a replay; the
  log names the owner. **Remedy:** Trigger `rebuild_table` again when the hold is gone.
- **Sign:** `stream_stopped` is red. **Meaning:** A pod of the stream is on a node that does not respond, and may still
  write. **Remedy:** Check the node. If it is gone for good, delete the pod.
- **Sign:** `rebuild` is red. **Meaning:** The job failed; the log has the last lines of its driver. Each retry
  continues with the remaining parts. **Remedy:** Fix the cause in the log, then clear the task.
- **Sign:** `rebuild` is red: `no longer holds …, but …`. **Meaning:** Someone removed the hold of another job, but the
  objects of that job still exist. **Remedy:** Delete the SparkApplication that the log names, wait for the end of its
  pods, and clear the task.
- **Sign:** `resume_stream` is red. **Meaning:** A pod of the job is on a node that does not respond, and may still
  write. **Remedy:** Check the node. If it is gone for good, delete the pod, then clear the task.
"""

from airflow.sdk import DAG, Param

from tweet_dags.table_jobs.dag import SETTINGS, add_tasks, reason_param, since_param
from tweet_dags.table_jobs.definitions import REBUILDS, since_arguments

with DAG(
    dag_id="rebuild_table",
    doc_md=__doc__,
    description="Compute the tables of Silver or Gold again, while their stream is stopped",
    tags=["streams", "tweet-sentiment"],
    params={
        "reason": reason_param("the stream"),
        "table": Param("silver", type="string", enum=[*REBUILDS], title="Table"),
        "since": since_param("First day to rebuild; leave it empty for the whole history"),
    },
    **SETTINGS,
) as dag:
    add_tasks(
        lambda params: REBUILDS[params["table"]],
        lambda params: since_arguments(params["since"]),
        stream="stream",
        task_id="rebuild",
    )
