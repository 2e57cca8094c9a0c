{{/* Name of the chart, or nameOverride: the value of the label app.kubernetes.io/part-of. */}}
{{- define "tweets.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Name of the release; the name of the chart is appended unless the name of the release contains it. */}}
{{- define "tweets.fullname" -}}
{{- $name := include "tweets.name" . }}
{{- $default := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- .Values.fullnameOverride | default $default | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/*
Name of an object outside the namespace of the release (cluster-scoped, or in the streams namespace). Arguments: root,
suffix. Two releases in two namespaces must not collide. A namespace cannot contain a dot, so "namespace.fullname" is
unique.

The following objects do not use it. They keep short, fixed names, because a new name would orphan data or break a
reference:
- Services and PersistentVolumeClaims are addresses and data; StatefulSets own claims such as data-postgres-0.
- Secrets hold passwords that open existing volumes.
- Service accounts are named in IAM trust policies (Terraform) and in the admission policies.
- The ConfigMaps stream-applications and job-pods are read by the DAGs.
- Operators type the names of Deployments, CronJobs and the smoke test.
All of them are namespaced, and checks.yaml refuses a second release in the same namespace.
*/}}
{{- define "tweets.qualifiedName" -}}
{{ .root.Release.Namespace }}.{{ include "tweets.fullname" .root }}-{{ .suffix }}
{{- end }}

{{/* Namespace of drivers, executors, dashboard and demo. */}}
{{- define "tweets.streamsNamespace" -}}
{{ .Values.streams.namespace | default (printf "%s-streams" .Release.Namespace) }}
{{- end }}

{{/* Image of the project. Arguments: root, name. With a digest, the tag is only a note for readers. */}}
{{- define "tweets.image" -}}
{{ printf "%s/tweet-sentiment-%s:%s" .root.Values.image.registry .name (.root.Values.image.tag | default .root.Chart.AppVersion) }}
{{- with index .root.Values.image.digests .name }}@{{ . }}{{ end }}
{{- end }}

{{/* Value of app.kubernetes.io/component: the role of the object `name` in the product. */}}
{{- define "tweets.component" -}}
{{- $components := dict
  "streams" "stream"
  "lake" "storage"
  "airflow" "orchestrator" "airflow-clean" "orchestrator" "jobs" "orchestrator"
  "model-jobs" "model-release"
  "quality" "data-quality"
  "mlflow" "model-registry"
  "postgres" "database"
  "dashboard" "dashboard"
  "demo" "tweet-generator"
  "monitoring" "monitoring"
  "network" "network"
  "smoke-test" "smoke-test"
  "backup" "backup" "restore-drill" "backup"
}}
{{- range include "tweets.applications" . | fromYamlArray }}
{{- $_ := set $components .name "stream" }}
{{- end }}
{{- get $components .name | required (printf "tweets.component in _helpers.tpl has no entry for %s" .name) }}
{{- end }}

{{/* Labels of every object and pod of the chart. Arguments: root, name. */}}
{{- define "tweets.labels" -}}
{{ include "tweets.podLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/*
Labels of drivers and executors. Arguments: root, name. They include no version: the labels are part of a stream's
SparkApplication, and a new version of the chart alone must not restart the stream.
*/}}
{{- define "tweets.podLabels" -}}
{{ include "tweets.selectorLabels" . }}
app.kubernetes.io/part-of: {{ include "tweets.name" .root }}
{{- end }}

{{/* Selector of Services and NetworkPolicies. Arguments: root, name. */}}
{{- define "tweets.selectorLabels" -}}
{{ include "tweets.workloadSelector" . }}
app.kubernetes.io/component: {{ include "tweets.component" . }}
{{- end }}

{{/*
Selector of Deployments and StatefulSets. Arguments: root, name. A selector is immutable: if this one included the
component, `helm upgrade` of an existing release would fail. The names are unique, so two labels suffice.
*/}}
{{- define "tweets.workloadSelector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "tweets.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .id }}
runAsGroup: {{ .id }}
fsGroup: {{ .id }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "tweets.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Thresholds of a startup probe that fails for the last time after startupSeconds. */}}
{{- define "tweets.startupThresholds" -}}
periodSeconds: 5
timeoutSeconds: 10
failureThreshold: {{ divf .Values.startupSeconds 5 | ceil }}
{{- end }}

{{/*
podManagementPolicy of a StatefulSet. Arguments: root, name. With the default, OrderedReady, a pod that never becomes
ready stays as it is after `helm rollback`. The policy is immutable: existing StatefulSets keep theirs.
*/}}
{{- define "tweets.podManagementPolicy" -}}
{{ lookup "apps/v1" "StatefulSet" .root.Release.Namespace .name | default dict | dig "spec" "podManagementPolicy" "Parallel" }}
{{- end }}

{{/* PriorityClass of the servers of the release. */}}
{{- define "tweets.priorityClass" -}}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "tweets.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* URI of the MLflow registry; empty without a registry. */}}
{{- define "tweets.registryUri" -}}
{{- if .Values.mlflow.enabled -}}
http://mlflow.{{ .Release.Namespace }}:5000
{{- else -}}
{{ .Values.mlflow.uri }}
{{- end }}
{{- end }}

{{/* The Secret with the passwords of the registry's users, in both namespaces; empty for a registry without a login. */}}
{{- define "tweets.mlflowSecret" -}}
{{ .Values.mlflow.existingSecret | default (ternary "mlflow" "" .Values.mlflow.enabled) }}
{{- end }}

{{/* Keys of this Secret with the login of a user, as a list in YAML. Arguments: root, user. */}}
{{- define "tweets.registryKeys" -}}
{{- if not .root.Values.mlflow.enabled }}
- {{ .user }}-username
{{- end }}
- {{ .user }}-password
{{- end }}

{{/* The registry, and the login of a user (if it has one). Arguments: root, user (reader, quality, writer, or empty). */}}
{{- define "tweets.registryEnv" -}}
{{- with include "tweets.registryUri" .root }}
- {name: TWEETS_REGISTRY, value: {{ . | quote }}}
{{- with and $.user (include "tweets.mlflowSecret" $.root) }}
{{- include "tweets.registryLogin" (dict "root" $.root "user" $.user) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Login of a user. Arguments: root, user. */}}
{{- define "tweets.registryLogin" -}}
{{- if .root.Values.mlflow.enabled }}
- {name: MLFLOW_TRACKING_USERNAME, value: {{ .user }}}
{{- end }}
{{- range include "tweets.registryKeys" . | fromYamlArray }}
- name: MLFLOW_TRACKING_{{ splitList "-" . | last | upper }}
  valueFrom: {secretKeyRef: {name: {{ include "tweets.mlflowSecret" $.root }}, key: {{ . }}}}
{{- end }}
{{- end }}

{{/*
The keys of Secrets that a pod may read as environment variables, as a list in CEL of "Secret/key". Arguments: root, storage
(whether the pod reads the storage Secret), user (of the registry).
*/}}
{{- define "tweets.readableKeys" -}}
{{- $keys := list "" }}
{{- with and .storage (eq .root.Values.storage.type "s3") .root.Values.storage.s3.existingSecret }}
{{- $keys = list (printf "%s/AWS_ACCESS_KEY_ID" .) (printf "%s/AWS_SECRET_ACCESS_KEY" .) }}
{{- end }}
{{- if include "tweets.registryUri" .root }}
{{- with include "tweets.mlflowSecret" .root }}
{{- range include "tweets.registryKeys" $ | fromYamlArray }}
{{- $keys = append $keys (printf "%s/%s" (include "tweets.mlflowSecret" $.root) .) }}
{{- end }}
{{- end }}
{{- end }}
{{- join "', '" $keys | printf "['%s']" }}
{{- end }}

{{- define "tweets.databaseSecret" -}}
{{ .Values.postgres.existingSecret | default "postgres" }}
{{- end }}

{{/* Annotation of a pod that reads the URI of its database only at startup: another user restarts it. Arguments: root, user. */}}
{{- define "tweets.databaseUser" -}}
tweet-sentiment/database-user: {{ ternary "see-secret" .user (not (empty .root.Values.postgres.existingSecret)) | quote }}
{{- end }}

{{/* Keys of the Secrets that the chart generates, for messages. */}}
{{- define "tweets.airflowSecretKeys" -}}
admin-password, fernet-key, jwt-secret and api-secret-key
{{- end }}
{{- define "tweets.postgresSecretKeys" -}}
password, airflow-password, mlflow-password, airflow-uri and mlflow-uri
{{- end }}

{{- define "tweets.mlflowSecretKeys" -}}
admin-password, writer-password, quality-password, reader-password and flask-secret-key (in the namespace of the streams quality-password and reader-password only)
{{- end }}

{{- define "tweets.airflowSecret" -}}
{{ .Values.airflow.existingSecret | default "airflow" }}
{{- end }}

{{/* Namespace of the service account of the DAGs' tasks. */}}
{{- define "tweets.dagsNamespace" -}}
{{ if .Values.airflow.enabled }}{{ .Release.Namespace }}{{ else }}{{ .Values.airflow.serviceAccount.namespace | default .Release.Namespace }}{{ end }}
{{- end }}

{{/* Name of the service account of the DAGs' tasks; empty without Airflow. */}}
{{- define "tweets.dagsAccount" -}}
{{ if .Values.airflow.enabled }}airflow{{ else }}{{ .Values.airflow.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "tweets.lakeClaim" -}}
{{ .Values.storage.volume.existingClaim | default "lake" }}
{{- end }}

{{- define "tweets.s3Env" -}}
{{- if eq .Values.storage.type "s3" }}
{{- include "tweets.s3Access" . }}
{{- end }}
{{- end }}

{{- define "tweets.s3Access" -}}
{{- with .Values.storage.s3.region }}
- {name: AWS_REGION, value: {{ . | quote }}}
{{- end }}
{{- with .Values.storage.s3.endpoint }}
- {name: AWS_ENDPOINT_URL, value: {{ . | quote }}}
{{- end }}
{{- with .Values.storage.s3.existingSecret }}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ . }}
  valueFrom: {secretKeyRef: {name: {{ $.Values.storage.s3.existingSecret }}, key: {{ . }}}}
{{- end }}
{{- end }}
{{- end }}

{{/*
Environment of every process that reads the lake and may write to the landing zone. Arguments: root, user (of the registry;
empty without a login).
*/}}
{{- define "tweets.env" -}}
- {name: TWEETS_LANDING, value: {{ .root.Values.landing | quote }}}
- {name: TWEETS_LAKE, value: {{ .root.Values.lake | quote }}}
{{- include "tweets.registryEnv" . }}
{{- include "tweets.s3Env" .root }}
{{- end }}

{{/* Arguments: root, layer. */}}
{{- define "tweets.driverEnv" -}}
{{ include "tweets.env" (dict "root" .root "user" (ternary "reader" "" (eq .layer "gold"))) }}
- {name: TWEETS_TRIGGER, value: {{ .root.Values.streams.trigger | quote }}}
- {name: TWEETS_RETENTION_HOURS, value: {{ .root.Values.streams.retentionHours | quote }}}
- {name: TWEETS_MONITOR_PORT, value: "8090"}
- {name: TWEETS_STARTUP_SECONDS, value: {{ .root.Values.startupSeconds | quote }}}
# A file instead of a value: a change of the limit must not restart the streams.
- {name: TWEETS_STUCK_SECONDS_FILE, value: /etc/stream-limits/stuckSeconds}
- {name: TWEETS_STREAM_STATUS, value: /etc/stream-status}
{{- end }}

{{/* What the dashboard shows about the streams: the reports of Airflow, and links to the runbook. */}}
{{- define "tweets.statusEnv" -}}
- {name: TWEETS_STREAM_STATUS, value: /etc/stream-status}
{{- with .Values.monitoring.alerts.runbook }}
- {name: TWEETS_RUNBOOK, value: {{ . | quote }}}
{{- end }}
{{- end }}

{{/*
Validations of an admission policy that deny a pod access to Secrets and to the host. Argument: subject (of messages).
The policy must define the variables `pod` and `secrets` (tweets.readableKeys).
*/}}
{{- define "tweets.secretRules" -}}
- expression: >-
    variables.pod.spec.?volumes.orValue([]).all(volume, !has(volume.secret) && !has(volume.hostPath) && !has(volume.csi)
    && (!has(volume.projected) || volume.projected.sources.all(source, !has(source.secret))))
  message: {{ .subject }} may not mount Secrets, host paths or CSI volumes
- expression: >-
    (variables.pod.spec.containers + variables.pod.spec.?initContainers.orValue([])).all(container,
    container.?envFrom.orValue([]).all(source, !has(source.secretRef))
    && container.?env.orValue([]).all(env, !has(env.valueFrom) || !has(env.valueFrom.secretKeyRef)
    || env.valueFrom.secretKeyRef.name + '/' + env.valueFrom.secretKeyRef.key in variables.secrets))
  message: {{ .subject }} may not read Secrets other than the storage Secret and its own login to MLflow
{{- end }}

{{/*
A value as a literal of CEL. Kubernetes allows lists and maps of one type only, so each value in them has the type dyn.
*/}}
{{- define "tweets.celLiteral" -}}
{{- if kindIs "map" . -}}
dyn({
{{- $map := . }}
{{- range $index, $key := keys . | sortAlpha }}
{{- if $index }}, {{ end }}{{ toJson $key }}: {{ include "tweets.celLiteral" (get $map $key) }}
{{- end -}}
})
{{- else if kindIs "slice" . -}}
dyn([
{{- range $index, $item := . }}
{{- if $index }}, {{ end }}{{ include "tweets.celLiteral" $item }}
{{- end -}}
])
{{- else -}}
dyn({{ toJson . }})
{{- end }}
{{- end }}
