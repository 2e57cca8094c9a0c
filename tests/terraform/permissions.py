"""Evaluate what each role may do under the IAM, bucket and key policies of an applied example."""

from collections.abc import Mapping
from typing import Any

from tests.terraform.conftest import Applied
from tests.terraform.iam_policy import Request, decide, statements

ROLES = {"bronze", "silver", "gold", "dashboard", "airflow", "mlflow", "model-jobs", "quality"}


class Permissions:
    """What each role may do under the policies of one applied example."""

    def __init__(self, example: Applied) -> None:
        self._prefix = f"{example.outputs['cluster_name']['value']}-"
        self._arns = {role.values["id"]: role.values["arn"] for role in example.of("aws_iam_role")}
        self._role_policies = {
            policy.values["role"]: policy.values["policy"] for policy in example.of("aws_iam_role_policy")
        }
        self._buckets = {
            name: next(
                bucket.values["policy"]
                for bucket in example.of("aws_s3_bucket_policy")
                if f"-{name}-" in bucket.values["bucket"]
            )
            for name in ("landing", "lake")
        }
        self._bucket_names = {
            name: next(b.values["bucket"] for b in example.of("aws_s3_bucket") if f"-{name}-" in b.values["bucket"])
            for name in ("landing", "lake")
        }
        self._keys = {
            name: next(k.values for k in example.of("aws_kms_key") if f'this["{name}"]' in k.address)
            for name in ("landing", "lake")
        }
        self.trust = {role.values["id"]: role.values["assume_role_policy"] for role in example.of("aws_iam_role")}
        self.roles = [role for role in [*sorted(ROLES), "demo"] if self._prefix + role in self._arns]

    def bucket(self, name: str) -> str:
        """Return the name of the bucket that holds `landing` or `lake`."""
        return str(self._bucket_names[name])

    def statements(self, role: str) -> list[dict[str, Any]]:
        """Return the statements of the role's policy, or an empty list if it has none."""
        policy = self._role_policies.get(self._prefix + role)
        return statements(policy) if policy else []

    def decide(self, role: str, action: str, resource: str, context: Mapping[str, str]) -> bool | None:
        """Evaluate the role's policy alone; a role without permissions has none."""
        name = self._prefix + role
        policies = [self._role_policies[name]] if name in self._role_policies else []
        return decide(policies, Request(self._arns[name], action, resource, context))

    def may(self, role: str, action: str, bucket: str, key: str = "", prefix: str | None = None) -> bool:
        """Return whether a role may perform an S3 action: the role must allow it, and the bucket must not deny it."""
        resource = f"arn:aws:s3:::{self._bucket_names[bucket]}" + (f"/{key}" if key else "")
        context = {"aws:SecureTransport": "true"} | ({} if prefix is None else {"s3:prefix": prefix})
        by_bucket = decide([self._buckets[bucket]], Request(self._arns[self._prefix + role], action, resource, context))
        return self.decide(role, action, resource, context) is True and by_bucket is not False

    def may_use_key(self, role: str, action: str, bucket: str, via: str = "s3.eu-central-1.amazonaws.com") -> bool:
        """Return whether a role may perform a KMS action on the bucket's key: role and key must both allow it."""
        key, context = self._keys[bucket], {"kms:ViaService": via}
        by_key = decide([key["policy"]], Request(self._arns[self._prefix + role], action, key["arn"], context))
        return self.decide(role, action, key["arn"], context) is True and by_key is True

    def reads(self, role: str, bucket: str, key: str) -> bool:
        return self.may(role, "s3:GetObject", bucket, key) and self.may_use_key(role, "kms:Decrypt", bucket)

    def writes(self, role: str, bucket: str, key: str) -> bool:
        return self.may(role, "s3:PutObject", bucket, key) and self.may_use_key(role, "kms:GenerateDataKey", bucket)

    def deletes(self, role: str, bucket: str, key: str) -> bool:
        return self.may(role, "s3:DeleteObject", bucket, key)

    def lists(self, role: str, bucket: str, prefix: str) -> bool:
        return self.may(role, "s3:ListBucket", bucket, prefix=prefix)
