"""Load the formats of tweets that a user declares in a YAML file: a mapping of names to marks and fields."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from spark_apps.settings import SettingsError
from spark_apps.silver.tweet_formats import BUILT_IN
from spark_apps.silver.tweet_reader import TweetFormat, paths

_MAX_BYTES = 1 << 20
MAX_FORMATS = 100
_MAX_PATHS = 20
_MAX_ERRORS = 20

_PATH = r"^[^.]+(\.[^.]+)*$"
# The last name is a field of the objects in the list; it is empty for a list of names.
_PATH_IN_LIST = r"^[^.]+(\.[^.]+)*\.[^.]*$"
NAME = r"^[a-z][a-z0-9_.-]{0,39}$"
# Problem and remedy by pydantic's error type, or by the pattern that a string does not match.
_MESSAGES = {
    "missing": "is missing: add it",
    "extra_forbidden": "is unknown: remove it, or correct its name",
    "dict_type": "is not a mapping: write the name of each format, and its fields below the name",
    "model_type": "is not a mapping: write the fields of the format below its name",
    "list_type": "is not a list: write a list of paths, such as [id, post.id]",
    "string_type": "is not a string: write it in quotes",
    "bool_type": "is neither true nor false: write one of them",
    "too_short": "is empty: write at least one path",
    "too_long": "has more than {max_length} entries: remove some",
    "string_too_long": "is longer than {max_length} characters: shorten it",
    _PATH: "is not a path: write names with dots between them, such as post.id",
    _PATH_IN_LIST: "is not a path in a list: write list.field, such as mentions.acct, or `names.` for plain names",
    NAME: "is not a name: write at most 40 of the characters a-z, 0-9, _, . and -, a letter first",
}

# The condition of `_check_id` in JSON Schema, for the schema of the chart's values.
_ID_OR_DERIVED: list[JsonValue] = [
    {"required": ["id"], "properties": {"id": {"minItems": 1}}},
    {"required": ["derives_id"], "properties": {"derives_id": {"const": True}}},
]
_OnePath = Annotated[str, StringConstraints(pattern=_PATH, max_length=200)]
_Paths = Annotated[list[_OnePath], Field(max_length=_MAX_PATHS)]
_Required = Annotated[list[_OnePath], Field(min_length=1, max_length=_MAX_PATHS)]
_PathInList = Annotated[str, StringConstraints(pattern=_PATH_IN_LIST, max_length=200)]
_Name = Annotated[str, StringConstraints(pattern=NAME)]


class DeclaredFormat(BaseModel):
    """One declared format: the fields of `TweetFormat` that a user may set, with dotted paths."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"anyOf": _ID_OR_DERIVED})

    marks: _Required = Field(description="An object with a value at each of these paths is a tweet in this format.")
    any_mark: _Paths = Field([], description="If not empty, one of these paths must have a value too.")
    id: _Paths = Field([], description="Decimal digits. May be empty with derives_id.")
    text: _Required = Field(description="Text of the tweet.")
    time: _Required = Field(description="Time of the tweet.")
    user: _Paths = Field([], description="Id or name of the author, or the author as an object.")
    lang: _Paths = Field(["lang"], description="Language of the text.")
    mentions: list[_PathInList] = Field(
        [],
        max_length=_MAX_PATHS,
        description="List of the mentioned accounts, a dot, and the field of its objects that has the account. If "
        "empty, the mentions are found in the text.",
    )
    original: _Paths = Field([], description="The original of a retweet, from which text and mentions are taken.")
    has_html: bool = Field(False, description="Whether the text is HTML: tags are removed.")
    derives_id: bool = Field(False, description="Whether a tweet without an id gets a hash of time, user and text.")
    has_labels: bool = Field(False, description="Whether the tweet may have a sentiment label.")

    @model_validator(mode="after")
    def _check_id(self) -> "DeclaredFormat":
        if not self.id and not self.derives_id:
            raise ValueError("has no id: write its paths in `id`, or set derives_id: true")
        return self


_FORMATS = TypeAdapter(Annotated[dict[_Name, DeclaredFormat], Field(max_length=MAX_FORMATS)])


class _Loader(yaml.SafeLoader):
    """Refuses a key that occurs twice; `SafeLoader` would keep its last value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for key, count in keys.items():
            if count > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} occurs twice", node.start_mark)
        return super().construct_mapping(node, deep)


def load_formats(file: Path | None) -> tuple[TweetFormat, ...]:
    """Return the formats that a file declares, sorted by name; () if `file` is None.

    Raises:
        SettingsError: the file is not readable or a format is invalid; the message names up to 20 problems.
    """
    if file is None:
        return ()
    try:
        declared = _FORMATS.validate_python(_read(file))
    except ValidationError as error:
        problems = [f"{file}: {_describe(problem)}" for problem in error.errors(include_url=False)]
        raise SettingsError("\n".join(problems[:_MAX_ERRORS])) from None
    if taken := sorted({format_.name for format_ in BUILT_IN} & declared.keys()):
        raise SettingsError(
            "\n".join(f"{file}: {name}: a built-in format has this name: choose another" for name in taken)
        )
    return tuple(_tweet_format(name, format_) for name, format_ in sorted(declared.items()))


def _read(file: Path) -> Any:
    try:
        with file.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"{file} is not readable ({error.strerror}): check the path in --formats or TWEETS_FORMATS"
        ) from None
    if len(data) > _MAX_BYTES:
        raise SettingsError(f"{file} is larger than {_MAX_BYTES} bytes: declare fewer formats")
    try:
        return yaml.load(data, _Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise SettingsError(f"{file} is not valid YAML: {problem}: correct the file") from None


def _describe(problem: ErrorDetails) -> str:
    """Return the field with a problem, the problem, and the remedy."""
    field = ".".join(str(part) for part in problem["loc"] if part != "[key]")
    context = problem.get("ctx", {})
    message = _MESSAGES.get(context.get("pattern", problem["type"]))
    text = message.format(**context) if message else problem["msg"].removeprefix("Value error, ")
    if isinstance(problem["input"], str | int | float) and problem["type"] != "missing":
        text = f"{str(problem['input'])[:80]!r} {text}"
    return f"{field}: {text}" if field else text


def _tweet_format(name: str, declared: DeclaredFormat) -> TweetFormat:
    fields: dict[str, Any] = {
        field: paths(*value) if isinstance(value, list) else value for field, value in declared.model_dump().items()
    }
    return TweetFormat(name=name, **fields)
