"""The declared format of docs/local.md reaches the tables, through `run --once` with TWEETS_FORMATS."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from deltalake import DeltaTable
from typer.testing import Result

from spark_apps.silver.user_formats import DeclaredFormat, load_formats
from spark_apps.tables import QUARANTINE, SILVER_TWEETS
from tests.lakes import flat_tweet
from tests.silver.reading import read_tweet

PAGE = (Path(__file__).parents[2] / "docs" / "local.md").read_text(encoding="utf-8")
# Name and content of the files that the examples of the page write.
FILES = dict(re.findall(r"^cat > (\S+) <<'END'\n(.*?)^END$", PAGE, re.MULTILINE | re.DOTALL))
BLUESKY = re.search(r"^```yaml\n(bluesky:.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_a_declared_format_reaches_the_tables(command: Callable[..., Result], tmp_path: Path) -> None:
    formats, landing, lake = tmp_path / "formats.yaml", tmp_path / "landing", tmp_path / "lake"
    formats.write_text(FILES["formats.yaml"])
    landing.mkdir()
    (landing / "posts.json").write_text(FILES["post.json"] + flat_tweet(7))
    arguments = ["run", "bronze", "silver", "--landing", landing, "--lake", lake, "--once", "--json"]
    done = command(*arguments, TWEETS_FORMATS=str(formats))
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["documents"], result["silver"], result["quarantine"]) == (2, 2, {})
    rows = {row["format"]: row for row in DeltaTable(SILVER_TWEETS.path(str(lake))).to_pyarrow_table().to_pylist()}
    assert rows.keys() == {"mastodon", "flat"}
    row = rows["mastodon"]
    assert (row["id"], row["user_id"], row["lang"]) == ("103270115826048975", "ann", "en")
    assert (row["full_text"], row["mentions"]) == ("I love this, @bo & all!", ["bo"])
    assert row["timestamp"] == datetime(2019, 12, 8, 3, 48, 33, 901000, UTC)

    # Without the declaration, the same post is rejected.
    (landing / "again.json").write_text(FILES["post.json"])
    result = json.loads(command(*arguments).stdout.splitlines()[-1])
    assert (result["silver"], result["quarantine"]) == (0, {"other_network": 1})
    (rejected,) = DeltaTable(QUARANTINE.path(str(lake))).to_pyarrow_table().to_pylist()
    assert "declare a format" in rejected["detail"]


def test_the_documented_bluesky_format_reads_a_post(tmp_path: Path) -> None:
    assert BLUESKY is not None
    (tmp_path / "formats.yaml").write_text(BLUESKY[1])
    record = {"$type": "app.bsky.feed.post", "text": "hi", "createdAt": "2024-09-09T19:46:02.102Z", "langs": ["en"]}
    post = {"uri": "at://x", "author": {"did": "did:plc:ann", "handle": "ann"}, "record": record}
    formats = load_formats(tmp_path / "formats.yaml")
    tweet = read_tweet({"feed": [{"post": post}]}, formats)
    assert (tweet.format, tweet.user_id, tweet.lang) == ("bluesky", "did:plc:ann", "en")


def test_the_page_explains_each_field_of_a_format() -> None:
    fields = set(re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE))
    assert fields == DeclaredFormat.model_fields.keys()
