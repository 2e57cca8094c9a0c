"""
### watch_quality

Looks every quarter of an hour at what the streams have written in the last hour, and fails while something is over its
limit and nobody has acknowledged it.

- `asked` and `acknowledged` do something only where a person has triggered the run with a reason.
- `measured` measures how long rows wait for the next layer, how many tweets come, which share of the records is in
  quarantine, and how far labels and texts of each language drift from the baseline: what the version in production
  labelled in its first hour there. The labels of a new version are compared with the baseline of the one before.

What is over its limit is kept in the registry until it is measured again and in order, and `release_model` is refused
until then: what a release does to a stream shows only in a stream that is as it was.

#### When it fails
- `measured` is red and not tried again, its log ends with what was found: docs/operations.md says of each finding what
  it means, how to check and what to do. It turns green by itself once the stream is in order.
- What may stand, such as a new source with a mood of its own: trigger this DAG with `acknowledge`, the reason. It
  acknowledges what stands at that moment. What passes and comes back has to be acknowledged anew.
- `measured` is red after retries: it could not be measured. The log says whether the lake or the registry is away.

The limits are `quality.limits` of the chart.
"""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.python import ShortCircuitOperator
from airflow.sdk import DAG, Param

from tweet_dags.jobs import PodJob


def reason(params: dict[str, str]) -> str:
    """Return the reason with which a person has triggered the run; none, and what hangs on it is skipped."""
    return params["acknowledge"].strip()


with DAG(
    dag_id="watch_quality",
    doc_md=__doc__,
    description="Freshness, throughput, quarantine and drift of the stream against their limits",
    schedule=timedelta(minutes=15),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    tags=["streams", "model", "tweet-sentiment"],
    default_args={
        "owner": "data-science",
        # The first run meets an installation whose tables are not there yet.
        "retries": 10,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(minutes=15),
    },
    params={
        "acknowledge": Param(
            "",
            type="string",
            maxLength=1000,
            title="Acknowledge what stands, because",
            description="the reason stands in the registry; left empty, nothing is acknowledged",
        ),
    },
) as dag:
    # Skips the acknowledgement alone.
    asked = ShortCircuitOperator(task_id="asked", python_callable=reason, ignore_downstream_trigger_rules=False)
    acknowledged = PodJob(
        task_id="acknowledged",
        pod="quality",
        arguments=[
            "tweet-sentiment", "quality", "acknowledge", "--why={{ params.acknowledge }}",
            "--by={{ dag_run.triggering_user_name or 'airflow' }}",
        ],
    )  # fmt: skip
    measured = PodJob(
        task_id="measured",
        pod="quality",
        arguments=["tweet-sentiment", "quality", "check"],
        trigger_rule="none_failed",
    )
    asked >> acknowledged >> measured
