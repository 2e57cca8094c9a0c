{{/*
The SparkApplications as a list in YAML: name; layer, which decides resources and service account; arguments.
If name and layer are equal, the application is the stream of the layer, and the operator always restarts it. Otherwise
it is a job on the tables of the layer while the stream is stopped: it runs to completion, and only its DAG starts it.
*/}}
{{- define "tweets.applications" -}}
- {name: bronze, layer: bronze, arguments: [run, bronze]}
- {name: silver, layer: silver, arguments: [run, silver]}
- {name: gold, layer: gold, arguments: [run, gold]}
- {name: rescore, layer: gold, arguments: [rescore]}
- {name: rebuild-silver, layer: silver, arguments: [rebuild, silver]}
- {name: rebuild-gold, layer: gold, arguments: [rebuild, gold]}
- {name: replay, layer: silver, arguments: [quarantine, replay]}
{{- end }}

{{/* Spec and its hash of an application, as a map in YAML. Arguments: root, application (of tweets.applications). */}}
{{- define "tweets.renderedSpec" -}}
{{- $given := merge (dict "root" .root "values" (index .root.Values.streams .application.layer)) .application }}
{{- $spec := include "tweets.streamSpec" $given | fromYaml }}
{{- if hasKey $spec "Error" }}{{ fail $spec.Error }}{{ end }}
{{- $hash := $spec | toJson | sha256sum | trunc 16 }}
{{- $_ := set $spec.driver.labels "tweet-sentiment/spec-hash" $hash }}
{{- toYaml (dict "spec" $spec "hash" $hash) }}
{{- end }}

