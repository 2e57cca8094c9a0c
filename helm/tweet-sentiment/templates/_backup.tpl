{{/* Folder or URI of the backups. */}}
{{- define "tweets.backupPlace" -}}
{{ .Values.backup.destination | default "/backup" | trimSuffix "/" }}
{{- end }}

{{/* Names of the databases in the chart's Postgres, separated by spaces. An external server has backups of its own. */}}
{{- define "tweets.databases" -}}
{{- $names := list }}
{{- if .Values.postgres.enabled }}
{{- range $name := list "mlflow" "airflow" }}
{{- if (index $.Values $name).enabled }}
{{- $names = append $names $name }}
{{- end }}
{{- end }}
{{- end }}
{{- join " " $names }}
{{- end }}

{{- define "tweets.backupSchedule" -}}
schedule: {{ .Values.backup.schedule | quote }}
timeZone: Etc/UTC
concurrencyPolicy: Forbid
{{- end }}

{{/* A drill never runs by itself: `make restore-drill` creates a Job from the CronJob. */}}
{{- define "tweets.drillSchedule" -}}
schedule: "0 0 1 1 *"
timeZone: Etc/UTC
suspend: true
concurrencyPolicy: Forbid
{{- end }}

{{- define "tweets.backupPod" -}}
serviceAccountName: backup
automountServiceAccountToken: false
enableServiceLinks: false
restartPolicy: Never
{{- include "tweets.pullSecrets" . }}
securityContext: {{- include "tweets.podSecurity" (dict "id" 185) | nindent 2 }}
{{- end }}

{{- define "tweets.backupEnv" -}}
- {name: COLUMNS, value: "160"}
{{- if or (eq .Values.storage.type "s3") .Values.backup.destination }}
{{- include "tweets.s3Access" . }}
{{- end }}
{{- end }}

{{/*
Arguments: root, backups (read, write or empty: the access to the volume of backups). The last line is in the list of
mounts: the caller adds its own.
*/}}
{{- define "tweets.backupContainer" -}}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
terminationMessagePolicy: FallbackToLogsOnError
resources: {{- toYaml .root.Values.backup.resources | nindent 2 }}
securityContext: {{- include "tweets.containerSecurity" .root | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- if and .backups (not .root.Values.backup.destination) }}
  - {name: backup, mountPath: /backup, readOnly: {{ eq .backups "read" }}}
  {{- end }}
{{- end }}

{{- define "tweets.backupVolumes" -}}
- {name: tmp, emptyDir: {sizeLimit: 1Gi}}
{{- if not .Values.backup.destination }}
- {name: backup, persistentVolumeClaim: {claimName: {{ .Values.backup.volume.existingClaim | default "backup" }}}}
{{- end }}
{{- end }}

{{- define "tweets.scratchVolume" -}}
- name: scratch
  ephemeral:
    volumeClaimTemplate:
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .Values.backup.volume.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources: {requests: {storage: {{ .Values.backup.scratchSize }}}}
{{- end }}

{{- define "tweets.postgresEnv" -}}
- {name: PGHOST, value: postgres.{{ .Release.Namespace }}}
- {name: PGUSER, value: tweets}
- name: PGPASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "tweets.databaseSecret" . }}, key: password}}
{{- end }}
