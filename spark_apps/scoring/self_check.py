"""Whether the int8 model gives here what it gave where it was exported.

A processor without VNNI adds pairs of 8-bit products in 16 bits, which overflow: the labels change, and nothing fails.
So the probabilities of a few texts travel with the model, and are computed again wherever it is loaded.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CHECK_FILE = "check.json"
# Where no product overflows, only rounding should differ: one processor gives the same within 0.0001 whatever a text is
# scored with; two with VNNI were not compared. An emulated Haswell, where products overflow, differed by 0.025.
TOLERANCE = 0.01

Probabilities = NDArray[np.float32]

# Made up for this purpose: short and long, all three moods, emoji, capitals, other languages, and nothing at all.
TEXTS = (
    "I love this, best day ever 😍",
    "this is terrible, I hate it so much",
    "the meeting starts at nine tomorrow",
    "@user thank you so much for the lovely flowers, you made my whole week!",
    "Three hours on hold and then they hung up on me. Never again, @user.",
    "New timetable for the number 12 tram from Monday http",
    "meh. it's fine I guess",
    "WHAT A GOAL!!! What a night, I am still shaking 🎉🎉🎉",
    "so sad to hear the old cinema on Mill Street is closing for good 😢",
    "Does anyone know whether the library opens on Sunday?",
    "not bad at all, I would even say I enjoyed it",
    "oh great, another Monday, exactly what I needed",
    "",
    "ok",
    "The battery died after two weeks, support ignored my mails, and now the shop tells me that the warranty does not "
    "cover it. I have bought from them for ten years and this was the last time. Stay away from this company!",
    "Day 3 of the conference: in the morning talks on storage and on networks, in the afternoon a workshop on testing "
    "and a tour of the new data centre. The slides will be put on the page of the programme at the end of the week.",
    "We walked along the river until the sun went down, ate far too much ice cream and laughed about everything. "
    "I could not wish for better friends, and I am so grateful for every one of them #happy #friends ❤️",
    "#breaking police confirm two people injured after crash on the ring road http",
    "@user @user @user lol you are the worst 😂😂 miss you",
    "I can't believe they cancelled the concert an hour before it started. Disgusting.",
    "just finished the book. no idea what to think of it",
    "¡Qué día tan bonito en la playa con toda la familia!",
    "Der Zug hat schon wieder vierzig Minuten Verspätung, es reicht.",
    "rate my breakfast: eggs, toast, coffee, orange juice",
)


def write(folder: Path, score: Callable[[Sequence[str]], Probabilities]) -> None:
    """Write the check set of the model in `folder`: what `score` gives for TEXTS."""
    probabilities = [[round(float(value), 6) for value in row] for row in score(TEXTS)]
    text = json.dumps({"texts": TEXTS, "probabilities": probabilities}, indent=1, ensure_ascii=False)
    (folder / CHECK_FILE).write_text(text + "\n", encoding="utf-8")


def difference(folder: Path, score: Callable[[Sequence[str]], Probabilities]) -> str:
    """Say how `score` differs from the check set in `folder`; nothing where it does not."""
    stored = json.loads((folder / CHECK_FILE).read_text(encoding="utf-8"))
    wanted = np.array(stored["probabilities"], np.float32)
    found = score(stored["texts"])
    largest = float(np.abs(found - wanted).max())
    labels = int((found.argmax(axis=1) != wanted.argmax(axis=1)).sum())
    # Written so that a NaN is a difference too.
    if largest <= TOLERANCE and not labels:
        return ""
    return (
        f"on {len(wanted)} texts its probabilities differ by up to {largest:.3f} (at most {TOLERANCE} is wanted) "
        f"and {labels} labels change"
    )
