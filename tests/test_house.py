"""Rules of the house: what may import what. Each process carries only what it uses."""

import subprocess
import sys

import pytest

SPARK, SCORING, TORCH = ["pyspark", "py4j", "delta"], ["onnxruntime", "tokenizers"], ["torch", "transformers"]


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("spark_apps.cli", [*SPARK, *SCORING, *TORCH, "mlflow", "streamlit", "pandas", "deltalake"]),
        ("spark_apps.dashboard.data", [*SPARK, *SCORING, *TORCH]),
        ("spark_apps.dashboard.launch", [*SPARK, *SCORING, *TORCH, "mlflow"]),
        ("spark_apps.model.registry", [*SPARK, *SCORING, *TORCH]),
        ("spark_apps.status", [*SPARK, *SCORING, *TORCH, "mlflow"]),
        ("spark_apps.demo.feed", [*SPARK, *SCORING, *TORCH, "mlflow"]),
        ("spark_apps.run", [*TORCH, "streamlit"]),
        ("spark_apps.scoring.worker", [*TORCH, "mlflow", "streamlit"]),
    ],
)
def test_a_process_carries_only_what_it_uses(module: str, never: list[str]) -> None:
    code = f"import sys, {module}; print(*sorted(set({never}) & {{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize("layer", ["bronze", "silver", "gold"])
def test_no_layer_imports_another(layer: str) -> None:
    code = (
        f"import sys, spark_apps.{layer}.app; "
        "print(*sorted({name.split('.')[1] for name in sys.modules if name.startswith('spark_apps.')} "
        f"& ({{'bronze', 'silver', 'gold'}} - {{'{layer}'}})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
