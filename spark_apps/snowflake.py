"""Snowflake ids: Twitter's 64-bit tweet ids, which contain the creation time above the low 22 bits."""

import secrets
from datetime import datetime

# Start of the snowflake epoch, in milliseconds of the Unix epoch.
EPOCH_MS = 1_288_834_974_657
# Tweets before 4 November 2010 have sequential ids, which do not contain a time.
FIRST_ID = 29_700_859_247


def first_id(time: datetime) -> int:
    """Return the lowest id of a tweet created in the millisecond of `time`."""
    return (int(time.timestamp() * 1000) - EPOCH_MS) << 22


def new_id(time: datetime) -> str:
    """Return an id for a tweet created at `time`; the low bits are random, so that ids do not collide."""
    return str(first_id(time) | secrets.randbits(22))


def unix_ms(id_: int) -> int:
    """Return the creation time of the tweet `id_` in Unix milliseconds; `id_` must be at least `FIRST_ID`."""
    return (id_ >> 22) + EPOCH_MS
