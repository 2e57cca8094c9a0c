{{/* The spec of the SparkApplication .name, which runs .layer for ever, or is a job on its tables: .root, .values of the
layer. A job comes to an end, and nobody but the one who has started it starts it again. */}}
{{- define "tweets.streamSpec" -}}
{{- $isJob := ne .name .layer }}
{{- $root := .root }}
{{- $v := $root.Values }}
{{- $volume := eq $v.storage.type "volume" }}
type: Python
pythonVersion: "3"
mode: cluster
sparkVersion: 4.2.0
image: {{ include "tweets.image" (dict "root" $root "name" "spark") }}
imagePullPolicy: {{ $v.image.pullPolicy }}
{{- with $v.image.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
mainApplicationFile: local:///opt/tweet-sentiment/spark_apps/cli/main.py
{{- if $isJob }}
arguments: [{{ .name }}]
restartPolicy:
  type: Never
{{- else }}
arguments: [run, {{ .layer }}]
# Both intervals are needed: without one, the operator waits for ever in FAILING.
restartPolicy:
  type: Always
  onFailureRetryInterval: 10
  onSubmissionFailureRetryInterval: 20
{{- end }}
sparkConf:
  spark.app.name: {{ .name }}
  spark.driver.extraJavaOptions: -Dlog4j2.configurationFile=file:/opt/tweet-sentiment/spark_apps/log4j2.properties -XX:+ExitOnOutOfMemoryError
  spark.executor.extraJavaOptions: -Dlog4j2.configurationFile=file:/opt/tweet-sentiment/spark_apps/log4j2.properties -XX:+ExitOnOutOfMemoryError
  spark.sql.shuffle.partitions: {{ mul .values.executor.instances .values.executor.cores | quote }}
  spark.ui.prometheus.enabled: "true"
  # An executor that is gone is replaced within seconds, not after the two minutes of its heartbeat.
  spark.kubernetes.executor.apiPollingInterval: 10s
  spark.kubernetes.allocation.batch.delay: 1s
  {{- if $v.storage.s3.webIdentity }}
  spark.hadoop.fs.s3a.aws.credentials.provider: software.amazon.awssdk.auth.credentials.WebIdentityTokenFileCredentialsProvider
  {{- end }}
  {{- range $key, $value := merge (deepCopy (.values.sparkConf | default dict)) $v.streams.sparkConf }}
  {{ $key }}: {{ $value | quote }}
  {{- end }}
volumes:
  - {name: tmp, emptyDir: {}}
  {{- if $volume }}
  - {name: lake, persistentVolumeClaim: {claimName: {{ include "tweets.claim" $root }}}}
  {{- end }}
driver:
  cores: {{ .values.driver.cores }}
  coreRequest: {{ .values.driver.cpuRequest }}
  memory: {{ .values.driver.memory }}
  memoryOverhead: {{ include "tweets.memoryOverhead" (dict "root" $root "given" .values.driver.memoryOverhead) }}
  serviceAccount: {{ .layer }}
  labels:
    app.kubernetes.io/name: {{ .name }}
    app.kubernetes.io/part-of: tweet-sentiment
  terminationGracePeriodSeconds: {{ $v.streams.gracePeriodSeconds }}
  env:
    {{- include "tweets.driverEnv" $root | nindent 4 }}
    {{- with .values.maxDocumentMb }}
    - {name: TWEETS_MAX_DOCUMENT_MB, value: {{ . | quote }}}
    {{- end }}
    {{- with .values.env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- include "tweets.streamPod" . | nindent 2 }}
  {{- if not $isJob }}
  template:
    spec:
      {{- if and (eq .layer "bronze") $volume }}
      # A new volume is empty, and Bronze reads only from a landing that is there.
      initContainers:
        - name: landing
          image: {{ include "tweets.image" (dict "root" $root "name" "spark") }}
          imagePullPolicy: {{ $v.image.pullPolicy }}
          args: [mkdir, -p, {{ $v.landing | quote }}]
          securityContext:
            {{- include "tweets.containerSecurity" . | nindent 12 }}
          volumeMounts:
            - {name: lake, mountPath: /lake}
      {{- end }}
      containers:
        - name: spark-kubernetes-driver
          ports:
            - {name: monitor, containerPort: 8090}
          # What it says last, before it has a lake to leave its error in, is then what Airflow shows.
          terminationMessagePolicy: FallbackToLogsOnError
          # The first answer comes once Spark has started and the tables are there.
          startupProbe:
            httpGet: {path: /healthz, port: 8090}
            periodSeconds: 5
            failureThreshold: 48
          livenessProbe:
            httpGet: {path: /healthz, port: 8090}
            periodSeconds: 10
            timeoutSeconds: 10
            failureThreshold: 3
            terminationGracePeriodSeconds: 5
  {{- end }}
executor:
  instances: {{ .values.executor.instances }}
  cores: {{ .values.executor.cores }}
  coreRequest: {{ .values.executor.cpuRequest }}
  memory: {{ .values.executor.memory }}
  memoryOverhead: {{ include "tweets.memoryOverhead" (dict "root" $root "given" .values.executor.memoryOverhead) }}
  serviceAccount: {{ .layer }}
  labels:
    app.kubernetes.io/name: {{ .name }}
    app.kubernetes.io/part-of: tweet-sentiment
  {{- with include "tweets.s3Env" $root }}
  env:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with .values.gpus }}
  gpu: {name: nvidia.com/gpu, quantity: {{ . }}}
  {{- end }}
  {{- include "tweets.streamPod" . | nindent 2 }}
{{- end }}

{{/* What driver and executors share. */}}
{{- define "tweets.streamPod" -}}
podSecurityContext:
  {{- include "tweets.podSecurity" (dict "id" 185) | nindent 2 }}
securityContext:
  {{- include "tweets.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- if eq .root.Values.storage.type "volume" }}
  - {name: lake, mountPath: /lake}
  {{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* What a driver or executor takes beside its heap: .given, and the client of S3. */}}
{{- define "tweets.memoryOverhead" -}}
{{- $s3 := .root.Values.storage.s3.memoryOverhead }}
{{- if eq .root.Values.storage.type "s3" -}}
{{ add (include "tweets.mebibytes" .given) (include "tweets.mebibytes" $s3) }}m
{{- else -}}
{{ .given }}
{{- end }}
{{- end }}

{{- define "tweets.mebibytes" -}}
{{ trimSuffix "m" (trimSuffix "g" .) | int | mul (ternary 1024 1 (hasSuffix "g" .)) }}
{{- end }}
