{{- define "tweets.namespace" -}}
{{ .Values.streams.namespace | default (printf "%s-streams" .Release.Namespace) }}
{{- end }}

{{- define "tweets.image" -}}
{{ printf "%s/tweet-sentiment-%s:%s" .root.Values.image.registry .name (.root.Values.image.tag | default .root.Chart.AppVersion) }}
{{- end }}

{{- define "tweets.labels" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/part-of: tweet-sentiment
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{- define "tweets.selector" -}}
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

{{- define "tweets.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "tweets.registry" -}}
{{- if .Values.mlflow.enabled -}}
http://mlflow.{{ .Release.Namespace }}:5000
{{- else -}}
{{ .Values.mlflow.uri }}
{{- end }}
{{- end }}

{{- define "tweets.databaseSecret" -}}
{{ .Values.postgres.existingSecret | default "postgres" }}
{{- end }}

{{- define "tweets.airflowSecret" -}}
{{ .Values.airflow.existingSecret | default "airflow" }}
{{- end }}

{{/* Namespace and name of the service account under which the DAGs run; the name is empty where there are none. */}}
{{- define "tweets.dagsNamespace" -}}
{{ if .Values.airflow.enabled }}{{ .Release.Namespace }}{{ else }}{{ .Values.airflow.serviceAccount.namespace | default .Release.Namespace }}{{ end }}
{{- end }}

{{- define "tweets.dagsAccount" -}}
{{ if .Values.airflow.enabled }}airflow{{ else }}{{ .Values.airflow.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "tweets.claim" -}}
{{ .Values.storage.volume.existingClaim | default "lake" }}
{{- end }}

{{- define "tweets.s3Env" -}}
{{- if eq .Values.storage.type "s3" }}
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
{{- end }}

{{- define "tweets.env" -}}
- {name: TWEETS_LANDING, value: {{ .Values.landing | quote }}}
- {name: TWEETS_LAKE, value: {{ .Values.lake | quote }}}
{{- with include "tweets.registry" . }}
- {name: TWEETS_REGISTRY, value: {{ . | quote }}}
{{- end }}
{{- include "tweets.s3Env" . }}
{{- end }}

{{- define "tweets.driverEnv" -}}
{{ include "tweets.env" . }}
- {name: TWEETS_TRIGGER, value: {{ .Values.streams.trigger | quote }}}
- {name: TWEETS_MONITOR_PORT, value: "8090"}
- {name: TWEETS_STUCK_SECONDS, value: {{ .Values.streams.stuckSeconds | quote }}}
{{- end }}

{{/* What a pod may not reach, for a policy whose variables are the pod and the names of the Secrets that it may read. */}}
{{- define "tweets.noSecrets" -}}
- expression: >-
    variables.pod.spec.?volumes.orValue([]).all(volume, !has(volume.secret) && !has(volume.hostPath) && !has(volume.csi)
    && (!has(volume.projected) || volume.projected.sources.all(source, !has(source.secret))))
  message: {{ .who }} may not mount Secrets or folders of the node
- expression: >-
    (variables.pod.spec.containers + variables.pod.spec.?initContainers.orValue([])).all(container,
    container.?envFrom.orValue([]).all(source, !has(source.secretRef))
    && container.?env.orValue([]).all(env, !has(env.valueFrom) || !has(env.valueFrom.secretKeyRef)
    || env.valueFrom.secretKeyRef.name in variables.secrets))
  message: {{ .who }} may not read Secrets but that of the storage
{{- end }}
