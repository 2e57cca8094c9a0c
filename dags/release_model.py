"""
### release_model

Brings a trained model into production: exported to ONNX, measured, and released where it passes the gates.

Upload the labelled tweets and the model first, and give the `runs:/…` that this prints, with the registry that the
chart has installed (`kubectl port-forward service/mlflow 5000`):

```
tweet-sentiment model upload semeval --registry http://127.0.0.1:5000
tweet-sentiment model upload trained --registry http://127.0.0.1:5000
```

- `exported` writes the model as ONNX and compares its labels with torch's.
- `evaluated` measures the export on the labelled tweets; figures and pictures go to an MLflow run.
- `released` registers it, stages it and asks the gates. A version that passes is in production, and Gold scores with it
  from its next micro-batch on, without a restart.

Each is a pod of its own; all that they hand on is in MLflow, so a run goes on after a restart of Airflow.

#### When it fails
- `released` is red and not tried again, its log names a gate: the version stays in staging, and production is as it
  was. Read the figures there, train a better model, or change the gate's limit (`modelJobs.gates` of the chart).
- `released` is refused by the gate `quality`: the stream is not as it was when production was released. Look at
  `watch_quality`, and acknowledge what it has found.
- `exported` is red: the log says how many labels differ from torch's. Try another precision.
- The pod does not start: its events are in the log of the task. The image with torch is large, and takes minutes to be
  pulled for the first time.

To go back, run `tweet-sentiment model rollback` with the registry.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param

from tweet_dags.jobs import PodJob

EXPORTED = "{{ ti.xcom_pull(task_ids='exported')['uri'] }}"
DATA, SPLIT = "{{ params.data }}", "{{ params.split }}"

with DAG(
    dag_id="release_model",
    doc_md=__doc__,
    description="Export, measure and release a model: production moves where every gate is passed",
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
        "model": Param(
            "",
            type="string",
            minLength=3,
            title="Model",
            description="runs:/… of an uploaded model, or the Hugging Face id of a classifier with our three labels",
        ),
        "data": Param(
            "",
            type="string",
            pattern="^runs:/.+/.+$",
            title="Labelled tweets",
            description="runs:/… of an uploaded folder, with a split val and the split below",
        ),
        "split": Param("val", type="string", pattern="^[A-Za-z0-9_]+$", title="Split on which it is judged"),
        "precision": Param(
            "int8",
            type="string",
            enum=["int8", "fp16", "fp32"],
            title="Precision",
            description="int8 is the fastest; RoBERTas only",
        ),
        "why": Param("", type="string", minLength=3, title="Reason", description="stands on the version and its moves"),
    },
) as dag:
    exported = PodJob(
        task_id="exported",
        pod="model-jobs",
        arguments=[
            "tweet-sentiment", "model", "export", "--model={{ params.model }}", f"--data={DATA}",
            "--precision={{ params.precision }}", "--out=/tmp/exported", "--json",
        ],
    )  # fmt: skip
    evaluated = PodJob(
        task_id="evaluated",
        pod="model-jobs",
        arguments=[
            "tweet-sentiment", "model", "evaluate", f"--model={EXPORTED}", f"--data={DATA}", f"--split={SPLIT}",
            "--json",
        ],
    )  # fmt: skip
    released = PodJob(
        task_id="released",
        pod="model-jobs",
        arguments=[
            "tweet-sentiment", "model", "release", f"--model={EXPORTED}", f"--data={DATA}", f"--split={SPLIT}",
            "--why={{ params.why }}", "--by={{ dag_run.triggering_user_name or 'airflow' }}", "--json",
        ],
    )  # fmt: skip
    exported >> evaluated >> released
