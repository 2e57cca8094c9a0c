"""Each invalid input of the modules produces its error message, tested with one `terraform validate` over all."""

import re
from pathlib import Path

import pytest

from tests.terraform.terraform_cli import SOURCE, Workdir

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(900)]

_RUN = re.compile(r'run "(refuses_\w+)" \{.*?\n  variables \{\n(.*?)\n  \}\n  expect_failures', re.DOTALL)
_DEFAULTS = re.compile(r"^variables \{\n(.*?)\n\}", re.DOTALL | re.MULTILINE)
_MESSAGE = re.compile(r'error_message = "((?:[^"\\]|\\.)*)"')


def _calls(module: str) -> str:
    """Turn each `refuses_…` run of the module's Terraform tests into a module call with the invalid input."""
    tests = (SOURCE / "modules" / module / "tests" / f"{module}.tftest.hcl").read_text()
    (defaults,) = _DEFAULTS.findall(tests)
    calls = []
    for name, invalid in _RUN.findall(tests):
        variable = invalid.split("=")[0].strip()
        others = "\n".join(line for line in defaults.splitlines() if line.split("=")[0].strip() != variable)
        calls.append(f'module "{module}_{name}" {{\n  source = "./modules/{module}"\n{others}\n{invalid}\n}}\n')
    return "\n".join(calls)


def test_each_invalid_input_produces_its_message(tmp_path: Path) -> None:
    modules = sorted(folder.name for folder in (SOURCE / "modules").iterdir() if folder.is_dir())
    workdir = Workdir(tmp_path, ".")
    (workdir.folder / "main.tf").write_text("\n".join(map(_calls, modules)))
    workdir.init("-backend=false")
    output = workdir.run("validate", "-json", codes=(1,)).stdout
    reported = {message.replace("\\\\", "\\") for message in re.findall(r'"detail":\s*"((?:[^"\\]|\\.)*)"', output)}
    defined = {
        message
        for module in modules
        for message in _MESSAGE.findall((SOURCE / "modules" / module / "variables.tf").read_text())
    }
    assert len(defined) > 35
    missing = [message for message in defined if not any(message in detail for detail in reported)]
    # `validate` skips validations that refer to other variables; the Terraform tests of the module cover this one.
    assert [message for message in missing if not message.startswith("oidc_provider_arn is missing")] == []
