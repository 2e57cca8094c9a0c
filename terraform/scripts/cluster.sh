#!/usr/bin/env bash
# What the cluster needs besides the chart: the streams' namespace, the Spark operator, the cluster autoscaler.
# Usage: terraform/scripts/cluster.sh terraform/examples/production
set -euo pipefail
example=${1:?name the folder of an applied example}

# Pinned: raise them one at a time, and read their release notes first.
spark_operator=2.5.2
autoscaler=9.52.1

output() { terraform -chdir="$example" output -json | python3 -c 'import json, sys; v = json.load(sys.stdin)
for key in sys.argv[1].split("."): v = v[key]
print(v)' "$1"; }
cluster=$(output cluster_name.value)
region=$(output region.value)
streams=$(output namespaces.value.streams)
platform=$(output namespaces.value.platform)

aws eks update-kubeconfig --name "$cluster" --region "$region"
for namespace in "$platform" "$streams"; do
  kubectl create namespace "$namespace" --dry-run=client -o yaml | kubectl apply -f -
done

# The operator watches only namespaces that are there when it is installed.
helm upgrade --install spark-operator spark-operator --repo https://kubeflow.github.io/spark-operator \
  --version "$spark_operator" --namespace spark-operator --create-namespace \
  --set "spark.jobNamespaces={$streams}" --set webhook.enable=true --wait

# Its service account has the role that Terraform made for it.
helm upgrade --install cluster-autoscaler cluster-autoscaler --repo https://kubernetes.github.io/autoscaler \
  --version "$autoscaler" --namespace kube-system \
  --set "autoDiscovery.clusterName=$cluster" --set "awsRegion=$region" \
  --set rbac.serviceAccount.name=cluster-autoscaler --set fullnameOverride=cluster-autoscaler \
  --set nodeSelector.tweet-sentiment/nodes=system --wait
