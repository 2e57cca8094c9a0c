#!/usr/bin/env bash
# What the cluster needs besides the chart: namespaces, a class of encrypted disks, the Spark operator, the cluster
# autoscaler; on request an ingress controller (load balancers of AWS) and Prometheus with Grafana.
# Usage: terraform/scripts/cluster.sh terraform/examples/production [ingress] [prometheus]
set -euo pipefail
example=${1:?name the folder of an applied example}
for part in "${@:2}"; do
  [[ $part =~ ^(ingress|prometheus)$ ]] || { echo "error: $part is neither ingress nor prometheus" >&2; exit 2; }
done

# Pinned in November 2026: raise them one at a time, and read their release notes first. The autoscaler's chart follows
# the minor version of Kubernetes: this one brings 1.35.
spark_operator=2.5.2
autoscaler=9.59.0
load_balancers=3.5.0
prometheus=88.5.3

output() { terraform -chdir="$example" output -json | python3 -c 'import json, sys; v = json.load(sys.stdin)
for key in sys.argv[1].split("."): v = v[key]
print(v)' "$1"; }
cluster=$(output cluster_name.value)
region=$(output region.value)
vpc=$(output vpc_id.value)
streams=$(output namespaces.value.streams)
platform=$(output namespaces.value.platform)

aws eks update-kubeconfig --name "$cluster" --region "$region"
for namespace in "$platform" "$streams"; do
  kubectl create namespace "$namespace" --dry-run=client -o yaml | kubectl apply -f -
  kubectl label --overwrite namespace "$namespace" pod-security.kubernetes.io/enforce=restricted
done

# EKS has no default class, and that of its add-on does not encrypt.
kubectl apply -f - <<YAML
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: encrypted
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: ebs.csi.aws.com
parameters:
  type: gp3
  encrypted: "true"
  tagSpecification_1: project=tweet-sentiment
  tagSpecification_2: environment=$cluster
volumeBindingMode: WaitForFirstConsumer
allowVolumeExpansion: true
YAML

# The operator watches only namespaces that are there when it is installed.
helm upgrade --install spark-operator spark-operator --repo https://kubeflow.github.io/spark-operator \
  --version "$spark_operator" --namespace spark-operator --create-namespace \
  --set "spark.jobNamespaces={$streams}" --set webhook.enable=true --wait

# The service accounts of autoscaler and load balancer controller have the roles that Terraform made for them.
helm upgrade --install cluster-autoscaler cluster-autoscaler --repo https://kubernetes.github.io/autoscaler \
  --version "$autoscaler" --namespace kube-system \
  --set "autoDiscovery.clusterName=$cluster" --set "awsRegion=$region" \
  --set rbac.serviceAccount.name=cluster-autoscaler --set fullnameOverride=cluster-autoscaler \
  --set nodeSelector.tweet-sentiment/nodes=system --wait

# Region and VPC are named, since no pod reaches the metadata of its node; what is turned off, its role may not do.
[[ " ${*:2} " != *" ingress "* ]] ||
  helm upgrade --install aws-load-balancer-controller aws-load-balancer-controller \
    --repo https://aws.github.io/eks-charts --version "$load_balancers" --namespace kube-system \
    --set "clusterName=$cluster" --set "region=$region" --set "vpcId=$vpc" \
    --set serviceAccount.name=aws-load-balancer-controller --set enableServiceMutatorWebhook=false \
    --set enableShield=false --set enableWaf=false --set enableWafv2=false \
    --set defaultTags.project=tweet-sentiment --set "defaultTags.environment=$cluster" \
    --set nodeSelector.tweet-sentiment/nodes=system --wait

# It looks at monitors and rules of all namespaces, not only at those of its own release; of the control plane EKS shows
# it neither scheduler nor etcd.
[[ " ${*:2} " != *" prometheus "* ]] ||
  helm upgrade --install prometheus kube-prometheus-stack --repo https://prometheus-community.github.io/helm-charts \
    --version "$prometheus" --namespace monitoring --create-namespace \
    --set prometheus.prometheusSpec.podMonitorSelectorNilUsesHelmValues=false \
    --set prometheus.prometheusSpec.ruleSelectorNilUsesHelmValues=false \
    --set prometheus.prometheusSpec.storageSpec.volumeClaimTemplate.spec.resources.requests.storage=20Gi \
    --set kubeControllerManager.enabled=false --set kubeScheduler.enabled=false --set kubeEtcd.enabled=false --wait
