"""Run terraform on a copy of the project's configuration."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[2] / "terraform"
# Folder with the AWS provider, for machines without access to the Terraform registry. Empty: use the registry.
PLUGINS = os.environ.get("TF_PLUGIN_DIR", "")

_PROVIDER = """
provider "aws" {{
  region                      = "eu-central-1"
  access_key                  = "id"
  secret_key                  = "secret"
  max_retries                 = 2
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  endpoints {{
{endpoints}
  }}
}}

terraform {{
  backend "local" {{}}

  # moto_gaps.py answers the requests of this version. With access to the registry, init would select version 6.
  required_providers {{
    aws = {{
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }}
  }}
}}
"""
_SERVICES = (
    "autoscaling", "budgets", "cloudwatch", "cloudwatchlogs", "ec2", "ecr", "eks", "iam", "kms", "rds", "s3",
    "secretsmanager", "sns", "sqs", "sts",
)  # fmt: skip


class TerraformError(Exception):
    """A terraform command failed. The message is its output."""


class Workdir:
    """One root module in a copy of `terraform/`, with its own state."""

    def __init__(self, root: Path, folder: str) -> None:
        self.copy = root / "terraform"
        if not self.copy.exists():
            shutil.copytree(SOURCE, self.copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "tests"))
        self.folder = self.copy / folder

    def at(self, endpoint: str) -> "Workdir":
        """Use `endpoint` instead of AWS, and keep the state in this folder."""
        endpoints = "\n".join(f'    {service} = "{endpoint}"' for service in _SERVICES)
        (self.folder / "moto_override.tf").write_text(_PROVIDER.format(endpoints=endpoints))
        return self

    def init(self, *arguments: str) -> None:
        plugins = [f"-plugin-dir={PLUGINS}"] if PLUGINS else []
        self.run("init", "-input=false", *plugins, *arguments)

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        """Run terraform.

        Args:
            arguments: Arguments of the command.
            codes: Exit codes that count as success.

        Raises:
            TerraformError: The exit code is not in `codes`.
        """
        done = subprocess.run(
            ["terraform", f"-chdir={self.folder}", *arguments],
            env={**os.environ, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in codes:
            raise TerraformError(f"terraform {' '.join(arguments)}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}")
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments).stdout)
