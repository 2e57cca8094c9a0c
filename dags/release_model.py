"""
### release_model

Brings a trained model into production: exports it to ONNX, evaluates the export, and releases it if it passes every
gate.

First upload the labelled tweets and the model to the registry of the chart:

1. `kubectl -n tweet-sentiment port-forward service/mlflow 5000`: leave it running, and use another terminal
2. Set `MLFLOW_TRACKING_USERNAME` to `writer`, and `MLFLOW_TRACKING_PASSWORD` to the key `writer-password` of the Secret
   `mlflow`
3. `tweet-sentiment model upload semeval --registry http://127.0.0.1:5000`
4. `tweet-sentiment model upload trained --registry http://127.0.0.1:5000`

Trigger the DAG with the `runs:/…` URIs that the last two commands print.

- `export_needed` skips the export of a version that is already registered, such as `models:/tweet-sentiment@shadow`.
- `export` writes the model as ONNX and compares its labels with those of PyTorch.
- `evaluate` measures the export on the labelled tweets, and records metrics and plots in an MLflow run.
- `release` registers the version, moves it to staging and checks the gates. A version that passes becomes the
  production version: Gold scores with it from the next micro-batch on, without a restart.

With "Shadow first", a version that passes becomes the shadow version instead: Gold scores a share of the tweets with it
too, into the table `gold/shadow`, and production does not change. `tweet-sentiment model list` and the dashboard show
how its labels differ. To release it, trigger the DAG again with the model `models:/tweet-sentiment@shadow`. The limit
`shadowTweets` (`modelJobs.gates` of the chart) refuses a version that has scored fewer tweets in this way.

Each task runs in its own pod. All results are in MLflow, so a run continues after a restart of Airflow.

#### When it fails
- **Sign:** `release` is red without a retry, and the log names a gate. **Meaning:** The version failed the gate. It
  stays in staging; production is unchanged. **Remedy:** Compare the metrics in the log, then train a better model or
  change the gate's limit (`modelJobs.gates` of the chart).
- **Sign:** `release` is red, refused by the gate `quality`. **Meaning:** The stream has unacknowledged findings, so the
  effect of a release could not be measured. **Remedy:** Read the log of `watch_quality`, then fix or acknowledge its
  findings.
- **Sign:** `export` is red. **Meaning:** Too many labels differ from those of PyTorch; the log says how many.
  **Remedy:** Trigger the DAG with another precision.
- **Sign:** A pod does not start. **Meaning:** The task's log has the events of the pod. The image with torch is large:
  the first pull takes minutes. **Remedy:** Fix the cause in the events.

To return to the previous version, run `tweet-sentiment model rollback` with `--registry`.
"""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.python import ShortCircuitOperator
from airflow.sdk import DAG, Param

from tweet_dags.params import required
from tweet_dags.pod_job import PodJob

EXPORTED_MODEL = "{{ params.model if params.model.startswith('models:/') else ti.xcom_pull(task_ids='export')['uri'] }}"
DATA, SPLIT = "{{ params.data }}", "{{ params.split }}"


def is_export_needed(**context: Any) -> bool:
    """Return whether the model is not a registered version, which is exported already."""
    return not context["params"]["model"].startswith("models:/")


with DAG(
    dag_id="release_model",
    doc_md=__doc__,
    description="Export, evaluate and release a model that passes every gate",
    schedule=None,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=8),
    tags=["model", "tweet-sentiment"],
    default_args={
        "owner": "data-science",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(hours=2),
    },
    params={
        "model": required(
            "string",
            minLength=3,
            title="Model",
            description="runs:/… URI of an uploaded model, Hugging Face id of a classifier with the three labels, or "
            "models:/tweet-sentiment@shadow",
        ),
        "data": required(
            "string",
            pattern="^runs:/.+/.+$",
            title="Labelled tweets",
            description="runs:/… URI of an uploaded folder with the split val and the split below",
        ),
        "split": Param("val", type="string", pattern="^[A-Za-z0-9_]+$", title="Split on which the model is evaluated"),
        "precision": Param(
            "int8",
            type="string",
            enum=["int8", "fp16", "fp32"],
            title="Precision",
            description="int8 is the fastest, and supports only RoBERTa models",
        ),
        "shadow_first": Param(
            False,
            type="boolean",
            title="Shadow first",
            description="Make the version the shadow version instead of releasing it",
        ),
        "why": required("string", minLength=3, title="Reason", description="Recorded as a tag of the version"),
    },
) as dag:
    export_needed = ShortCircuitOperator(
        task_id="export_needed",
        python_callable=is_export_needed,
        # Skip `export` only: `evaluate` has its own trigger rule.
        ignore_downstream_trigger_rules=False,
    )
    export = PodJob(
        task_id="export",
        pod="model-jobs",
        arguments=[
            "tweet-sentiment", "model", "export", "--model={{ params.model }}", f"--data={DATA}",
            "--precision={{ params.precision }}", "--out=/tmp/exported", "--json",
        ],
    )  # fmt: skip
    evaluate = PodJob(
        task_id="evaluate",
        pod="model-jobs",
        arguments=[
            "tweet-sentiment", "model", "evaluate", f"--model={EXPORTED_MODEL}", f"--data={DATA}", f"--split={SPLIT}",
            "--json",
        ],
        trigger_rule="none_failed",
    )  # fmt: skip
    release = PodJob(
        task_id="release",
        pod="model-jobs",
        arguments=[
            "tweet-sentiment", "model", "release", f"--model={EXPORTED_MODEL}", f"--data={DATA}", f"--split={SPLIT}",
            "--why={{ params.why }}", "--by={{ dag_run.triggering_user_name or 'airflow' }}",
            "--{{ '' if params.shadow_first else 'no-' }}shadow-first", "--json",
        ],
    )  # fmt: skip
    export_needed >> export >> evaluate >> release
