#!/usr/bin/env bash
# Format, validity, and Terraform's own tests of every module and example, with a mocked provider: no account is needed.
# TF_PLUGIN_DIR: folder in which the provider lies, on a machine that reaches no registry.
set -euo pipefail
cd "$(dirname "$0")"
export TF_IN_AUTOMATION=1 CHECKPOINT_DISABLE=1
color=
[ -t 1 ] || color=-no-color
export color

check() {
  echo "== $1"
  terraform -chdir="$1" init -backend=false -input=false ${TF_PLUGIN_DIR:+-plugin-dir="$TF_PLUGIN_DIR"} >/dev/null || {
    echo "error: the AWS provider cannot be had: connect to registry.terraform.io, or name a folder that holds it in TF_PLUGIN_DIR"
    return 2
  }
  terraform -chdir="$1" validate $color && terraform -chdir="$1" test $color || return
  if command -v tflint >/dev/null; then tflint --chdir="$1" --config="$PWD/.tflint.hcl"; fi
}
export -f check

terraform fmt -check -recursive -diff
# Two at a time, each in one piece: an example reads the modules, and nothing writes outside its own folder.
printf '%s\n' modules/* examples/* |
  xargs -P 2 -I {} bash -c 'said=$(check {} 2>&1); failed=$?; echo "$said"; exit $failed'
