"""The table of sentiment by language, and the descriptions of the versions that mark its rows."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from spark_apps.dashboard import languages
from spark_apps.dashboard.descriptions import DescriptionResult, ModelDescriptions
from spark_apps.registry.client import BUNDLED, bundled_version
from spark_apps.registry.requests import RegistryError
from spark_apps.scoring.description import Description
from tests.waiting import until

TRAINED = replace(Description.read(BUNDLED), provenance={"languages": {"en": 9_000, "hi-Latn": 3_000, "id": 100}})
MARK = "not trained on this language"


def rows(description: Description | None, **counts: tuple[int, int, int]) -> dict[str, str]:
    """Return the HTML of each row of the table, by language tag, for counts by label."""
    frame = pd.DataFrame([(lang.replace("_", "-"), *of) for lang, of in counts.items()])
    frame.columns = pd.Index(["lang", "negative", "neutral", "positive"])
    body = languages.table(frame, description).partition("<tbody>")[2]
    return dict(zip(frame["lang"], re.findall(r"<tr.*?</tr>", body), strict=True))


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("en", "English"), ("hi-Latn", "Hindi (Latin)"), ("pt-BR", "Portuguese (Brazil)"), ("arq", "Algerian Arabic"),
        ("in", "Indonesian"), ("und", "Unknown language"), ("qme", "qme"), ("xx", "xx"), ("", ""), ("<i>", "<i>"),
    ],
)  # fmt: skip
def test_a_tag_has_an_english_name(tag: str, name: str) -> None:
    assert languages.name(tag) == name


def test_the_table_marks_the_languages_on_which_the_model_was_not_trained() -> None:
    counts = (20, 30, 50)
    shown = rows(TRAINED, en=counts, hi=counts, hi_Latn=counts, ja=counts, **{"in": counts}, und=counts, qme=counts)
    assert [lang for lang, row in shown.items() if MARK in row] == ["hi", "ja"]
    assert [lang for lang, row in shown.items() if "untrained" in row] == ["hi", "ja"]
    assert "trained on 9,000 tweets" in shown["en"] and "trained on 100 tweets" in shown["in"]
    assert "trained" not in shown["und"] + shown["qme"]  # a tweet in an unknown language may be in English


@pytest.mark.parametrize("description", [None, replace(TRAINED, provenance={})], ids=["none", "without languages"])
def test_without_known_languages_no_row_is_marked(description: Description | None) -> None:
    assert "trained" not in rows(description, en=(20, 30, 50), ja=(20, 30, 50))["ja"]


def test_a_language_with_few_tweets_has_no_shares() -> None:
    shown = rows(TRAINED, en=(10, 15, 25), ja=(9, 15, 25))
    assert [f"{share}%" in shown["en"] for share in (20, 30, 50)] == [True] * 3
    assert "%" not in shown["ja"] and "fewer than 50 tweets" in shown["ja"] and ">49<" in shown["ja"]
    assert MARK in shown["ja"]


def test_the_table_escapes_tags() -> None:
    evil = "<script>x</script>"
    assert evil not in rows(TRAINED, **{evil: (20, 30, 50)})[evil]


def settled(descriptions: ModelDescriptions, version: str) -> DescriptionResult:
    until(lambda: descriptions.get(version) != DescriptionResult(), 30, "the description", every=0.05)
    return descriptions.get(version)


def test_the_bundled_model_needs_no_registry() -> None:
    descriptions = ModelDescriptions(None, 1)
    assert settled(descriptions, bundled_version()).description == Description.read(BUNDLED)
    assert "another version of this program" in settled(descriptions, "bundled-00000000").problem
    assert "set TWEETS_REGISTRY" in settled(descriptions, "7").problem


def test_a_registry_is_asked_once_and_again_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(_: object, version: str) -> Description:
        asked.append(version)
        if len(asked) == 1:
            raise RegistryError("the registry x is down")
        return TRAINED

    monkeypatch.setattr("spark_apps.registry.client.Registry.description", answer)
    descriptions = ModelDescriptions("http://127.0.0.1:1", 1)
    assert settled(descriptions, "7").problem == "the registry x is down"
    assert asked == ["7"]
    monkeypatch.setattr("spark_apps.dashboard.background._INTERVAL_SECONDS", 0)
    until(lambda: descriptions.get("7").description == TRAINED, 30, "the second answer", every=0.05)
    assert descriptions.get("7") == DescriptionResult(TRAINED) and asked == ["7", "7"]
