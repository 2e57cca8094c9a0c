"""Plots of a model's quality for MLflow, drawn without matplotlib's global state."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spark_apps.labels import LABELS
from spark_apps.model.evaluation.metrics import BINS, Quality

_INK, _FAINT, _BLUE, _GAP = "#1f2937", "#9ca3af", "#2563eb", "#f87171"


def confusion_matrix(quality: Quality, title: str) -> Figure:
    """Plot the confusion matrix: each cell shows its tweets and, also by its shade, their share of the true class."""
    matrix = np.array(quality.confusion)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(5.6, 5.0), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(len(LABELS)):
        for column in range(len(LABELS)):
            colour = "white" if shares[row, column] > 0.55 else _INK
            cell = f"{shares[row, column]:.1%}\n{matrix[row, column]:,}"
            axes.text(column, row, cell, ha="center", va="center", color=colour, fontsize=12)
    axes.set_xticks(range(len(LABELS)), LABELS)
    axes.set_yticks(range(len(LABELS)), LABELS, rotation=90, va="center")
    axes.tick_params(length=0, colors=_INK, labelsize=11)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted", color=_INK)
    axes.set_ylabel("true", color=_INK)
    _title(axes, title, f"macro recall {quality.macro_recall:.3f} · {quality.tweets:,} tweets")
    return figure


def reliability(quality: Quality, title: str) -> Figure:
    """Plot the accuracy of each confidence bin and its gap to the confidence; below, the tweets of each bin."""
    figure = Figure(figsize=(5.6, 5.8), dpi=150, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    edges = np.arange(BINS) / BINS
    tweets = np.array([bin_.tweets for bin_ in quality.reliability])
    filled = tweets > 0
    accuracy = np.array([bin_.accuracy for bin_ in quality.reliability])[filled]
    confidence = np.array([bin_.confidence for bin_ in quality.reliability])[filled]
    width = 0.92 / BINS
    left = edges[filled] + 0.04 / BINS
    above.bar(left, accuracy, width, align="edge", color=_BLUE, label="accuracy")
    above.bar(
        left, confidence - accuracy, width, accuracy, align="edge", color=_GAP, alpha=0.55, label="gap to confidence"
    )
    above.plot([0, 1], [0, 1], color=_FAINT, linestyle="--", linewidth=1, label="perfect")
    above.set_ylim(0, 1)
    above.set_ylabel("accuracy", color=_INK)
    above.legend(frameon=False, loc="upper left", labelcolor=_INK)
    below.bar(edges + 0.04 / BINS, tweets, width, align="edge", color=_FAINT)
    below.set_ylabel("tweets", color=_INK)
    below.set_xlabel("confidence: probability of the predicted label", color=_INK)
    # The most probable of three labels has a probability of at least one third.
    below.set_xlim(0.3, 1)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=_INK)
    note = f"expected calibration error {quality.calibration_error:.3f} · {quality.tweets:,} tweets"
    _title(above, title, note)
    return figure


def all_plots(quality: Quality, title: str) -> Sequence[tuple[str, Figure]]:
    """Return all plots with their file names."""
    return [
        ("confusion_matrix.png", confusion_matrix(quality, title)),
        ("reliability.png", reliability(quality, title)),
    ]


def _title(axes: Axes, title: str, note: str) -> None:
    axes.set_title(f"{title}\n", loc="left", color=_INK, fontsize=13, fontweight="bold")
    axes.text(0, 1.02, note, transform=axes.transAxes, color=_INK, fontsize=10)
