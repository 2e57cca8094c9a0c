"""What MLflow keeps of a version of the registered model: its aliases, and the tags that say what became of it."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

STAGING = "staging"
PASSED, WITHDRAWN, REFUSED = "passed", "withdrawn", "refused"
# Followed by the time, since a version may be moved to more than once.
MOVED = "production "


@dataclass(frozen=True)
class Version:
    """One version of the registered model; `run_id` is that of the MLflow run in which it was registered."""

    version: str
    aliases: list[str]
    created: datetime
    tags: dict[str, str]
    run_id: str

    @property
    def has_passed(self) -> bool:
        return PASSED in self.tags

    @property
    def may_be_production(self) -> bool:
        """Whether it passed its gates and was not withdrawn."""
        return self.has_passed and WITHDRAWN not in self.tags

    def to_dict(self) -> dict[str, Any]:
        """Return what `list --json` prints: times in ISO 8601."""
        return {**asdict(self), "created": self.created.isoformat(), "moves": self.moves}

    @property
    def moves(self) -> list[dict[str, Any]]:
        """The moves of `production` to this version, oldest first: at, from, to, by and why of each."""
        keys = sorted(key for key in self.tags if key.startswith(MOVED))
        return [{"at": key.removeprefix(MOVED), **json.loads(self.tags[key])} for key in keys]
