"""The packages that each process loads when it starts; functions may import more when they run."""

import subprocess
import sys

import pytest


def run_python(code: str) -> list[str]:
    """Run `code` in a Python process; return the lines that it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


SPARK, SCORING, TORCH = ["pyspark", "py4j", "delta"], ["onnxruntime", "tokenizers"], ["torch", "transformers"]


@pytest.mark.parametrize(
    ("modules", "never"),
    [
        (["cli.main"], [*SPARK, *SCORING, *TORCH, "mlflow", "streamlit", "pandas", "deltalake"]),
        (["quality.watch"], [*SPARK, *SCORING, *TORCH, "mlflow", "pandas", "streamlit"]),
        (["dashboard.launch", "lake.status", "demo.feed"], [*SPARK, *SCORING, *TORCH, "mlflow"]),
        (["dashboard.queries", "registry.client"], [*SPARK, *SCORING, *TORCH]),
        (["run"], [*TORCH, "streamlit"]),
        (["scoring.worker"], [*TORCH, "mlflow", "streamlit"]),
    ],
    ids=["command", "quality", "dashboard server, status, feed", "queries, registry", "streams", "scoring"],
)
def test_a_process_loads_only_the_packages_that_it_uses(modules: list[str], never: list[str]) -> None:
    imports = ", ".join(f"spark_apps.{module}" for module in modules)
    (loaded,) = run_python(f"import sys, {imports}; print(*sys.modules)")
    assert {name.split(".")[0] for name in loaded.split()} & set(never) == set()


def test_no_layer_loads_another() -> None:
    layers = {"bronze", "silver", "gold"}
    code = f"""
import importlib, sys
for layer in {sorted(layers)}:
    importlib.import_module(f"spark_apps.{{layer}}.app")
    modules = [name for name in sys.modules if name.split(".")[0] == "spark_apps"]
    print(layer, *modules)
    for name in modules:  # unload the modules of this layer; Spark stays loaded
        del sys.modules[name]
"""
    lines = [line.split() for line in run_python(code)]
    assert {layer for layer, *_ in lines} == layers
    for layer, *modules in lines:
        loaded = {name.split(".")[1] for name in modules if "." in name}
        assert layer in loaded and loaded & (layers - {layer}) == set()
