"""Generates tweets with known labels, in every JSON shape and with every kind of malformed input.

The same seed generates the same tweets, and each file comes with its expected result, so tests know every total.
"""

import gzip
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

from spark_apps import snowflake
from spark_apps.demo import malformed, texts
from spark_apps.demo.malformed import Expected, GeneratedFile, dumps
from spark_apps.demo.shapes import MANY, ONE, SHAPES, Draft

_USERS = 3_000
# Number of tweets from which duplicates and the originals of retweets are drawn.
_RECENT = 400
_BURST_EVERY_SECONDS = 90
_BURST_SECONDS = (15, 40)
# Shares of the sentiment labels outside of bursts.
_MOODS = {"negative": 0.27, "neutral": 0.43, "positive": 0.30}
# Share of tweets in English. The other languages of the texts have equal shares.
_ENGLISH = 0.8
_OTHERS = (1 - _ENGLISH) / (len(texts.LANGUAGES) - 1)
_LANGUAGE_WEIGHTS = [_ENGLISH if lang == "en" else _OTHERS for lang in texts.LANGUAGES]
# Every n-th file is compressed with gzip.
_GZIP_EVERY = 7


@dataclass(frozen=True)
class Mix:
    """The composition of a stream. Shares are between 0 and 1.

    Attributes:
        rate: tweets per second outside of bursts.
        retweets: share of tweets that are retweets.
        duplicates: share of tweets that have been generated before.
        late: share of tweets with a timestamp in the past, half an hour on average.
        malformed: share of malformed lines.
        burst_factor: rate during a burst, relative to `rate`.
    """

    rate: float = 10
    retweets: float = 0.3
    duplicates: float = 0.02
    late: float = 0.03
    malformed: float = 0.01
    burst_factor: float = 3


@dataclass(frozen=True)
class _Burst:
    until: datetime
    mood: str
    mention: str


class Generator:
    """Generates a stream of tweets. The same seed, start and mix generate the same stream."""

    def __init__(
        self, seed: int = 0, start: datetime = datetime(2026, 1, 1, tzinfo=UTC), mix: Mix | None = None
    ) -> None:
        self._random = Random(seed)  # noqa: S311 - generated tweets need no cryptographic randomness
        self._now = start
        self._mix = mix or Mix()
        self._prefix = f"{start:%Y%m%dT%H%M%S%f}"
        self._files = 0
        self._tweets = 0
        self._malformed_lines = 0
        self._backlog = 0.0
        self._recent: deque[tuple[Draft, str]] = deque(maxlen=_RECENT)
        self._burst: _Burst | None = None

    def files(self, tweets: int, per_file: int = 1000) -> Iterator[GeneratedFile]:
        """Yield files with `tweets` records in total, including duplicates; malformed lines are not counted."""
        while tweets > 0:
            count = min(per_file, tweets)
            yield self._file(count, count / self._mix.rate)
            tweets -= count

    def tick(self, seconds: float) -> GeneratedFile:
        """Return the file with the next `seconds` of the stream."""
        factor = self._mix.burst_factor if self._burst else 1
        self._backlog += self._mix.rate * seconds * factor * self._random.uniform(0.7, 1.3)
        count = int(self._backlog)
        self._backlog -= count
        return self._file(count, seconds)

    def malformed_files(self) -> list[GeneratedFile]:
        """Return one malformed or unusual file of each kind."""
        return list(malformed.files(self.new_draft))

    def new_draft(self) -> Draft:
        """Return a new tweet that is not a retweet."""
        random = self._random
        burst = self._current_burst()
        mood, mention = random.choices(list(_MOODS), list(_MOODS.values()))[0], random.choice(list(texts.TOPICS))
        if burst and random.random() < 0.8:
            mood, mention = burst.mood, burst.mention
        lang = random.choices(texts.LANGUAGES, _LANGUAGE_WEIGHTS)[0]
        time = self._now
        if random.random() < self._mix.late:
            time -= timedelta(seconds=random.expovariate(1 / 1800))
        self._tweets += 1
        user = random.randrange(_USERS)
        return Draft(
            # The low bits count the tweets, so ids are unique even if times are equal.
            id=snowflake.first_id(time) | (self._tweets & 0x3FFFFF),
            user_id=10_000 + user,
            user=f"reader{user}",
            text=texts.write(random, mood, lang, mention),
            lang=lang,
            time=time,
            mentions=(mention,),
            mood=mood,
        )

    def _file(self, tweets: int, seconds: float) -> GeneratedFile:
        lines: list[bytes] = []
        expected = Expected()
        began, left = self._now, tweets
        while left > 0:
            draw = self._random.random()
            if draw < self._mix.malformed:
                line, expectation = malformed.line(self._malformed_lines % malformed.KINDS, self.new_draft())
                self._malformed_lines += 1
            elif draw < self._mix.malformed + self._mix.duplicates and self._recent:
                line, expectation = self._duplicate()
                left -= 1
            else:
                line, expectation, taken = self._document(left)
                left -= taken
            lines.append(line)
            expected += expectation
            self._now = began + timedelta(seconds=seconds * (1 - left / tweets))
        self._now = began + timedelta(seconds=seconds)
        data = b"".join(line + b"\n" for line in lines)
        self._files += 1
        name = f"tweets-{self._prefix}-{self._files:06}.json"
        if self._files % _GZIP_EVERY == 0:
            return GeneratedFile(f"{name}.gz", gzip.compress(data, 1), expected)
        return GeneratedFile(name, data, expected)

    def _document(self, limit: int) -> tuple[bytes, Expected, int]:
        """Return a document of at most `limit` new tweets, its expected result, and the number of tweets."""
        shape = self._random.choice(SHAPES)
        if shape in MANY:
            tweets = [self._draft_or_retweet() for _ in range(min(self._random.randint(2, 6), limit))]
            for tweet in tweets:
                self._recent.append((tweet, "v1.1"))
            return dumps(MANY[shape](tweets)), Expected(1, len(tweets)), len(tweets)
        # The other shapes have no field for the original of a retweet.
        tweet = self._draft_or_retweet() if shape in {"v1.1", "v2", "activity"} else self.new_draft()
        self._recent.append((tweet, shape))
        return dumps(ONE[shape](tweet)), Expected(1, 1), 1

    def _duplicate(self) -> tuple[bytes, Expected]:
        tweet, shape = self._random.choice(self._recent)
        return dumps(ONE[shape](tweet)), Expected(1, 0, 1)

    def _draft_or_retweet(self) -> Draft:
        """Return a new tweet, which may be a retweet of a recent one."""
        tweet = self.new_draft()
        # On average, this method makes five of six tweets: the factor 1.2 compensates for the sixth, never a retweet.
        if self._recent and self._random.random() < min(1.0, self._mix.retweets * 1.2):
            recent = self._random.choice(self._recent)[0]
            original = recent.original or recent
            return replace(
                tweet,
                text=original.text,
                mood=original.mood,
                lang=original.lang,
                mentions=original.mentions,
                original=original,
            )
        return tweet

    def _current_burst(self) -> _Burst | None:
        """Return the current burst; without one, start a burst at random, or return None."""
        if self._burst and self._now > self._burst.until:
            self._burst = None
        chance = 1 / (_BURST_EVERY_SECONDS * self._mix.rate)
        if self._burst is None and self._random.random() < chance:
            seconds = self._random.uniform(*_BURST_SECONDS)
            mood = self._random.choice(["negative", "positive"])
            self._burst = _Burst(self._now + timedelta(seconds=seconds), mood, self._random.choice(list(texts.TOPICS)))
        return self._burst
