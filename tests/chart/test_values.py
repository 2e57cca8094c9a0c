"""values.yaml is the manual of the chart: each value has a description, and values.schema.json agrees with it."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from spark_apps.model.release.gates import load_limits as load_gate_limits
from spark_apps.quality.limits import load_limits as load_quality_limits
from spark_apps.silver.tweet_formats import BUILT_IN
from spark_apps.silver.user_formats import MAX_FORMATS, NAME, DeclaredFormat
from tests.chart.manual import documented_values
from tests.chart.rendering import CHART, assert_golden

pytestmark = pytest.mark.chart

MANUAL = (CHART / "values.yaml").read_text()
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
VALUES = {value.path: value for value in documented_values(MANUAL)}
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "object": (dict,),
    "array": (list,),
}
# The programs own these limits and their defaults: values.yaml leaves the maps empty.
OWNED_BY_PROGRAMS = {("modelJobs", "gates"), ("quality", "limits")}


def _leaves(value: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of each value; a map that the schema does not describe key by key is one value."""
    for key, inner in value.items():
        inner_path = (*path, key)
        if isinstance(inner, dict) and inner and "properties" in _schema_of(SCHEMA, inner_path):
            yield from _leaves(inner, inner_path)
        else:
            yield inner_path


def _schema_leaves(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, inner in schema["properties"].items():
        inner_path = (*path, key)
        if "properties" in inner and inner_path not in OWNED_BY_PROGRAMS:
            yield from _schema_leaves(inner, inner_path)
        else:
            yield inner_path


def _schema_of(schema: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    for key in path:
        schema = schema["properties"][key]
    return schema


def test_each_value_has_a_description() -> None:
    assert set(_leaves(yaml.safe_load(MANUAL))) == set(VALUES)
    for value in VALUES.values():
        assert value.description[0].isupper() or value.description.startswith(("volume:", "s3://")), value.path
        assert value.description.endswith("."), value.path


def test_schema_and_values_have_the_same_keys() -> None:
    # Helm reserves `global` for values that subcharts share.
    assert set(_schema_leaves(SCHEMA)) == {*VALUES, ("global",)}


def test_defaults_have_the_types_of_the_schema() -> None:
    for path, value in VALUES.items():
        schema = _schema_of(SCHEMA, path)
        if "enum" in schema:
            assert value.default in schema["enum"], path
        else:
            assert isinstance(value.default, TYPES[schema["type"]]), path
            assert isinstance(value.default, bool) == (schema["type"] == "boolean"), path


def test_schema_has_the_descriptions_and_defaults_of_values_and_the_formats_of_silver() -> None:
    """UPDATE_GOLDEN=true copies both from values.yaml, and the formats from Silver, into values.schema.json."""
    schema = copy.deepcopy(SCHEMA)
    _schema_of(schema, ("streams", "silver", "formats")).update(
        maxProperties=MAX_FORMATS,
        propertyNames={"pattern": NAME, "not": {"enum": [format_.name for format_ in BUILT_IN]}},
        additionalProperties=DeclaredFormat.model_json_schema(),
    )
    for path, value in VALUES.items():
        _schema_of(schema, path).update(description=value.text, default=value.default)
    assert_golden(CHART / "values.schema.json", json.dumps(schema, indent=2, ensure_ascii=False) + "\n")


@pytest.mark.parametrize(
    ("path", "limits"),
    [(("modelJobs", "gates"), load_gate_limits()), (("quality", "limits"), load_quality_limits())],
    ids=["gates", "quality"],
)
def test_limits_of_the_programs_are_all_in_the_schema(path: tuple[str, ...], limits: Any) -> None:
    properties = _schema_of(SCHEMA, path)["properties"]
    fields = {_camel_case(name): field for name, field in type(limits).model_fields.items()}
    assert properties.keys() == fields.keys()
    for name, schema in properties.items():
        assert schema["default"] == fields[name].default, name
        assert schema["description"].endswith("."), name


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
