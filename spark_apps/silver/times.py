"""Parse the time formats of tweets into UTC."""

import math
import re
from datetime import UTC, datetime, timedelta, timezone

# English abbreviations, then those of French, Spanish, Portuguese, German and Italian that differ from English.
_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
    "janv": 1, "ene": 1, "gen": 1, "févr": 2, "fev": 2, "mars": 3, "mär": 3, "avr": 4, "abr": 4, "mai": 5, "mag": 5,
    "juin": 6, "giu": 6, "juil": 7, "lug": 7, "août": 8, "ago": 8, "sept": 9, "set": 9, "okt": 10, "out": 10, "ott": 10,
    "déc": 12, "dic": 12, "dez": 12,
}  # fmt: skip
# Offsets from UTC in hours, by abbreviation. An ambiguous abbreviation has the meaning that is usual in tweet archives.
_ZONE_HOURS = {
    "UTC": 0, "GMT": 0, "Z": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "MSK": 3,
    "IST": 5.5, "SGT": 8, "HKT": 8, "AWST": 8, "JST": 9, "KST": 9, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13,
    "NST": -3.5, "NDT": -2.5, "BRT": -3, "ART": -3, "AST": -4, "ADT": -3, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5,
    "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "AKST": -9, "AKDT": -8, "HST": -10,
}  # fmt: skip
_UTC_ZONES = {"", "Z", "UTC", "+0000", "+00:00"}
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d))?"
_ZONE = r"(?: (?P<zone>[A-Za-z]{1,5}|[+-]\d\d:?\d\d))?"
_WEEKDAY = r"[^\W\d_]{2,4}\.?,?"
_MONTH = r"(?P<month>[^\W\d_]{3,4})\.?"
_MONTH_NAME_FORMATS = (
    # Wed Aug 27 13:08:45 +0000 2008, and Mon Apr 06 22:19:45 PDT 2009
    re.compile(rf"{_WEEKDAY} {_MONTH} (?P<day>\d\d?) {_CLOCK}{_ZONE} (?P<year>\d{{4}})"),
    # Wed, 27 Aug 2008 13:08:45 +0000 (RFC 2822)
    re.compile(rf"(?:{_WEEKDAY} )?(?P<day>\d\d?) {_MONTH} (?P<year>\d{{4}}) {_CLOCK}{_ZONE}"),
)
_AM_PM = r" (?P<half>[AaPp])\.?[Mm]\.?"
_AM_PM_FORMATS = (
    # 10:11 AM · Nov 28, 2022, as the web client shows it
    re.compile(rf"(?P<hour>\d\d?):(?P<minute>\d\d){_AM_PM} · {_MONTH} (?P<day>\d\d?), (?P<year>\d{{4}})"),
    # 11/28/2022 10:11:12 AM: only American dates have AM or PM, so the month comes first
    re.compile(
        r"(?P<month>\d\d?)/(?P<day>\d\d?)/(?P<year>\d{4}),? "
        rf"(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d))?{_AM_PM}"
    ),
)
# 28/11/2022 10:11. If both numbers could be the month, the order is unknown.
_SLASHES = re.compile(rf"(?P<first>\d\d?)/(?P<next>\d\d?)/(?P<year>\d{{4}}),? {_CLOCK}")
_ISO_8601 = re.compile(r"(\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?)( ?[+-]\d\d:?\d\d| ?[A-Z]{1,5})?")
_EPOCH_DIGITS = re.compile(r"\d{9,17}(?:\.\d+)?")
# The first tweet was posted in March 2006. In these years the ranges of epoch seconds, milliseconds and microseconds
# do not overlap, so the size of a number gives its unit.
_YEARS = range(2006, 2101)


def parse_time(value: object) -> datetime | None:
    """Return `value` as a time in UTC, or None if it is not a time between 2006 and 2100.

    Accepts the formats of API v1.1 and of course files, RFC 2822, ISO 8601, the seconds, milliseconds or microseconds
    since 1970 as a number or a string of digits, American dates with AM or PM, and dates with slashes if their order
    is certain. Months may have their English, French, Spanish, Portuguese, German or Italian abbreviations. A time
    without a zone is in UTC.
    """
    try:
        if isinstance(value, str):
            time = _from_text(value.strip())
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            time = _from_epoch(value)
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return time if time is not None and time.year in _YEARS else None


def _from_text(text: str) -> datetime | None:
    if match := _ISO_8601.fullmatch(text.upper()):
        return _in_utc(datetime.fromisoformat(match[1].replace(",", ".")), match[2])
    for pattern in _MONTH_NAME_FORMATS:
        if match := pattern.fullmatch(text):
            parts = match.groupdict()
            month = _MONTHS.get(parts["month"].lower(), 0)
            clock = (int(parts["hour"]), int(parts["minute"]), int(parts["second"] or 0))
            return _in_utc(datetime(int(parts["year"]), month, int(parts["day"]), *clock), parts["zone"])  # noqa: DTZ001
    for pattern in _AM_PM_FORMATS:
        if match := pattern.fullmatch(text):
            return _from_am_pm(match.groupdict())
    if match := _SLASHES.fullmatch(text):
        return _from_slashes(match)
    if not _EPOCH_DIGITS.fullmatch(text):
        return None
    time = _from_epoch(float(text) if "." in text else int(text))
    if time.year not in _YEARS and len(text) == 14:  # 20221128101112
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return time


def _from_am_pm(parts: dict[str, str | None]) -> datetime:
    month = str(parts["month"])
    hour = int(str(parts["hour"]))
    if not 1 <= hour <= 12:
        raise ValueError(f"{hour} is not an hour of a twelve-hour clock")
    hour = hour % 12 + (12 if str(parts["half"]).lower() == "p" else 0)
    return datetime(
        int(str(parts["year"])),
        int(month) if month.isdecimal() else _MONTHS.get(month.lower(), 0),
        int(str(parts["day"])),
        hour,
        int(str(parts["minute"])),
        int(parts.get("second") or 0),
        tzinfo=UTC,
    )


def _from_slashes(match: re.Match[str]) -> datetime | None:
    first, second = int(match["first"]), int(match["next"])
    if first <= 12 and second <= 12 and first != second:
        return None
    day, month = (first, second) if first > 12 else (second, first)
    clock = (int(match["hour"]), int(match["minute"]), int(match["second"] or 0))
    return datetime(int(match["year"]), month, day, *clock, tzinfo=UTC)


def _in_utc(local: datetime, zone: str | None) -> datetime | None:
    """Return a local time as UTC; None if the zone is unknown."""
    zone = (zone or "").strip().upper()
    if zone in _UTC_ZONES:
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


def _from_epoch(number: float) -> datetime:
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    # An int stays an int here: a float cannot represent current times in microseconds exactly.
    scale = 1_000_000 if number < 1e11 else 1_000 if number < 1e14 else 1
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(number * scale))
