"""Rules of the house: what may import what. Each process carries only what it uses."""

import subprocess
import sys

import pytest


def imported(module: str) -> set[str]:
    """Return the names of all modules that `module` brings with it, in a process of its own."""
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


SPARK, SCORING, TORCH = ["pyspark", "py4j", "delta"], ["onnxruntime", "tokenizers"], ["torch", "transformers"]


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("spark_apps.cli.main", [*SPARK, *SCORING, *TORCH, "mlflow", "streamlit", "pandas", "deltalake"]),
        ("spark_apps.dashboard.queries", [*SPARK, *SCORING, *TORCH]),
        ("spark_apps.dashboard.launch", [*SPARK, *SCORING, *TORCH, "mlflow"]),
        ("spark_apps.registry.client", [*SPARK, *SCORING, *TORCH]),
        ("spark_apps.quality.watch", [*SPARK, *SCORING, *TORCH, "mlflow", "pandas", "streamlit"]),
        ("spark_apps.lake.status", [*SPARK, *SCORING, *TORCH, "mlflow"]),
        ("spark_apps.demo.feed", [*SPARK, *SCORING, *TORCH, "mlflow"]),
        ("spark_apps.run", [*TORCH, "streamlit"]),
        ("spark_apps.scoring.worker", [*TORCH, "mlflow", "streamlit"]),
    ],
)
def test_a_process_carries_only_what_it_uses(module: str, never: list[str]) -> None:
    assert {name.split(".")[0] for name in imported(module)} & set(never) == set()


@pytest.mark.parametrize("layer", ["bronze", "silver", "gold"])
def test_no_layer_imports_another(layer: str) -> None:
    found = {name.split(".")[1] for name in imported(f"spark_apps.{layer}.app") if name.startswith("spark_apps.")}
    assert found & ({"bronze", "silver", "gold"} - {layer}) == set()
