"""The examples in the READMEs of the modules are valid, and the tables list every input and output."""

import re
from pathlib import Path

import pytest

from tests.terraform.terraform_cli import SOURCE, Workdir

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(900)]

MODULES = sorted(folder for folder in (SOURCE / "modules").iterdir() if folder.is_dir())


def test_the_examples_are_valid(tmp_path: Path) -> None:
    blocks = [re.findall(r"```hcl\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL) for folder in MODULES]
    assert all(len(examples) == 1 for examples in blocks)
    workdir = Workdir(tmp_path, ".")
    text = "\n".join(examples[0] for examples in blocks).replace("../../modules/", "./modules/")
    (workdir.folder / "main.tf").write_text(text)
    workdir.init("-backend=false")
    workdir.run("validate")
    workdir.run("fmt", "-check", "main.tf")


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)
def test_the_tables_list_every_input_and_output(folder: Path) -> None:
    text = (folder / "README.md").read_text()
    for file, kind in (("variables.tf", "variable"), ("outputs.tf", "output")):
        source = (folder / file).read_text()
        names = re.findall(rf'^{kind} "(\w+)"', source, re.MULTILINE)
        assert names
        assert source.count("description =") == len(names)
        assert [name for name in names if f"| `{name}` |" not in text] == []
