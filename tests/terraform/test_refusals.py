"""Every refusal in the modules' variables says what is wrong: one `validate` over calls with one bad input each."""

import re
from pathlib import Path

import pytest

from tests.terraform.cli import SOURCE, Workdir

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(600)]

_RUN = re.compile(r'run "(refuses_\w+)" \{.*?\n  variables \{\n(.*?)\n  \}\n  expect_failures', re.DOTALL)
_DEFAULTS = re.compile(r"^variables \{\n(.*?)\n\}", re.DOTALL | re.MULTILINE)
_MESSAGE = re.compile(r'error_message = "((?:[^"\\]|\\.)*)"')


def _calls(module: str) -> str:
    """Turn each refused run of the module's tests into a call of the module."""
    tests = (SOURCE / "modules" / module / "tests" / f"{module}.tftest.hcl").read_text()
    (usual,) = _DEFAULTS.findall(tests)
    calls = []
    for name, refused in _RUN.findall(tests):
        variable = refused.split("=")[0].strip()
        kept = "\n".join(line for line in usual.splitlines() if line.split("=")[0].strip() != variable)
        calls.append(f'module "{module}_{name}" {{\n  source = "./modules/{module}"\n{kept}\n{refused}\n}}\n')
    return "\n".join(calls)


def test_each_refused_input_gets_its_message(tmp_path: Path) -> None:
    modules = sorted(folder.name for folder in (SOURCE / "modules").iterdir() if folder.is_dir())
    workdir = Workdir(tmp_path, ".")
    (workdir.folder / "main.tf").write_text("\n".join(map(_calls, modules)))
    workdir.init("-backend=false")
    shown = workdir.run("validate", "-json", codes=(1,)).stdout
    said = {message.replace("\\\\", "\\") for message in re.findall(r'"detail":\s*"((?:[^"\\]|\\.)*)"', shown)}
    written = {
        message
        for module in modules
        for message in _MESSAGE.findall((SOURCE / "modules" / module / "variables.tf").read_text())
    }
    assert len(written) > 35
    missing = [message for message in written if not any(message in found for found in said)]
    # `validate` does not look at other variables; Terraform's own tests see that this one is refused.
    assert [message for message in missing if not message.startswith("oidc_provider_arn is missing")] == []
