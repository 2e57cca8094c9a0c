"""What an image is built from is fixed: the base image in one place, uv and the jars by checksum."""

import re
import sys
from pathlib import Path

import pytest

from spark_apps import session
from spark_apps.settings import SettingsError

ROOT = Path(__file__).parents[1]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
LISTS = {"delta": "delta-4.4.0", "s3": "s3-3.5.0"}


def test_all_images_have_the_same_base_image_which_an_argument_replaces() -> None:
    bases = set()
    for file in DOCKERFILES:
        base, *stages = re.findall(r"^(?:ARG BASE_IMAGE=|FROM )(\S+)", file.read_text(), re.MULTILINE)
        bases.add(base)
        assert set(stages) <= {"${BASE_IMAGE}", "base"}, file.name
        assert stages[0] == "${BASE_IMAGE}", file.name
    assert len(DOCKERFILES) == 5 and len(bases) == 1
    assert f"BASE_IMAGE={bases.pop()}@$(" in (ROOT / "docs" / "security.md").read_text()


def test_each_image_installs_uv_by_checksum() -> None:
    assert re.fullmatch(
        r"uv==[0-9.]+( \\\n    --hash=sha256:[0-9a-f]{64})+\n", (ROOT / "docker" / "uv.txt").read_text()
    )
    for file in DOCKERFILES:
        installs = re.findall(r"pip install (.*?)(?: \\)?$", file.read_text(), re.MULTILINE)
        assert installs and all(re.search(r"--require-hashes -r (/tmp/)?uv\.txt", line) for line in installs), file.name


def test_the_build_context_has_each_file_that_an_image_copies() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for file in DOCKERFILES:
        for arguments in re.findall(r"^COPY (?!--from)(.*)$", file.read_text(), re.MULTILINE):
            for source in arguments.split()[:-1]:
                assert allowed & {source, *map(str, Path(source).parents)}, f"{file.name}: {source}"


@pytest.mark.parametrize("name", LISTS)
def test_the_downloaded_jars_have_the_checksums_of_the_project(name: str) -> None:
    folder = session.JARS / LISTS[name]
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist: run `python -m spark_apps.session --s3`")
    session._verify(folder, ROOT / "spark_apps" / f"{name}.sha256")


@pytest.mark.parametrize("change", ["damaged", "missing", "added"])
def test_a_jar_that_differs_from_the_list_is_refused_by_name(change: str, tmp_path: Path) -> None:
    jars, sums = tmp_path / "jars", tmp_path / "list.sha256"
    jars.mkdir()
    (jars / "good.jar").write_text("")
    (jars / "bad.jar").write_text("")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    sums.write_text(f"{empty}  good.jar\n{empty}  bad.jar\n")
    session._verify(jars, sums)
    if change == "damaged":
        (jars / "bad.jar").write_text("x")
    elif change == "missing":
        (jars / "bad.jar").unlink()
    else:
        sums.write_text(f"{empty}  good.jar\n")
    with pytest.raises(SettingsError, match=r"^bad\.jar: the downloaded jars"):
        session._verify(jars, sums)


def test_a_damaged_download_leaves_no_folder_that_a_later_start_would_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program in the place of Python downloads a jar with another content."""
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\n"
        'folder=$(echo "$PYSPARK_SUBMIT_ARGS" | sed "s/.*spark.jars.ivy=\\([^\\"]*\\).*/\\1/")\n'
        'mkdir -p "$folder/jars" && echo forged > "$folder/jars/io.delta_delta-storage-4.4.0.jar"\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    folder = tmp_path / "delta-4.4.0"
    with pytest.raises(SettingsError, match=r"io\.delta_delta-storage-4\.4\.0\.jar"):
        session._download(folder, "io.delta:delta", "org.*:*")
    assert not folder.exists()
