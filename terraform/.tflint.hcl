# All of its rules for Terraform itself; those for AWS are a plugin to be fetched, which no test here may need.
plugin "terraform" {
  enabled = true
  preset  = "all"
}
