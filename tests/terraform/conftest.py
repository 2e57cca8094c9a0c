"""Apply both examples to one mocked account, plan them again, and destroy them after the last test."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.moto_server import serve
from tests.terraform.state import Resource, resources
from tests.terraform.terraform_cli import TerraformError, Workdir

ADMIN = "arn:aws:iam::123456789012:role/platform"
# Each option that is off by default is on in one example. Deletion protection would block the destroy.
_DATABASE = '-var=database={instance_class="db.t4g.medium",multi_zone=true,backup_days=14,deletion_protection=false}'
EXAMPLES = {
    "minimal": ["-var=method=irsa", '-var=public_access_cidrs=["203.0.113.7/32"]'],
    "production": ["-var-file=production.tfvars", "-var=landing_queue=true", "-var=force_destroy=true", _DATABASE],
}


class Applied:
    """An applied example: its resources, its outputs and the plan after the apply."""

    def __init__(self, root: Path, name: str, endpoint: str) -> None:
        self.name = name
        self._workdir = Workdir(root / name, f"examples/{name}").at(endpoint)
        self._arguments = ["-input=false", f'-var=admins=["{ADMIN}"]', *EXAMPLES[name]]
        self.resources: list[Resource] = []
        self.outputs: dict[str, Any] = {}
        self.second_plan: dict[str, Any] = {}

    def apply(self) -> None:
        self._workdir.init()
        self._workdir.run("apply", "-auto-approve", *self._arguments)
        self._workdir.run("plan", "-out=second.tfplan", *self._arguments)
        self.second_plan = self._workdir.json("show", "-json", "second.tfplan")
        self.resources = resources(self._workdir.json("show", "-json"))
        self.outputs = self._workdir.json("output", "-json")

    def destroy(self) -> None:
        # The second plan has already refreshed the state.
        self._workdir.run("destroy", "-auto-approve", "-refresh=false", *self._arguments)
        remaining = resources(self._workdir.json("show", "-json"))
        if remaining:
            addresses = [resource.address for resource in remaining]
            raise TerraformError(f"{self.name}: resources remain after terraform destroy: {addresses}")

    def of(self, kind: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.kind == kind]


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Applied]]:
    if shutil.which("terraform") is None:
        pytest.fail("terraform is not on the PATH: install version 1.10 or later")
    root = tmp_path_factory.mktemp("terraform")
    with serve() as endpoint:
        applied = {name: Applied(root, name, endpoint) for name in EXAMPLES}
        with ThreadPoolExecutor() as pool:
            list(pool.map(Applied.apply, applied.values()))
            yield applied
            # A failed destroy is reported as an error of the last test.
            list(pool.map(Applied.destroy, applied.values()))


@pytest.fixture(params=list(EXAMPLES))
def example(request: pytest.FixtureRequest, examples: dict[str, Applied]) -> Applied:
    return examples[request.param]
