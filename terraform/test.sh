#!/usr/bin/env bash
# Format, validity, and Terraform's own tests of every module and example, with a mocked provider: no account is needed.
# TF_PLUGIN_DIR: folder in which the provider lies, on a machine that reaches no registry.
set -euo pipefail
cd "$(dirname "$0")"
export TF_IN_AUTOMATION=1 CHECKPOINT_DISABLE=1
color=()
[ -t 1 ] || color=(-no-color)

terraform fmt -check -recursive -diff
for folder in modules/* examples/*; do
  echo "== $folder"
  terraform -chdir="$folder" init -backend=false -input=false ${TF_PLUGIN_DIR:+-plugin-dir="$TF_PLUGIN_DIR"} >/dev/null || {
    echo "error: the AWS provider cannot be had: connect to registry.terraform.io, or name a folder that holds it in TF_PLUGIN_DIR" >&2
    exit 2
  }
  terraform -chdir="$folder" validate "${color[@]}"
  terraform -chdir="$folder" test "${color[@]}"
  if command -v tflint >/dev/null; then tflint --chdir="$folder"; fi
done
