"""Report the versions in README.md that leave support soon or have left it.

    python3 terraform/check_versions.py

Reads the table in the section "Versions" of terraform/README.md, and nothing else. Exits with 1 if it reports anything.
Needs only Python 3.11, without packages.
"""

import re
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

README = Path(__file__).parent / "README.md"
# EKS announces the end of standard support 60 days ahead.
WARN_DAYS = 60
# Charts and providers publish no end of support: somebody must look for newer versions.
REVIEW_DAYS = 180

_CHECKED = re.compile(r"^Checked on (\d{4}-\d{2}-\d{2})\b", re.MULTILINE)
_ROW = re.compile(
    r"^\| (?P<component>[^|]+) \| (?P<version>[^|]+) \| [^|]+ \| (?P<end>\d{4}-\d{2}-\d{2})?[^|]*\|$", re.MULTILINE
)


class Version(NamedTuple):
    """A row of the table. `end` is the last day of support, None if none is published."""

    component: str
    version: str
    end: date | None


class TableError(Exception):
    """README.md has no table of versions, or no date of the last check."""


def versions(readme: str) -> list[Version]:
    """Return the rows of the table of versions.

    Raises:
        TableError: There is no section "Versions", or its table has no row with an end of support.
    """
    rows = [
        Version(row["component"], row["version"], date.fromisoformat(row["end"]) if row["end"] else None)
        for row in _ROW.finditer(_section(readme))
        if row["component"] != "Component"
    ]
    if not any(row.end for row in rows):
        raise TableError('the table of the section "Versions" has no end of support: write it as 2027-03-27')
    return rows


def warnings(readme: str, today: date) -> Iterator[str]:
    """Yield a message for each version that needs an upgrade, and one if the table is old.

    Args:
        readme: Text of README.md.
        today: The day to compare with.

    Raises:
        TableError: The table or the date of its last check is missing.
    """
    for name, version, end in versions(readme):
        if end and end < today:
            yield f"{name} {version} left support on {end}: upgrade, and remove the version from the table"
        elif end and (end - today).days <= WARN_DAYS:
            yield f"{name} {version} leaves support on {end}, in {(end - today).days} days: upgrade"
    checked = _CHECKED.search(_section(readme))
    if not checked:
        raise TableError('the section "Versions" does not begin a line with "Checked on <date>": add the date')
    age = (today - date.fromisoformat(checked[1])).days
    if age > REVIEW_DAYS:
        yield f"the table was checked {age} days ago: look for newer versions, and update its date"


def _section(readme: str) -> str:
    sections = re.split(r"^## ", readme, flags=re.MULTILINE)
    found = [section for section in sections if section.startswith("Versions\n")]
    if not found:
        raise TableError('the section "Versions" is missing')
    return found[0]


def main() -> int:
    try:
        messages = list(warnings(README.read_text(), datetime.now(UTC).date()))
    except TableError as error:
        print(f"error: {README}: {error}", file=sys.stderr)
        return 2
    for message in messages:
        print(f"warning: {message}", file=sys.stderr)
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(main())
