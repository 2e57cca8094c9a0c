# All rules of the bundled Terraform ruleset. The AWS ruleset is a plugin that tflint downloads, and the tests must run
# offline.
plugin "terraform" {
  enabled = true
  preset  = "all"
}
