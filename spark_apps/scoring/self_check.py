"""Check that an int8 model gives the same probabilities on this processor as on the one that exported it.

A processor with AVX2 but without VNNI adds pairs of 8-bit products in 16 bits. Exports keep these sums small enough.
The sums of older exports overflow there, and labels change without an error. A new kernel may also differ.
The model folder therefore has a check file: 24 texts with the probabilities from the export. Each process that loads
the model scores these texts again.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from spark_apps.scoring.probabilities import Probabilities

CHECK_FILE = "check.json"
# Largest accepted difference of a probability. Without overflow, only the float32 operations round differently: on the
# check texts, AVX2, AVX-512 and VNNI give the same probabilities, and without AVX they differ by 0.008. Where the
# products of an older export overflow, the check texts differ by 0.024. ARM has not been measured.
TOLERANCE = 0.015

# Invented texts: short, long and empty, all three labels, emoji, capitals, other languages.
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
    """Write the check file of the model in `folder`: the texts and the probabilities that `score` returns for them."""
    probabilities = [[round(float(value), 6) for value in row] for row in score(TEXTS)]
    text = json.dumps({"texts": TEXTS, "probabilities": probabilities}, indent=1, ensure_ascii=False)
    (folder / CHECK_FILE).write_text(text + "\n", encoding="utf-8")


def difference(folder: Path, score: Callable[[Sequence[str]], Probabilities]) -> str:
    """Describe how the results of `score` differ from the check file in `folder`; "" if they are within TOLERANCE."""
    stored = json.loads((folder / CHECK_FILE).read_text(encoding="utf-8"))
    expected = np.array(stored["probabilities"], np.float32)
    actual = score(stored["texts"])
    largest = float(np.abs(actual - expected).max())
    changed_labels = int((actual.argmax(axis=1) != expected.argmax(axis=1)).sum())
    # `not largest > TOLERANCE` would accept NaN.
    if largest <= TOLERANCE and not changed_labels:
        return ""
    return (
        f"the probabilities of {len(expected)} texts differ by up to {largest:.3f} (tolerance {TOLERANCE}) "
        f"and {changed_labels} labels change"
    )
