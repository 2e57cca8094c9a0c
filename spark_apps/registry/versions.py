"""A version of the registered model in MLflow, with its aliases and its release history in tags."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

STAGING = "staging"
PASSED, WITHDRAWN, REFUSED = "passed", "withdrawn", "refused"
# Tag of a version that passed the gates of a release with --shadow-first.
PASSED_FOR_SHADOW = "passed for shadow"
# Tag with the SHA-256 of the description, which has those of all other files. It is in the registry's database: write
# access to the artifact store is not enough to replace a model.
DESCRIPTION_SHA256 = "description_sha256"
# Prefix of a tag, followed by the time: `production` may move to a version more than once.
MOVED = "production "


@dataclass(frozen=True)
class Version:
    """One version of the registered model; `run_id` is the MLflow run that registered the version."""

    version: str
    aliases: list[str]
    created: datetime
    tags: dict[str, str]
    run_id: str

    @property
    def has_passed(self) -> bool:
        """Whether the version passed its gates, even if it was withdrawn later."""
        return PASSED in self.tags

    @property
    def may_be_production(self) -> bool:
        """Whether the version passed its gates and was not withdrawn."""
        return self.has_passed and WITHDRAWN not in self.tags

    @property
    def may_be_shadow(self) -> bool:
        """Whether the version passed the gates of a release, or those before it becomes the shadow version."""
        return self.has_passed or PASSED_FOR_SHADOW in self.tags

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON of `model list`, with times in ISO 8601."""
        return {**asdict(self), "created": self.created.isoformat(), "moves": self.moves}

    @property
    def moves(self) -> list[dict[str, Any]]:
        """The moves of `production` to this version, oldest first, with at, from, to, by and why."""
        keys = sorted(key for key in self.tags if key.startswith(MOVED))
        return [{"at": key.removeprefix(MOVED), **json.loads(self.tags[key])} for key in keys]
