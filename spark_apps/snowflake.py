"""Snowflake ids: Twitter's 64-bit tweet ids, which carry the creation time in the bits above the low 22."""

import secrets
from datetime import datetime

# Milliseconds from the Unix epoch to the first instant that a snowflake can express.
EPOCH_MS = 1_288_834_974_657
# Tweets before 4 November 2010 have sequential ids, which say nothing about the time.
FIRST_ID = 29_700_859_247


def first_id(time: datetime) -> int:
    """Return the lowest id of a tweet created in the millisecond of `time`."""
    return (int(time.timestamp() * 1000) - EPOCH_MS) << 22


def new_id(time: datetime) -> str:
    """Return an id for a tweet created at `time`; its low bits are random, so that two tweets never share one."""
    return str(first_id(time) | secrets.randbits(22))


def unix_ms(id_: int) -> int:
    """Return when the tweet `id_` was created, in milliseconds since the Unix epoch; `id_` is at least `FIRST_ID`."""
    return (id_ >> 22) + EPOCH_MS
