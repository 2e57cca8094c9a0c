"""The picture of the README: tweets/s on one core, the scorer beside pipelines."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

_INK, _FAINT, _BLUE = "#1f2937", "#9ca3af", "#2563eb"


def draw(sizes: Mapping[str, Mapping[str, float]], file: Path) -> None:
    """Draw the tweets/s of each way, one panel for each size of the weights, into a PNG file."""
    if not sizes:
        return
    figure = Figure(figsize=(8.4, 2.6 * len(sizes)), dpi=150, layout="constrained")
    for axes, (size, ways) in zip(figure.subplots(len(sizes), 1, squeeze=False)[:, 0], sizes.items(), strict=True):
        names = list(ways)[::-1]
        rates = [ways[name] for name in names]
        bars = axes.barh(names, rates, color=[_BLUE if name.startswith("scorer") else _FAINT for name in names])
        first = ways[names[-1]]
        axes.bar_label(bars, [f"{rate:,.0f}  ({rate / first:.1f} ×)" for rate in rates], padding=4, color=_INK)
        axes.set_title(f"{size} parameters", loc="left", color=_INK, fontsize=11)
        axes.set_xlim(0, max(rates) * 1.24)
        axes.xaxis.set_visible(False)
        axes.tick_params(length=0, colors=_INK)
        axes.spines[:].set_visible(False)
    figure.supxlabel("tweets/s on one core, the same weights and texts in one run", color=_INK, fontsize=10)
    figure.savefig(file)
