#!/usr/bin/env bash
# Remove from the cluster what AWS made for it, so that a destroy is not stopped by it: load balancers of Ingresses and
# Services hold the subnets, disks of volumes stay and are paid for.
# Usage: terraform/scripts/down.sh terraform/examples/minimal, then terraform destroy
set -euo pipefail
example=${1:?name the folder of an applied example}

output() { terraform -chdir="$example" output -json | python3 -c 'import json, sys; v = json.load(sys.stdin)
for key in sys.argv[1].split("."): v = v[key]
print(v)' "$1"; }
cluster=$(output cluster_name.value)
region=$(output region.value)
streams=$(output namespaces.value.streams)
platform=$(output namespaces.value.platform)

aws eks update-kubeconfig --name "$cluster" --region "$region"
# The chart first: its Airflow would apply the streams again.
helm uninstall tweet-sentiment --namespace "$platform" --ignore-not-found --wait
# Without the operator there is no such kind.
if kubectl get crd sparkapplications.sparkoperator.k8s.io >/dev/null 2>&1; then
  kubectl delete sparkapplications --all --namespace "$streams" --wait
fi
helm uninstall prometheus --namespace monitoring --ignore-not-found --wait
kubectl delete ingress --all --all-namespaces --wait
kubectl get services --all-namespaces -o json | python3 -c 'import json, sys
for s in json.load(sys.stdin)["items"]:
    if s["spec"].get("type") == "LoadBalancer": print(s["metadata"]["namespace"], s["metadata"]["name"])' |
  while read -r namespace name; do kubectl delete service "$name" --namespace "$namespace" --wait </dev/null; done
# The chart keeps its volumes on purpose, and a disk is gone only some time after its claim: without the cluster nobody
# would delete it.
for namespace in "$platform" "$streams" monitoring; do
  kubectl delete persistentvolumeclaims --all --namespace "$namespace" --wait
done
for ((tries = 60; tries > 0; tries--)); do
  [ -n "$(kubectl get persistentvolumes -o name)" ] || break
  sleep 5
done
((tries)) || { echo "error: disks are left: see kubectl get persistentvolumes" >&2; exit 1; }
echo "now: terraform -chdir=$example destroy"
