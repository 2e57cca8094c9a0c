"""The chart of docs/benchmarks.md: tweets/s of the scorer and of its alternatives on one core."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

_INK, _FAINT, _BLUE = "#1f2937", "#9ca3af", "#2563eb"


def draw(sizes: Mapping[str, Mapping[str, float]], file: Path) -> None:
    """Draw the tweets/s of each alternative into a PNG file, with one panel for each model size."""
    if not sizes:
        return
    figure = Figure(figsize=(8.4, 2.6 * len(sizes)), dpi=150, layout="constrained")
    for axes, (size, rates_by_name) in zip(
        figure.subplots(len(sizes), 1, squeeze=False)[:, 0], sizes.items(), strict=True
    ):
        names = list(rates_by_name)[::-1]
        rates = [rates_by_name[name] for name in names]
        bars = axes.barh(names, rates, color=[_BLUE if name.startswith("scorer") else _FAINT for name in names])
        first = rates_by_name[names[-1]]
        axes.bar_label(bars, [f"{rate:,.0f}  ({rate / first:.1f} ×)" for rate in rates], padding=4, color=_INK)
        axes.set_title(f"{size} parameters", loc="left", color=_INK, fontsize=11)
        axes.set_xlim(0, max(rates) * 1.24)
        axes.xaxis.set_visible(False)
        axes.tick_params(length=0, colors=_INK)
        axes.spines[:].set_visible(False)
    figure.supxlabel("tweets/s on one core, the same weights and texts in one run", color=_INK, fontsize=10)
    figure.savefig(file)
