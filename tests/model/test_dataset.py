"""Folders of labelled tweets with languages and sources, alone and joined."""

from pathlib import Path

import pytest

from spark_apps.model.dataset import DataError, LabelledTweets, Split
from tests.model.folders import write_data


def test_folders_are_joined_with_the_language_and_the_source_of_each_row(tmp_path: Path) -> None:
    english = write_data(tmp_path / "english", train=4, val=2)
    several = write_data(tmp_path / "several", ("es", "de"), train=3, val=2)
    tweets = LabelledTweets((english, several), "en")
    split = tweets.read("train")
    assert split.languages == ["en"] * 4 + ["es", "de", "es"]
    assert split.sources == ["english"] * 4 + ["2015-es", "2016-de", "2015-es"]
    parts = [LabelledTweets((folder,)).read("train") for folder in (english, several)]
    assert split.texts == parts[0].texts + parts[1].texts == tweets.texts("train")
    assert split.labels == parts[0].labels + parts[1].labels
    assert split.counts() == {
        "languages": {"en": 4, "es": 2, "de": 1},
        "sources": {"english": 4, "2015-es": 2, "2016-de": 1},
    }
    assert parts[0].languages == ["und"] * 4
    assert split.select(lambda language, source: (language, source) == ("de", "2016-de")) == Split(
        [split.texts[5]], [split.labels[5]], ["de"], ["2016-de"]
    )
    version = tweets.version("train")
    assert (version.name, version.rows) == ("english+several", 7)
    one, other = (LabelledTweets((folder,)).version("train") for folder in (english, several))
    assert len({version.sha256, one.sha256, other.sha256}) == 3


@pytest.mark.parametrize(
    ("file", "content", "error"),
    [
        ("val_lang.txt", b"es\nde\n", "val_text.txt has 3 lines, .*val_lang.txt has 2: both need one line per tweet"),
        ("val_lang.txt", b"es\nde\nin Spanish\n", "val_lang.txt, line 3: 'in Spanish' is not the code of a language"),
        ("val_source.txt", b"a\n \nb\n", "val_source.txt, line 2: '' is not the name of a source"),
        ("val_source.txt", b"a\n\xff\nb\n", "val_source.txt is not UTF-8 .invalid start byte at byte 2"),
        ("val_labels.txt", b"0 1\n2\n0\n", "val_labels.txt, line 1: '0 1' is not a label: write 0, 1 or 2"),
        ("val_labels.txt", b"0\n1\n", "val_text.txt has 3 lines, .*val_labels.txt has 2"),
    ],
)
def test_a_wrong_file_of_one_folder_is_named(tmp_path: Path, file: str, content: bytes, error: str) -> None:
    good, wrong = (write_data(tmp_path / name, ("es", "de"), val=3) for name in ("good", "wrong"))
    (wrong / file).write_bytes(content)
    with pytest.raises(DataError, match=f"{wrong}/.*{error}"):
        LabelledTweets((good, wrong)).read("val")