{{/* Spec of a SparkApplication. Arguments: root, name, layer, arguments, values (of the layer). */}}
{{- define "tweets.streamSpec" -}}
{{- $isJob := ne .name .layer }}
{{- $root := .root }}
{{- $volume := eq $root.Values.storage.type "volume" }}
type: Python
pythonVersion: "3"
mode: cluster
sparkVersion: 4.2.0
image: {{ include "tweets.image" (dict "root" $root "name" "spark") }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
mainApplicationFile: local:///opt/tweet-sentiment/spark_apps/cli/main.py
arguments: {{ toJson .arguments }}
{{- if $isJob }}
restartPolicy:
  type: Never
{{- else }}
# Without one of the two intervals, the Spark operator never leaves the state FAILING.
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
  # Replace a lost executor within seconds instead of after its heartbeat timeout of two minutes.
  spark.kubernetes.executor.apiPollingInterval: 10s
  spark.kubernetes.allocation.batch.delay: 1s
  # If a busy API server creates an executor, but does not answer within this time (10 s by default), Spark creates another
  # one, and both stay.
  spark.kubernetes.driver.requestTimeout: "60000"
  # Spark creates and deletes nothing but pods: a driver has no permissions on ConfigMaps, Services and claims. The Service
  # of the driver belongs to its pod, and Kubernetes deletes both.
  spark.kubernetes.executor.disableConfigMap: "true"
  spark.kubernetes.driver.service.deleteOnTermination: "false"
  spark.kubernetes.driver.ownPersistentVolumeClaim: "false"
  # Each start of a driver makes a secret, without which no process can connect to the driver or to an executor.
  spark.authenticate: "true"
  spark.network.crypto.enabled: "true"
  # The directory for shuffle files and cached blocks. By default, Spark adds a volume without a limit.
  {{- range list "driver" "executor" }}
  spark.kubernetes.{{ . }}.volumes.emptyDir.spark-local-dir-1.mount.path: /var/data/spark-local
  spark.kubernetes.{{ . }}.volumes.emptyDir.spark-local-dir-1.options.sizeLimit: {{ $root.Values.streams.scratchSize }}
  {{- end }}
  {{- if $root.Values.storage.s3.webIdentity }}
  spark.hadoop.fs.s3a.aws.credentials.provider: software.amazon.awssdk.auth.credentials.WebIdentityTokenFileCredentialsProvider
  {{- end }}
  {{- range $key, $value := merge (deepCopy (.values.sparkConf | default dict)) $root.Values.streams.sparkConf }}
  {{ $key }}: {{ $value | quote }}
  {{- end }}
volumes:
  - {name: tmp, emptyDir: {sizeLimit: {{ $root.Values.streams.scratchSize }}}}
  - {name: limits, configMap: {name: stream-limits, optional: true}}
  - {name: status, configMap: {name: stream-status, optional: true}}
  {{- if $volume }}
  - {name: lake, persistentVolumeClaim: {claimName: {{ include "tweets.lakeClaim" $root }}}}
  {{- end }}
  {{- if .values.formats }}
  - {name: formats, configMap: {name: {{ include "tweets.qualifiedName" (dict "root" $root "suffix" "formats") }}}}
  {{- end }}
driver:
  cores: {{ .values.driver.cores }}
  coreRequest: {{ .values.driver.cpuRequest }}
  memory: {{ .values.driver.memory }}
  memoryOverhead: {{ include "tweets.memoryOverhead" (dict "root" $root "given" .values.driver.memoryOverhead) }}
  serviceAccount: {{ .layer }}
  labels:
    {{- include "tweets.podLabels" (dict "root" $root "name" .name) | nindent 4 }}
  {{- with .values.formats }}
  # The driver reads the ConfigMap only at startup: a changed hash restarts the driver.
  annotations:
    tweet-sentiment/formats-hash: {{ . | toJson | sha256sum | trunc 16 }}
  {{- end }}
  terminationGracePeriodSeconds: {{ $root.Values.streams.gracePeriodSeconds }}
  env:
    {{- include "tweets.driverEnv" . | nindent 4 }}
    {{- with .values.maxDocumentMb }}
    - {name: TWEETS_MAX_DOCUMENT_MB, value: {{ . | quote }}}
    {{- end }}
    {{- with .values.queueUrl }}
    - {name: TWEETS_LANDING_QUEUE, value: {{ . | quote }}}
    {{- end }}
    {{- with .values.retentionDays }}
    - {name: TWEETS_BRONZE_DAYS, value: {{ . | quote }}}
    {{- end }}
    {{- with .values.quarantineDays }}
    - {name: TWEETS_QUARANTINE_DAYS, value: {{ . | quote }}}
    {{- end }}
    {{- with .values.shadowShare }}
    - {name: TWEETS_SHADOW_SHARE, value: {{ . | quote }}}
    {{- end }}
    {{- if .values.formats }}
    - {name: TWEETS_FORMATS, value: /etc/tweet-sentiment/formats.yaml}
    {{- end }}
    {{- if and (hasKey .values "deletionNotices") (not .values.deletionNotices) }}
    - {name: TWEETS_DELETION_NOTICES, value: "false"}
    {{- end }}
    {{- with .values.env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- include "tweets.streamPod" (merge (dict "role" "driver") .) | nindent 2 }}
  {{- if not $isJob }}
  template:
    spec:
      {{- if and (eq .layer "bronze") $volume }}
      # Bronze refuses to start without a landing zone, and a new volume is empty.
      initContainers:
        - name: landing
          image: {{ include "tweets.image" (dict "root" $root "name" "spark") }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [mkdir, -p, {{ $root.Values.landing | quote }}]
          securityContext:
            {{- include "tweets.containerSecurity" . | nindent 12 }}
          volumeMounts:
            - {name: lake, mountPath: /lake}
          # The operator adds this default: the admission policy compares the template with the one that is applied.
          resources: {}
      {{- end }}
      containers:
        - name: spark-kubernetes-driver
          resources: {}
          ports:
            - {name: monitor, containerPort: 8090}
          # A driver that cannot reach the lake cannot record its error there: Airflow then shows the end of its log.
          terminationMessagePolicy: FallbackToLogsOnError
          # The driver answers before it starts Spark. /healthz fails if no query has started after startupSeconds, and
          # later after streams.stuckSeconds without progress. The startup probe must not wait for the first query: the
          # executors find the driver by its Service, which has no address before the driver is ready.
          startupProbe:
            httpGet: {path: /healthz, port: 8090}
            {{- include "tweets.startupThresholds" $root | nindent 12 }}
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
    {{- include "tweets.podLabels" (dict "root" $root "name" .name) | nindent 4 }}
  {{- with include "tweets.s3Env" $root }}
  env:
    {{- . | nindent 4 }}
  {{- end }}
  # Executors of one application prefer different nodes, so that a lost node takes few of them. The operator has no topology
  # spread constraints. Zones do not matter: shuffles between zones cost money.
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector: {matchLabels: {app.kubernetes.io/name: {{ .name }}, spark-role: executor}}
  {{- with .values.gpus }}
  gpu: {name: nvidia.com/gpu, quantity: {{ . }}}
  {{- end }}
  {{- include "tweets.streamPod" (merge (dict "role" "executor") .) | nindent 2 }}
{{- end }}

{{/* Pod settings of driver and executors. Arguments: root, values (of the layer), role (driver or executor). */}}
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
  {{- if eq .role "driver" }}
  - {name: limits, mountPath: /etc/stream-limits, readOnly: true}
  - {name: status, mountPath: /etc/stream-status, readOnly: true}
  {{- end }}
  {{- if and .values.formats (eq .role "driver") }}
  - {name: formats, mountPath: /etc/tweet-sentiment, readOnly: true}
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

{{/* Memory outside the heap of a driver or executor, on S3 plus that of the S3 client. Arguments: root, given. */}}
{{- define "tweets.memoryOverhead" -}}
{{- $s3 := .root.Values.storage.s3.memoryOverhead }}
{{- if eq .root.Values.storage.type "s3" -}}
{{ add (include "tweets.mebibytes" .given) (include "tweets.mebibytes" $s3) }}m
{{- else -}}
{{ .given }}
{{- end }}
{{- end }}

{{/* Mebibytes of a JVM memory size such as 640m or 1g. */}}
{{- define "tweets.mebibytes" -}}
{{ trimSuffix "m" (trimSuffix "g" .) | int | mul (ternary 1024 1 (hasSuffix "g" .)) }}
{{- end }}
