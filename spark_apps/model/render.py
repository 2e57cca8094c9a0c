"""Renders evaluations, gates and versions for the terminal."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from spark_apps.labels import LABELS
from spark_apps.model.evaluation.evaluate import Evaluation
from spark_apps.model.evaluation.groups import FIGURES, Estimate, GroupQuality, mean_and_worst
from spark_apps.model.evaluation.metrics import Quality
from spark_apps.model.release.gate_result import GateResult
from spark_apps.quality.shadow import ShadowFigures
from spark_apps.registry.versions import REFUSED, WITHDRAWN, Version
from spark_apps.scoring.description import UNDETERMINED, Description

if TYPE_CHECKING:  # Only a lake needs deltalake.
    from spark_apps.model.evaluation.stream_evaluation import StreamEvaluation, VersionEvaluation
    from spark_apps.model.training.validate import Validation

_SHARES = {
    "accuracy": "accuracy",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    "f1_pn": "F1 PN, mean of positive and negative",
    "calibration_error": "calibration error, 15 equal bins",
}


def render_quality(quality: Quality) -> RenderableType:
    """Return the overall figures, the figures of each class, and the confusion matrix."""
    main = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, title in _SHARES.items():
        main.add_row(title, f"{getattr(quality, name):.4f}")
    classes = _table("class", "tweets", "precision", "recall", "F1")
    matrix = _table("true ↓  predicted →", *LABELS)
    for label, row in zip(LABELS, quality.confusion, strict=True):
        figures = quality.classes[label]
        shares = (f"{share:.4f}" for share in (figures.precision, figures.recall, figures.f1))
        classes.add_row(label, f"{figures.tweets:,}", *shares)
        matrix.add_row(label, *(f"{count:,}" for count in row))
    return Group(main, Text(), classes, Text(), matrix)


def render_evaluation(evaluation: Evaluation) -> RenderableType:
    """Return the output of `model evaluate --data`."""
    data, model = evaluation.data, evaluation.model
    title = Text(f"data   {data.name}/{data.split}, {data.rows:,} tweets, sha256 {data.sha256[:12]}\n")
    title.append(f"model  {model.base_model}, {model.precision}, sha256 {model.sha256[:12]}")
    speed = _speed("one tweet at a time", evaluation.speed.latency_ms, "ms")
    cores = "core" if evaluation.speed.threads == 1 else "cores"
    rate = Text(
        f"all at once: {evaluation.speed.tweets_per_second:,.1f} tweets/s on {evaluation.speed.threads} {cores}"
    )
    quality = (
        render_quality(evaluation.quality)
        if evaluation.quality
        else Text("the split has no labels: no quality figures")
    )
    return Group(title, Text(), quality, *_render_groups(evaluation), Text(), speed, rate)


def _render_groups(evaluation: Evaluation) -> list[RenderableType]:
    """Return a table of the languages and one of the sources; none of a kind with a single, unnamed group."""
    parts: list[RenderableType] = []
    languages, sources = (evaluation.groups.get(kind, {}) for kind in ("languages", "sources"))
    if languages and list(languages) != [UNDETERMINED]:
        parts += [Text(), _figures_table("language", languages)]
    if len(sources) > 1:
        parts += [Text(), _figures_table("source", sources)]
    return parts


def render_validation(validation: "Validation") -> RenderableType:
    """Return the output of `model validate`: a line for each run, their mean and the worst run."""
    return _figures_table("left out", {run.name: run.quality for run in validation.runs})


def _figures_table(kind: str, groups: Mapping[str, GroupQuality]) -> Table:
    """Return the figures of each group with half of the width of the confidence interval; then mean and worst group."""
    view = _table(kind, "tweets", "macro recall", "macro F1", "accuracy")
    for name, group in groups.items():
        estimates: list[Estimate] = [getattr(group, figure) for figure in FIGURES]
        cells = (f"{estimate.value:.3f} ± {(estimate.high - estimate.low) / 2:.3f}" for estimate in estimates)
        view.add_row(Text(name), f"{group.tweets:,}", *cells)
    if len(groups) > 1:
        summary = mean_and_worst({name: group.values() for name, group in groups.items()})
        for row in ("mean", "worst"):
            # The space is the width of the interval, which these rows do not have.
            view.add_row(Text(row, "bold"), "", *(f"{summary[figure][row]:.3f}        " for figure in FIGURES))
    return view


def render_stream(stream: "StreamEvaluation") -> RenderableType:
    """Return the output of `model evaluate --lake`: all tweets, then each version if there are several."""
    tables = ", ".join(f"{name} version {version}" for name, version in stream.tables.items())
    waiting = f"{stream.waiting:,} labelled tweets wait for a score"
    parts: list[RenderableType] = [Text(f"{stream.lake}: {tables}; {waiting}")]
    sections = {"all versions": stream.total} if len(stream.versions) > 1 else {}
    sections |= {f"model version {version}": evaluation for version, evaluation in stream.versions.items()}
    for name, evaluation in sections.items():
        parts += [Text(), Text(f"{name}: {evaluation.quality.tweets:,} labelled tweets", style="bold")]
        parts += [render_quality(evaluation.quality), Text(), _stream_speed(evaluation)]
    return Group(*parts)


def render_gates(gates: Sequence[GateResult]) -> RenderableType:
    """Return the figure and the limit of each gate."""
    view = _table("gate", "", "figure", "limit", "")
    view.columns[-1].justify = "left"
    for gate in gates:
        passed = Text("passed", "green") if gate.passed else Text("refused", "bold red")
        view.add_row(gate.name, passed, f"{gate.figure:.4g}", f"{gate.limit:.4g}", Text(gate.says, overflow="fold"))
    return view


def render_versions(versions: Sequence[Version]) -> RenderableType:
    """Return the versions and the moves of production, both newest first; times are in UTC."""
    view, history = (
        _table("version", "aliases", "registered", "state"),
        _table("production", "moved", "by", "why"),
    )
    for column in (*view.columns, *history.columns):
        column.justify = "left"
    for version in versions:
        created = f"{version.created:%Y-%m-%d %H:%M}"
        view.add_row(version.version, ", ".join(version.aliases), created, Text(_state(version)))
    moves = [(move, version.version) for version in versions for move in version.moves]
    for move, to in sorted(moves, key=lambda item: str(item[0]["at"]), reverse=True):
        at = str(move["at"])[:19].replace("T", " ")
        history.add_row(f"{move['from'] or 'nothing'} → {to}", at, Text(str(move["by"])), Text(str(move["why"])))
    return Group(view, Text(), history)


def render_shadow(version: str, figures: ShadowFigures | None) -> RenderableType:
    """Return how the labels of the shadow version differ from those of production: in total, then by language."""
    if figures is None:
        return Text(f"\nshadow version {version}: no tweets yet")
    speed = "" if figures.milliseconds is None else f", {figures.milliseconds:.1f} ms a tweet"
    title = Text(f"\nshadow version {version}: since {figures.since[:16].replace('T', ' ')}{speed}\n")
    view = _table("language", "tweets", "agreement", *(f"{label} production → shadow" for label in LABELS))
    for name, group in {"all": figures.total, **figures.languages}.items():
        shares = (f"{group.production[label]:.1%} → {group.shadow[label]:.1%}" for label in LABELS)
        view.add_row(Text(name), f"{group.tweets:,}", f"{group.agreement:.1%}", *shares)
    return Group(title, view)


def _state(version: Version) -> str:
    """Return whether the version was refused, was withdrawn or has passed, and why."""
    if REFUSED in version.tags:
        gates = json.loads(version.tags[REFUSED])["gates"]
        return "refused: " + "; ".join(
            f"{name} {gate['figure']:.4g}, limit {gate['limit']:.4g}" for name, gate in gates.items()
        )
    if WITHDRAWN in version.tags:
        withdrawn = json.loads(version.tags[WITHDRAWN])
        return f"withdrawn by {withdrawn['by']}" + (f": {withdrawn['why']}" if withdrawn["why"] else "")
    return "passed" if version.has_passed else "no gates run"


def render_version(version: Version, description: Description) -> RenderableType:
    """Return the output of `model describe`."""
    view = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    view.add_row("version", ", ".join([version.version, *version.aliases]))
    view.add_row("state", Text(_state(version)))
    for name in ("base_model", "precision", "labels", "normalisation", "max_length", "sha256"):
        value = getattr(description, name)
        view.add_row(name, Text(", ".join(value) if isinstance(value, tuple) else str(value)))
    for name, group in (("provenance", description.provenance), ("figures", description.metrics)):
        for key, value in group.items():
            for inner, entry in value.items() if isinstance(value, dict) else [("", value)]:
                is_share = isinstance(entry, float) and entry < 10 and name == "figures"
                text = f"{entry:.4f}" if is_share else str(entry)
                view.add_row(name, Text(f"{key} {inner}".strip() + f": {text}"))
    return Group(view, Text(), render_versions([version]))


def _stream_speed(evaluation: "VersionEvaluation") -> Text:
    """Return the line with the latency and the rate of a version in the stream."""
    text = _speed("landing → Gold", evaluation.latency_seconds, "s")
    if evaluation.tweets_per_second is not None:
        text.append(f"; {evaluation.tweets_per_second:,.1f} labelled tweets/s from the first to the last")
    return text


def _speed(name: str, percentiles_by_name: dict[str, float], unit: str) -> Text:
    """Return the line with percentiles such as {"p50": 1.2}."""
    percentiles = (f"{cut[1:]}th {value:,.1f}" for cut, value in percentiles_by_name.items())
    return Text(f"{name}: {', '.join(percentiles)} {unit} (percentiles)")


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=bool(column))
    return table
