"""
### watch_quality

Every 15 minutes, measures what the streams wrote in the last hour. A measurement beyond its limit is a finding.
The run fails while a finding is unacknowledged.

- `acknowledgement_requested` checks whether a person has triggered the run with a reason to acknowledge the findings.
  If not, `acknowledge` is skipped.
- `acknowledge` acknowledges all current findings with that reason.
- `measure` measures the freshness of each layer, the throughput, the share of quarantined records, and the data drift
  of labels and texts for each language. The baseline of the drift is the first hour in which the version in production
  labelled tweets. The labels of a new version are compared with the baseline of the version before it.

A finding stays in the registry until a later measurement is within its limit. Unless it is acknowledged, it blocks
`release_model`: the effect of a release can be measured only on a stream within its limits.

#### When it fails
- **Sign:** `measure` is red without a retry. **Meaning:** A measurement exceeds its limit. The log ends with the
  findings; docs/operations.md explains each finding, its checks and its remedies. **Remedy:** Follow the remedy. The
  task turns green once the stream is within its limits.
- **Sign:** `measure` is red, and the finding is acceptable, such as a new source with more negative tweets.
  **Meaning:** The limit describes the stream as it was before. **Remedy:** Trigger this DAG with the reason in
  `acknowledge`. The acknowledgement covers the current findings; a finding that is resolved and returns needs a new
  one.
- **Sign:** `measure` is red after retries. **Meaning:** The measurement failed. The log says whether the lake or the
  registry is unavailable. **Remedy:** Restore the lake or the registry.

The limits are `quality.limits` of the chart.
"""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.python import ShortCircuitOperator
from airflow.sdk import DAG, Param

from tweet_dags.pod_job import PodJob


def is_acknowledgement_requested(params: dict[str, str]) -> bool:
    """Tell whether a person has triggered the run with a reason to acknowledge the findings."""
    return bool(params["acknowledge"].strip())


with DAG(
    dag_id="watch_quality",
    doc_md=__doc__,
    description="Compare freshness, throughput, quarantine and data drift of the streams with their limits",
    schedule=timedelta(minutes=15),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    tags=["streams", "model", "tweet-sentiment"],
    default_args={
        "owner": "data-science",
        # In a new installation, the tables do not exist at the first run.
        "retries": 10,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(minutes=15),
    },
    params={
        "acknowledge": Param(
            "",
            type="string",
            maxLength=1000,
            title="Reason to acknowledge all current findings",
            description="Recorded in the registry; leave it empty to acknowledge nothing",
        ),
    },
) as dag:
    acknowledgement_requested = ShortCircuitOperator(
        task_id="acknowledgement_requested",
        python_callable=is_acknowledgement_requested,
        # Skip `acknowledge` only: `measure` has its own trigger rule.
        ignore_downstream_trigger_rules=False,
    )
    acknowledge = PodJob(
        task_id="acknowledge",
        pod="quality",
        arguments=[
            "tweet-sentiment", "quality", "acknowledge", "--why={{ params.acknowledge }}",
            "--by={{ dag_run.triggering_user_name or 'airflow' }}",
        ],
    )  # fmt: skip
    measure = PodJob(
        task_id="measure",
        pod="quality",
        arguments=["tweet-sentiment", "quality", "check"],
        trigger_rule="none_failed",
    )
    acknowledgement_requested >> acknowledge >> measure
