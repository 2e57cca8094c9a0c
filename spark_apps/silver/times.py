"""Parse the time formats of tweets into UTC."""

import math
import re
from datetime import UTC, datetime, timedelta, timezone

_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
# Offsets from UTC in hours, by the abbreviations in tweet archives. An ambiguous one has the meaning usual in archives.
_ZONE_HOURS = {
    "UTC": 0, "GMT": 0, "Z": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "MSK": 3,
    "IST": 5.5, "SGT": 8, "HKT": 8, "AWST": 8, "JST": 9, "KST": 9, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13,
    "NST": -3.5, "NDT": -2.5, "BRT": -3, "ART": -3, "AST": -4, "ADT": -3, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5,
    "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "AKST": -9, "AKDT": -8, "HST": -10,
}  # fmt: skip
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d))?"
_ZONE = r"(?: (?P<zone>[A-Za-z]{1,5}|[+-]\d\d:?\d\d))?"
_MONTH_NAME_FORMATS = (
    # Wed Aug 27 13:08:45 +0000 2008, and Mon Apr 06 22:19:45 PDT 2009
    re.compile(rf"[A-Za-z]{{3}},? (?P<month>[A-Za-z]{{3}}) (?P<day>\d\d?) {_CLOCK}{_ZONE} (?P<year>\d{{4}})"),
    # Wed, 27 Aug 2008 13:08:45 +0000 (RFC 2822)
    re.compile(rf"(?:[A-Za-z]{{3}},? )?(?P<day>\d\d?) (?P<month>[A-Za-z]{{3}}) (?P<year>\d{{4}}) {_CLOCK}{_ZONE}"),
)
_ISO_8601 = re.compile(r"(\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?)( ?[+-]\d\d:?\d\d| ?[A-Z]{1,5})?")
_EPOCH_DIGITS = re.compile(r"\d{9,17}(?:\.\d+)?")
# The first tweet was posted in March 2006. In these years the ranges of epoch seconds, milliseconds and microseconds
# do not overlap, so the unit follows from the size of the number.
_YEARS = range(2006, 2101)


def parse_time(value: object) -> datetime | None:
    """Return `value` as a time in UTC, or None if it is not a time between 2006 and 2100.

    Accepts the formats of API v1.1 and of course files, RFC 2822, ISO 8601, and the seconds, milliseconds or
    microseconds since 1970 as a number or a string of digits. A time without a zone is in UTC.
    """
    try:
        if isinstance(value, str):
            time = _from_text(value.strip())
        elif isinstance(value, int | float) and not isinstance(value, bool):
            time = _from_epoch(value)
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return time if time is not None and time.year in _YEARS else None


def _from_text(text: str) -> datetime | None:
    for pattern in _MONTH_NAME_FORMATS:
        if match := pattern.fullmatch(text):
            parts = match.groupdict()
            month = _MONTHS.get(parts["month"].lower(), 0)
            clock = (int(parts["hour"]), int(parts["minute"]), int(parts["second"] or 0))
            return _in_utc(datetime(int(parts["year"]), month, int(parts["day"]), *clock), parts["zone"])  # noqa: DTZ001
    if match := _ISO_8601.fullmatch(text.upper()):
        return _in_utc(datetime.fromisoformat(match[1].replace(",", ".")), match[2])
    return _from_epoch(float(text) if "." in text else int(text)) if _EPOCH_DIGITS.fullmatch(text) else None


def _in_utc(local: datetime, zone: str | None) -> datetime | None:
    zone = (zone or "").strip().upper()
    if not zone:
        return local.replace(tzinfo=UTC)
    if zone[0] in "+-":
        hours, minutes = int(zone[1:3]), int(zone[-2:])
        if minutes > 59:
            return None
        offset = timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
    elif zone in _ZONE_HOURS:
        offset = timedelta(hours=_ZONE_HOURS[zone])
    else:
        return None
    return local.replace(tzinfo=timezone(offset)).astimezone(UTC)


def _from_epoch(number: float) -> datetime | None:
    if not math.isfinite(number):
        return None
    # An int stays an int here: a float cannot represent current times in microseconds exactly.
    scale = 1_000_000 if number < 1e11 else 1_000 if number < 1e14 else 1
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(number * scale))
