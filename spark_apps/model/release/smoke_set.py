"""Tweets with an obvious label, and a process that labels them as Gold does.

Usage: python -m spark_apps.model.release.smoke_set FOLDER
"""

import json
import sys
from pathlib import Path

SMOKE_TWEETS = (
    ("I love this so much, best day of my life!", "positive"),
    ("Thank you all for the wonderful birthday, I am so happy 😍", "positive"),
    ("What a fantastic concert last night, absolutely brilliant", "positive"),
    ("Congratulations to the whole team, you made us proud!", "positive"),
    ("This is the best coffee in town and the staff are lovely", "positive"),
    ("So excited for the weekend, can't wait to see everybody!", "positive"),
    ("I hate this, it is the worst thing I have ever bought", "negative"),
    ("Terrible service, rude staff and the food was disgusting", "negative"),
    ("I am so angry, my flight was cancelled and nobody cares", "negative"),
    ("What a disaster, this company ruined my holiday", "negative"),
    ("So sad and disappointed, this was an awful day 😢", "negative"),
    ("Worst game I have seen in years, a total shame", "negative"),
    ("The meeting is on Tuesday at 10 am in room 4", "neutral"),
    ("The train to Leeds leaves from platform two on Monday", "neutral"),
    ("The council will publish the report on Thursday", "neutral"),
    ("Does anyone know what time the library opens on Sunday?", "neutral"),
)
# The image of the streams does not contain these packages: `main` blocks their import.
_BLOCKED = ("torch", "transformers", "optimum", "sklearn")


def main(folder: Path) -> None:
    """Print the labels that the model in `folder` gives to SMOKE_TWEETS, as one JSON array."""
    for name in _BLOCKED:
        sys.modules[name] = None  # type: ignore[assignment]
    from spark_apps.labels import LABELS
    from spark_apps.scoring.scorer import Scorer

    probabilities = Scorer(folder, threads=1).score([text for text, _ in SMOKE_TWEETS])
    print(json.dumps([LABELS[best] for best in probabilities.argmax(axis=1)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
