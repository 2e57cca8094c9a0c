"""Where pods run, and what may evict them: disruption budgets, priorities, and the spread of executors."""

import pytest

from tests.chart.rendering import (
    JOB_LAYERS,
    LAYERS,
    STREAMS_NAMESPACE,
    Object,
    applications,
    objects,
    pod_specs,
    render,
)

pytestmark = pytest.mark.chart


def _selects(selector: Object, labels: dict[str, str]) -> bool:
    (expression,) = selector["matchExpressions"]
    assert expression["operator"] == "In"
    return selector["matchLabels"].items() <= labels.items() and labels[expression["key"]] in expression["values"]


def test_a_budget_keeps_one_driver_of_each_layer_and_does_not_count_executors() -> None:
    documents = render("streams.podDisruptionBudgets=true")
    budgets = objects(documents, "PodDisruptionBudget")
    assert budgets.keys() == {f"tweets.tweet-sentiment-{layer}" for layer in LAYERS}
    for name, application in applications(documents).items():
        labels = application["spec"]["driver"]["labels"]
        layer = JOB_LAYERS.get(name, name)
        for role in ("driver", "executor"):
            # Spark adds the label spark-role to the pods.
            selected = {
                budget
                for budget, found in budgets.items()
                if _selects(found["spec"]["selector"], {**labels, "spark-role": role})
            }
            assert selected == ({f"tweets.tweet-sentiment-{layer}"} if role == "driver" else set()), (name, role)
    for budget in budgets.values():
        assert budget["metadata"]["namespace"] == STREAMS_NAMESPACE
        # maxUnavailable and percentages need an owner with a scale subresource, which a driver does not have.
        assert budget["spec"]["minAvailable"] == 1 and "maxUnavailable" not in budget["spec"]
        # A driver that crashes again and again must not block the drain of its node.
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_by_default_a_drain_waits_for_nobody() -> None:
    assert not objects(render(), "PodDisruptionBudget")


def test_a_budget_restarts_no_stream() -> None:
    assert applications(render()) == applications(render("streams.podDisruptionBudgets=true"))


def test_executors_of_one_application_prefer_different_nodes() -> None:
    for name, application in applications(render()).items():
        (term,) = application["spec"]["executor"]["affinity"]["podAntiAffinity"].pop(
            "preferredDuringSchedulingIgnoredDuringExecution"
        )
        selector = term["podAffinityTerm"]["labelSelector"]["matchLabels"]
        labels = {**application["spec"]["executor"]["labels"], "spark-role": "executor"}
        assert selector.items() <= labels.items() and selector["app.kubernetes.io/name"] == name
        assert term["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
        # A preference: on one node, all executors run there.
        assert application["spec"]["executor"]["affinity"] == {"podAntiAffinity": {}}
        assert "affinity" not in application["spec"]["driver"]


def test_the_servers_have_the_priority_class_of_the_values() -> None:
    servers = {"StatefulSet airflow", "StatefulSet postgres", "Deployment mlflow", "Deployment dashboard"}

    def classes(*settings: str) -> dict[str, str]:
        specs = pod_specs(render(*settings)).items()
        return {name: spec["priorityClassName"] for name, spec in specs if "priorityClassName" in spec}

    assert classes() == {}
    assert classes("priorityClassName=platform") == dict.fromkeys(servers, "platform")
