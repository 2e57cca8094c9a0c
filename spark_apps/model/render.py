"""Figures as a person reads them."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from spark_apps.labels import LABELS
from spark_apps.model.evaluation.evaluate import Evaluation
from spark_apps.model.evaluation.metrics import Quality
from spark_apps.model.release.gates import Gate
from spark_apps.registry.versions import REFUSED, WITHDRAWN, Version
from spark_apps.scoring.description import Description

if TYPE_CHECKING:  # deltalake is needed for a lake only
    from spark_apps.model.evaluation.stream_evaluation import StreamEvaluation, VersionEvaluation

_SHARES = {
    "accuracy": "accuracy",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    "f1_pn": "F1 PN, of positive and negative",
    "calibration_error": "calibration error, 15 equal bins",
}


def render_quality(quality: Quality) -> RenderableType:
    """Return the figures, those of the classes, and the confusion matrix."""
    main = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, title in _SHARES.items():
        main.add_row(title, f"{getattr(quality, name):.4f}")
    classes = _table("class", "tweets", "precision", "recall", "F1")
    matrix = _table("true ↓  predicted →", *LABELS)
    for label, row in zip(LABELS, quality.confusion, strict=True):
        found = quality.classes[label]
        shares = (f"{share:.4f}" for share in (found.precision, found.recall, found.f1))
        classes.add_row(label, f"{found.tweets:,}", *shares)
        matrix.add_row(label, *(f"{count:,}" for count in row))
    return Group(main, Text(), classes, Text(), matrix)


def render_evaluation(found: Evaluation) -> RenderableType:
    """Return what `evaluate --data` shows."""
    data, model = found.data, found.model
    title = Text(f"data   {data.name}/{data.split}, {data.rows:,} tweets, sha256 {data.sha256[:12]}\n")
    title.append(f"model  {model.base_model}, {model.precision}, sha256 {model.sha256[:12]}")
    speed = _speed("one tweet at a time", found.speed.latency_ms, "ms")
    cores = "core" if found.speed.threads == 1 else "cores"
    rate = Text(f"all at once: {found.speed.tweets_per_second:,.1f} tweets/s on {found.speed.threads} {cores}")
    quality = render_quality(found.quality) if found.quality else Text("no labels: no figures of quality")
    return Group(title, Text(), quality, Text(), speed, rate)


def render_stream(found: "StreamEvaluation") -> RenderableType:
    """Return what `evaluate --lake` shows: all tweets, then each version where there are several."""
    tables = ", ".join(f"{name} version {version}" for name, version in found.tables.items())
    parts: list[RenderableType] = [Text(f"{found.lake}: {tables}; {found.waiting:,} labelled tweets wait for a score")]
    several = len(found.versions) > 1
    shown = {"all versions": found.total} if several else {}
    for name, figures in (shown | {f"model version {name}": one for name, one in found.versions.items()}).items():
        parts += [Text(), Text(f"{name}: {figures.quality.tweets:,} labelled tweets", style="bold")]
        parts += [render_quality(figures.quality), Text(), _stream_speed(figures)]
    return Group(*parts)


def render_gates(gates: Sequence[Gate]) -> RenderableType:
    """Return what each gate found, beside its limit."""
    view = _table("gate", "", "figure", "limit", "")
    view.columns[-1].justify = "left"
    for gate in gates:
        passed = Text("passed", "green") if gate.passed else Text("refused", "bold red")
        view.add_row(gate.name, passed, f"{gate.figure:.4g}", f"{gate.limit:.4g}", Text(gate.says, overflow="fold"))
    return view


def render_versions(versions: Sequence[Version]) -> RenderableType:
    """Return the versions, and below them the moves of production, both newest first; times are in UTC."""
    view, history = (
        _table("version", "is", "registered", "what became of it"),
        _table("production", "moved", "by", "why"),
    )
    for column in (*view.columns, *history.columns):
        column.justify = "left"
    moves = [(move, found.version) for found in versions for move in found.moves]
    for found in versions:
        is_ = ", ".join(found.aliases)
        view.add_row(found.version, is_, f"{found.created:%Y-%m-%d %H:%M}", Text(_became(found)))
    for move, version in sorted(moves, key=lambda item: str(item[0]["at"]), reverse=True):
        at = str(move["at"])[:19].replace("T", " ")
        history.add_row(f"{move['from'] or 'nothing'} → {version}", at, Text(str(move["by"])), Text(str(move["why"])))
    return Group(view, Text(), history)


def _became(found: Version) -> str:
    if REFUSED in found.tags:
        gates = json.loads(found.tags[REFUSED])["gates"]
        return "refused: " + "; ".join(
            f"{name} {gate['figure']:.4g}, limit {gate['limit']:.4g}" for name, gate in gates.items()
        )
    if WITHDRAWN in found.tags:
        withdrawn = json.loads(found.tags[WITHDRAWN])
        return f"withdrawn by {withdrawn['by']}" + (f": {withdrawn['why']}" if withdrawn["why"] else "")
    return "passed" if found.has_passed else "not judged"


def render_version(found: Version, description: Description) -> RenderableType:
    """Return all that is known of one version."""
    view = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    view.add_row("version", found.version + (f", {', '.join(found.aliases)}" if found.aliases else ""))
    view.add_row("is", Text(_became(found)))
    for name in ("base_model", "precision", "labels", "normalisation", "max_length", "sha256"):
        value = getattr(description, name)
        view.add_row(name, Text(", ".join(value) if isinstance(value, tuple) else str(value)))
    for name, group in (("provenance", description.provenance), ("figures", description.metrics)):
        for key, value in group.items():
            for inner, one in value.items() if isinstance(value, dict) else [("", value)]:
                text = f"{one:.4f}" if isinstance(one, float) and one < 10 and name == "figures" else str(one)
                view.add_row(name, Text(f"{key} {inner}".strip() + f": {text}"))
    return Group(view, Text(), render_versions([found]))


def _stream_speed(figures: "VersionEvaluation") -> Text:
    text = _speed("landing → Gold", figures.latency_seconds, "s")
    if figures.tweets_per_second is not None:
        text.append(f"; {figures.tweets_per_second:,.1f} labelled tweets/s from the first to the last")
    return text


def _speed(name: str, cuts: dict[str, float], unit: str) -> Text:
    shown = (f"{cut[1:]}th {value:,.1f}" for cut, value in cuts.items())
    return Text(f"{name}: {', '.join(shown)} {unit} (percentiles)")


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=bool(column))
    return table
