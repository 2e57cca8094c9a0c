"""Invalid declarations of formats: each error names the file, the field and the remedy."""

from pathlib import Path
from typing import Any

import pytest

from spark_apps.settings import SettingsError
from spark_apps.silver.user_formats import load_formats
from tests.silver.reading import MINIMAL, declare


def refused(folder: Path, declared: object) -> str:
    with pytest.raises(SettingsError) as caught:
        declare(folder, declared)
    assert str(folder / "formats.yaml") in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"marks": []}, "own.marks: is empty: write at least one path"),
        ({"marks": None}, "own.marks: is not a list"),
        ({"id": "id"}, "own.id: 'id' is not a list: write a list of paths, such as [id, post.id]"),
        ({"id": []}, "own: has no id: write its paths in `id`, or set derives_id: true"),
        ({"text": [1]}, "own.text.0: '1' is not a string: write it in quotes"),
        ({"time": ["a..b"]}, "own.time.0: 'a..b' is not a path: write names with dots between them"),
        ({"tim": ["a"]}, "own.tim: is unknown: remove it, or correct its name"),
        ({"name": "x"}, "own.name: 'x' is unknown"),
        ({"mentions": ["mentions"]}, "own.mentions.0: 'mentions' is not a path in a list: write list.field"),
        ({"has_html": "maybe"}, "own.has_html: 'maybe' is neither true nor false"),
        ({"lang": ["x"] * 21}, "own.lang: has more than 20 entries: remove some"),
        ({"lang": ["x" * 201]}, "is longer than 200 characters: shorten it"),
    ],
)
def test_an_invalid_field_is_named_with_the_remedy(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    assert message in refused(tmp_path, {"own": MINIMAL | change})


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("", "is not a mapping: write the name of each format"),
        ("[]", "is not a mapping"),
        ("own: [1]", "own: is not a mapping: write the fields of the format below its name"),
        ("own: {text: [a]}", "own.marks: is missing: add it"),
        ("a: [", "is not valid YAML"),
        ("a: {}\na: {}", "'a' occurs twice"),
        ("[" * 5_000, "is not valid YAML"),
        ("at: 2020-99-99", "is not valid YAML"),
        ("a: !!python/object/apply:os.getcwd []", "is not valid YAML"),
        ("#" * (1 << 20) + "#", "is larger than 1048576 bytes"),
        ({"flat": MINIMAL}, "flat: a built-in format has this name: choose another"),
        ({"v1.1": MINIMAL}, "v1.1: a built-in format has this name"),
        ({"Own Format": MINIMAL}, "Own Format: 'Own Format' is not a name"),
        ({1: MINIMAL}, "1: '1' is not a string: write it in quotes"),
        ({f"own{n}": MINIMAL for n in range(101)}, "has more than 100 entries: remove some"),
    ],
)
def test_an_invalid_file_is_refused(tmp_path: Path, declared: object, message: str) -> None:
    assert message in refused(tmp_path, declared)


def test_all_problems_are_reported_together_up_to_a_limit(tmp_path: Path) -> None:
    assert len(refused(tmp_path, {f"own{n}": {} for n in range(5)}).splitlines()) == 15
    assert len(refused(tmp_path, {f"own{n}": {} for n in range(50)}).splitlines()) == 20


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml is not readable .*TWEETS_FORMATS"):
        load_formats(tmp_path / "none.yaml")
