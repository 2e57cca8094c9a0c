#!/usr/bin/env bash
# Check the format, validate every module and example, and run their Terraform tests with a mocked provider. No AWS
# account is needed. Without access to the Terraform registry, set TF_PLUGIN_DIR to a folder with the AWS provider.
set -euo pipefail
cd "$(dirname "$0")"
export TF_IN_AUTOMATION=1 CHECKPOINT_DISABLE=1
color=
[ -t 1 ] || color=-no-color
export color

check() {
  echo "== $1"
  terraform -chdir="$1" init -backend=false -input=false ${TF_PLUGIN_DIR:+-plugin-dir="$TF_PLUGIN_DIR"} >/dev/null || {
    echo "error: cannot install the AWS provider for $1:" \
      "allow access to registry.terraform.io, or set TF_PLUGIN_DIR to a folder with the provider"
    return 2
  }
  terraform -chdir="$1" validate $color && terraform -chdir="$1" test $color || return
  if command -v tflint >/dev/null; then tflint --chdir="$1" --config="$PWD/.tflint.hcl"; fi
}
export -f check

terraform fmt -check -recursive -diff
# Two at a time, and the output of each in one block. Parallel runs are safe: examples only read the modules, and each
# run writes only to its own folder.
printf '%s\n' modules/* examples/* |
  xargs -P 2 -I {} bash -c 'output=$(check {} 2>&1); status=$?; echo "$output"; exit $status'
