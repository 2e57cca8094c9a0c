"""JSON inside JSON: strings that contain JSON, and tables as pandas stores them.

Silver finds tweets in both. An erasure must find the same tweets, so both use these functions.
"""

import base64
from typing import Any

Json = dict[str, Any]
# How `{"`, `{ "` and `[{` begin in Base64, in which Kinesis and Pub/Sub encode their records.
BASE64_JSON = ("eyJ", "eyA", "W3s")


def encoded_json(text: str) -> str | None:
    """Return the JSON in a string, plain or in Base64: a message in the envelope of a queue. None for other strings."""
    text = text.lstrip()
    if text.startswith(BASE64_JSON):
        try:
            text = base64.b64decode(text, validate=True).decode("utf-8", "surrogatepass").lstrip()
        except ValueError:
            return None
    return text if text[:1] in {"{", "[", '"'} else None


def rows_by_column(value: Json) -> dict[str, Json] | None:
    """Return the rows of a table that is stored by columns, by their index; None for any other object."""
    if "text" not in value and "full_text" not in value:
        return None
    columns = list(value.values())
    if not isinstance(columns[0], dict) or not all(isinstance(column, dict) for column in columns):
        return None
    index = columns[0].keys()
    if not index or any(column.keys() != index for column in columns):
        return None
    return {key: {name: column[key] for name, column in value.items()} for key in index}


def rows_of_table(value: Json) -> dict[str, Json] | None:
    """Return the rows of a table with `columns` and `data`, by their number; None for any other object."""
    names, rows = value.get("columns"), value.get("data")
    if not isinstance(names, list) or not isinstance(rows, list) or not all(isinstance(name, str) for name in names):
        return None
    if not rows or not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        return None
    return {str(number): dict(zip(names, row, strict=True)) for number, row in enumerate(rows)}
