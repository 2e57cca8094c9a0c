#!/usr/bin/env bash
# Remove AWS resources that the cluster created, before `terraform destroy`. Terraform does not know them: load
# balancers of Ingresses and Services would block the deletion of the subnets, and disks would remain and be charged.
# Usage: terraform/scripts/down.sh terraform/examples/minimal, then terraform destroy
set -euo pipefail
example=${1:?pass the folder of an applied example, such as terraform/examples/minimal}

output() { terraform -chdir="$example" output -json | python3 -c 'import json, sys; v = json.load(sys.stdin)
for key in sys.argv[1].split("."): v = v[key]
print(v)' "$1"; }
cluster=$(output cluster_name.value)
region=$(output region.value)
streams=$(output namespaces.value.streams)
platform=$(output namespaces.value.platform)

aws eks update-kubeconfig --name "$cluster" --region "$region"
# The chart first: otherwise its Airflow would apply the streams again.
helm uninstall tweet-sentiment --namespace "$platform" --ignore-not-found --wait
# The resource type exists only with the Spark operator.
if kubectl get crd sparkapplications.sparkoperator.k8s.io >/dev/null 2>&1; then
  kubectl delete sparkapplications --all --namespace "$streams" --wait
fi
helm uninstall prometheus --namespace monitoring --ignore-not-found --wait
kubectl delete ingress --all --all-namespaces --wait
kubectl get services --all-namespaces -o json | python3 -c 'import json, sys
for s in json.load(sys.stdin)["items"]:
    if s["spec"].get("type") == "LoadBalancer": print(s["metadata"]["namespace"], s["metadata"]["name"])' |
  while read -r namespace name; do kubectl delete service "$name" --namespace "$namespace" --wait </dev/null; done
# The chart keeps its volumes on uninstall by design. A disk is deleted some time after its claim, by a controller in the
# cluster, so wait for the disks before the cluster is destroyed.
for namespace in "$platform" "$streams" monitoring; do
  kubectl delete persistentvolumeclaims --all --namespace "$namespace" --wait
done
for ((tries = 60; tries > 0; tries--)); do
  [ -n "$(kubectl get persistentvolumes -o name)" ] || break
  sleep 5
done
((tries)) || {
  echo "error: persistent volumes remain after 5 minutes: find their claims with kubectl get persistentvolumes" >&2
  exit 1
}
echo "next: terraform -chdir=$example destroy"
