{{/* Names of the applications, in JSON. Arguments: root, layer (optional: only the applications of this layer). */}}
{{- define "tweets.applicationNames" -}}
{{- $names := list }}
{{- range include "tweets.applications" .root | fromYamlArray }}
{{- if eq ($.layer | default .layer) .layer }}
{{- $names = append $names .name }}
{{- end }}
{{- end }}
{{- toJson $names }}
{{- end }}

{{/*
Selector of pods by name. Arguments: pods (list of names), sparkRole (optional: driver or executor). Drivers that started
before an upgrade have the labels of the older chart, so only the name is compared.
*/}}
{{- define "tweets.podsNamed" -}}
matchExpressions:
  - {key: app.kubernetes.io/name, operator: In, values: {{ toJson .pods }}}
  {{- with .sparkRole }}
  - {key: spark-role, operator: In, values: [{{ . }}]}
  {{- end }}
{{- end }}

{{/* Name of a NetworkPolicy. Arguments: root, namespace, suffix. */}}
{{- define "tweets.networkPolicyName" -}}
{{- if eq .namespace .root.Release.Namespace }}{{ .suffix }}{{ else }}{{ include "tweets.qualifiedName" . }}{{ end }}
{{- end }}

{{/*
NetworkPolicy that lets pods connect to a destination. Arguments: root, namespace, suffix, rules (list of maps with to and
ports), and pods and sparkRole as in tweets.podsNamed. Kubernetes reads an empty `to` as "everything": a rule without
peers is left out, and nothing is allowed.
*/}}
{{- define "tweets.egressPolicy" -}}
{{- $rules := list }}
{{- range .rules }}
{{- if .to }}
{{- $ports := list }}
{{- range .ports }}
{{- $ports = append $ports (dict "port" (int .)) }}
{{- end }}
{{- $rules = append $rules (dict "to" .to "ports" $ports) }}
{{- end }}
{{- end }}
{{- if and .pods $rules }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "tweets.networkPolicyName" . }}
  namespace: {{ .namespace }}
  labels: {{- include "tweets.labels" (dict "root" .root "name" "network") | nindent 4 }}
spec:
  podSelector: {{- include "tweets.podsNamed" . | nindent 4 }}
  policyTypes: [Egress]
  egress: {{- toYaml $rules | nindent 4 }}
{{- end }}
{{- end }}

{{/* Port of a URL. */}}
{{- define "tweets.urlPort" -}}
{{- $url := urlParse . }}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (ternary "80" "443" (eq $url.scheme "http")) }}
{{- end }}

{{/* Rules of pods that use S3, as a list in JSON. */}}
{{- define "tweets.s3Rules" -}}
{{- $s3 := .Values.storage.s3 }}
{{- $ports := .Values.network.s3.ports }}
{{- if not $ports }}
{{- $ports = list (include "tweets.urlPort" ($s3.endpoint | default "https://s3")) }}
{{- if not $s3.existingSecret }}
{{- /* STS, which exchanges the token of the service account (IRSA). */}}
{{- $ports = append $ports "443" | uniq }}
{{- end }}
{{- end }}
{{- $rules := list (dict "to" .Values.network.s3.to "ports" $ports) }}
{{- if not $s3.existingSecret }}
{{- /* The agent of EKS Pod Identity on the node. */}}
{{- $agent := list (dict "ipBlock" (dict "cidr" "169.254.170.23/32")) (dict "ipBlock" (dict "cidr" "fd00:ec2::23/128")) }}
{{- $rules = append $rules (dict "to" $agent "ports" (list 80)) }}
{{- end }}
{{- toJson $rules }}
{{- end }}

{{/* Rules of pods that use MLflow, as a list in JSON. */}}
{{- define "tweets.mlflowRules" -}}
{{- $rules := list }}
{{- if .Values.mlflow.enabled }}
{{- $rules = append $rules (dict "to" (list (include "tweets.platformPods" (dict "root" . "pods" (list "mlflow")) | fromYaml)) "ports" (list 5000)) }}
{{- else if .Values.mlflow.uri }}
{{- $ports := .Values.network.mlflow.ports | default (list (include "tweets.urlPort" .Values.mlflow.uri)) }}
{{- $rules = append $rules (dict "to" .Values.network.mlflow.to "ports" $ports) }}
{{- end }}
{{- toJson $rules }}
{{- end }}

{{/* Peers: pods of the namespace of the release, or of the streams. Arguments: as tweets.podsNamed, and root. */}}
{{- define "tweets.platformPods" -}}
namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .root.Release.Namespace }}}}
podSelector: {{- include "tweets.podsNamed" . | nindent 2 }}
{{- end }}
{{- define "tweets.streamsPods" -}}
namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ include "tweets.streamsNamespace" .root }}}}
podSelector: {{- include "tweets.podsNamed" . | nindent 2 }}
{{- end }}
