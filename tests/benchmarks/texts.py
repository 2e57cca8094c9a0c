"""Texts of the length of tweets, no two of them alike."""

from random import Random

from spark_apps.demo import texts as words
from spark_apps.labels import LABELS


def texts(count: int) -> list[str]:
    """Return `count` different texts."""
    return [text for text, _ in labelled(count)]


def labelled(count: int) -> list[tuple[str, int]]:
    """Return `count` different texts, each with the number of its mood in LABELS."""
    random, topics = Random(1), list(words.TOPICS)
    found = []
    for number in range(count):
        mood = random.randrange(len(LABELS))
        found.append((f"{words.write(random, LABELS[mood], 'en', random.choice(topics))} {number}", mood))
    return found


def with_retweets(fresh: list[str], share: float, among: int) -> list[str]:
    """Return as many texts as `fresh` has, `share` of which repeat one of the `among` texts before them."""
    random, source = Random(2), iter(fresh)
    found: list[str] = []
    for _ in fresh:
        found.append(random.choice(found[-among:]) if found and random.random() < share else next(source))
    return found
