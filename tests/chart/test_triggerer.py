"""The triggerer of the bundled Airflow finds the class of the trigger."""

import pytest

from tests.chart.rendering import ROOT, pod_specs, render

pytestmark = pytest.mark.chart


def test_the_triggerer_finds_the_class_of_the_trigger() -> None:
    """Only the image sets the path; Airflow adds the folder of the DAGs in other processes only."""
    containers = pod_specs(render())["StatefulSet airflow"]["containers"]
    (triggerer,) = [container for container in containers if container["name"] == "triggerer"]
    assert not [entry for entry in triggerer["env"] if entry["name"] == "PYTHONPATH"]
    assert "PYTHONPATH=/opt/airflow/config:/opt/airflow/dags " in (ROOT / "docker" / "airflow.Dockerfile").read_text()
