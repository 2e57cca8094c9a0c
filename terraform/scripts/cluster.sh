#!/usr/bin/env bash
# Install the cluster components that the chart needs: namespaces, an encrypted storage class, the Spark operator and
# the cluster autoscaler. Optional: the AWS Load Balancer Controller (ingress), and Prometheus with Grafana (prometheus).
# Usage: terraform/scripts/cluster.sh terraform/examples/production [ingress] [prometheus]
set -euo pipefail
example=${1:?pass the folder of an applied example, such as terraform/examples/minimal}
for part in "${@:2}"; do
  [[ $part =~ ^(ingress|prometheus)$ ]] || {
    echo "error: unknown component $part: use ingress or prometheus" >&2
    exit 2
  }
done

# Chart versions, as in the table of versions in terraform/README.md: read the release notes and upgrade one at a time. The
# chart of the cluster autoscaler must match the minor version of Kubernetes: this version is for 1.35.
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

# EKS has no default storage class, and the class of the EBS CSI add-on does not encrypt.
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

# The Spark operator watches only namespaces that exist when it is installed.
helm upgrade --install spark-operator spark-operator --repo https://kubeflow.github.io/spark-operator \
  --version "$spark_operator" --namespace spark-operator --create-namespace \
  --set "spark.jobNamespaces={$streams}" --set webhook.enable=true --wait

# The module cluster has associated IAM roles with the service accounts cluster-autoscaler and
# aws-load-balancer-controller: keep these names.
helm upgrade --install cluster-autoscaler cluster-autoscaler --repo https://kubernetes.github.io/autoscaler \
  --version "$autoscaler" --namespace kube-system \
  --set "autoDiscovery.clusterName=$cluster" --set "awsRegion=$region" \
  --set rbac.serviceAccount.name=cluster-autoscaler --set fullnameOverride=cluster-autoscaler \
  --set nodeSelector.tweet-sentiment/nodes=system --wait

# Region and VPC are passed explicitly because pods cannot reach the instance metadata. The role of the controller does
# not permit the features that are turned off.
[[ " ${*:2} " != *" ingress "* ]] ||
  helm upgrade --install aws-load-balancer-controller aws-load-balancer-controller \
    --repo https://aws.github.io/eks-charts --version "$load_balancers" --namespace kube-system \
    --set "clusterName=$cluster" --set "region=$region" --set "vpcId=$vpc" \
    --set serviceAccount.name=aws-load-balancer-controller --set enableServiceMutatorWebhook=false \
    --set enableShield=false --set enableWaf=false --set enableWafv2=false \
    --set defaultTags.project=tweet-sentiment --set "defaultTags.environment=$cluster" \
    --set nodeSelector.tweet-sentiment/nodes=system --wait

# Prometheus reads monitors and rules of all namespaces, not only of its own release. EKS does not expose the metrics of
# the controller manager, the scheduler and etcd.
[[ " ${*:2} " != *" prometheus "* ]] ||
  helm upgrade --install prometheus kube-prometheus-stack --repo https://prometheus-community.github.io/helm-charts \
    --version "$prometheus" --namespace monitoring --create-namespace \
    --set prometheus.prometheusSpec.podMonitorSelectorNilUsesHelmValues=false \
    --set prometheus.prometheusSpec.ruleSelectorNilUsesHelmValues=false \
    --set prometheus.prometheusSpec.storageSpec.volumeClaimTemplate.spec.resources.requests.storage=20Gi \
    --set kubeControllerManager.enabled=false --set kubeScheduler.enabled=false --set kubeEtcd.enabled=false --wait
