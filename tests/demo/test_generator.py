"""The generator's expected counts agree with the code of Bronze and Silver, file by file."""

import io
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from random import Random

import pytest

from spark_apps.bronze.documents import read_documents
from spark_apps.demo import malformed, texts
from spark_apps.demo.generator import Generator, Mix
from spark_apps.demo.malformed import Expected, GeneratedFile
from spark_apps.demo.shapes import SHAPES
from spark_apps.labels import LABELS
from spark_apps.silver.records import Rejected, Tweet, read_records

MIX = Mix(duplicates=0.1, late=0.2, malformed=0.1)


def read_file(file: GeneratedFile, seen: set[str]) -> tuple[Expected, list[Tweet]]:
    """Return the counts and the tweets of a file, read like Bronze and Silver, without Spark."""
    documents = duplicates = 0
    quarantine: Counter[str] = Counter()
    tweets: list[Tweet] = []
    for document in read_documents(io.BytesIO(file.data), file.name, 64 << 20):
        documents += 1
        if document.problem:
            quarantine[document.problem] += 1
            continue
        for item in read_records(document.raw or "", datetime.now(UTC), document.raw_bytes):
            if isinstance(item, Rejected):
                quarantine[item.reason] += 1
            elif not isinstance(item, Tweet):
                raise AssertionError("the generator erases no tweets")
            elif item.id in seen:
                duplicates += 1
            else:
                seen.add(item.id)
                tweets.append(item)
    return Expected(documents, len(tweets), duplicates, quarantine), tweets


@pytest.mark.parametrize("seed", range(5))
def test_each_file_has_the_expected_counts(seed: int) -> None:
    generator = Generator(seed, mix=MIX)
    seen: set[str] = set()
    total = Expected()
    for file in generator.files(4000, per_file=150):
        assert read_file(file, seen)[0] == file.expected, file.name
        total += file.expected
    assert total.tweets + total.duplicates >= 4000
    assert len(total.quarantine) == len({reason for reason, _ in malformed._REJECTED}) + 1


@pytest.mark.parametrize("kind", range(malformed.KINDS))
def test_each_kind_of_malformed_line_has_the_expected_counts(kind: int) -> None:
    for seed in range(20):
        line, expected = malformed.line(kind, Generator(seed).new_draft())
        assert read_file(GeneratedFile("f.json", line + b"\n", expected), set())[0] == expected


def test_each_kind_of_damaged_file_has_the_expected_counts() -> None:
    seen: set[str] = set()
    files = Generator(3).malformed_files()
    for file in files:
        assert read_file(file, seen)[0] == file.expected, file.name
    assert len({file.name for file in files}) == len(files)


def test_the_stream_has_the_documented_shares() -> None:
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    seen: set[str] = set()
    tweets = [tweet for file in Generator(1, start).files(6000) for tweet in read_file(file, seen)[1]]
    retweets = sum("retweeted" in str(tweet.json) or tweet.json.get("verb") == "share" for tweet in tweets)
    assert 0.27 < retweets / len(tweets) < 0.33
    assert {tweet.format for tweet in tweets} == {"v1.1", "v2", "activity", "flat", "course"}
    # The shapes `v2 default fields` and `course` have no language.
    assert {tweet.lang for tweet in tweets} == {*texts.LANGUAGES, "und"}
    english = sum(tweet.lang == "en" for tweet in tweets) / sum(tweet.lang != "und" for tweet in tweets)
    assert 0.77 < english < 0.83
    late = sum((b.timestamp - a.timestamp).total_seconds() < -5 for a, b in pairwise(tweets))
    assert 0.01 < late / len(tweets) < 0.06
    assert {tweet.truth for tweet in tweets} == {None, "negative", "neutral", "positive"}
    assert sum(bool(tweet.mentions) for tweet in tweets) / len(tweets) > 0.99
    assert len(SHAPES) == 9


def test_a_burst_of_one_sentiment_raises_the_rate() -> None:
    generator = Generator(2, mix=Mix(rate=50, malformed=0, duplicates=0, late=0))
    sizes = [generator.tick(1).expected.tweets for _ in range(600)]
    calm = sorted(sizes)[len(sizes) // 3]
    assert max(sizes) > 2 * calm


def test_timestamps_follow_the_clock_of_the_generator() -> None:
    generator = Generator(3, mix=Mix(late=0, duplicates=0, malformed=0.2))
    for _ in range(60):
        file = generator.tick(1)
    tweets = read_file(file, set())[1]
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert all(58 <= (tweet.timestamp - start).total_seconds() <= 60 for tweet in tweets[-3:])


def test_a_seed_determines_the_stream() -> None:
    assert list(Generator(7).files(300, 100)) == list(Generator(7).files(300, 100))
    assert next(Generator(7).files(100)) != next(Generator(8).files(100))


@pytest.mark.parametrize("lang", texts.LANGUAGES)
def test_a_language_has_many_texts_of_each_label_that_differ_in_their_words(lang: str) -> None:
    random, words = Random(1), dict[str, set[str]]()
    for label in LABELS:
        written = [texts.write(random, label, lang, "opalbank") for _ in range(400)]
        assert all(text.count("@opalbank") == 1 and "{" not in text for text in written)
        signs = {sign for signs in (texts._ENGLISH_SIGNS, texts._OTHER_SIGNS) for sign in signs[label] if sign}
        plain = [text for text in written if not any(sign in text for sign in signs)]
        if lang != "en":
            assert 0.35 < len(plain) / len(written) < 0.65
        words[label] = {text.rsplit(" ", 1)[0] for text in plain or written}
        assert len(words[label]) >= 8
    # No text has two labels.
    assert len(set.union(*words.values())) == sum(map(len, words.values()))
