"""Generated texts of the length of tweets."""

from random import Random

from spark_apps.demo import texts as words
from spark_apps.labels import LABELS


def texts(count: int) -> list[str]:
    """Return `count` different texts."""
    return [text for text, _ in labelled(count)]


def labelled(count: int) -> list[tuple[str, int]]:
    """Return `count` different texts, each with the index of its sentiment in LABELS."""
    random, topics = Random(1), list(words.TOPICS)
    texts = []
    for number in range(count):
        label = random.randrange(len(LABELS))
        texts.append((f"{words.write(random, LABELS[label], 'en', random.choice(topics))} {number}", label))
    return texts


def with_retweets(fresh: list[str], share: float, among: int) -> list[str]:
    """Return `len(fresh)` texts; with the probability `share`, a text repeats one of the `among` previous texts."""
    random, source = Random(2), iter(fresh)
    stream: list[str] = []
    for _ in fresh:
        stream.append(random.choice(stream[-among:]) if stream and random.random() < share else next(source))
    return stream
