{{/*
Refuse a size that an existing volume cannot get, before anything is applied. Without a cluster (helm template), lookup
returns nothing. Arguments: namespace, claim, value (name of the value), size, statefulSet (its name, if it owns the
claim).
*/}}
{{- define "tweets.checkVolume" -}}
{{- $claim := lookup "v1" "PersistentVolumeClaim" .namespace .claim }}
{{- if $claim }}
{{- $current := $claim.spec.resources.requests.storage }}
{{- $wanted := include "tweets.bytes" .size | float64 }}
{{- $has := include "tweets.bytes" $current | float64 }}
{{- $refused := printf "%s is %s, but the volume claim %s in the namespace %s has %s" .value .size .claim .namespace $current }}
{{- if lt $wanted $has }}
{{- fail (printf "%s, and a volume cannot shrink: set %s to %s" $refused .value $current) }}
{{- else if gt $wanted $has }}
{{- $class := $claim.spec.storageClassName | default "" }}
{{- if not (lookup "storage.k8s.io/v1" "StorageClass" "" $class | default dict | dig "allowVolumeExpansion" false) }}
{{- fail (printf "%s, and its StorageClass %q does not enlarge volumes (allowVolumeExpansion): set %s to %s" $refused $class .value $current) }}
{{- else if .statefulSet }}
{{- $patch := printf "{\"spec\": {\"resources\": {\"requests\": {\"storage\": %q}}}}" .size }}
{{- fail (printf "%s, and Helm cannot enlarge a claim of a StatefulSet: kubectl -n %s patch pvc %s -p '%s'; %s; then upgrade again" $refused .namespace .claim $patch (include "tweets.orphanPods" .)) }}
{{- end }}
{{- else if .statefulSet }}
{{- range $template := lookup "apps/v1" "StatefulSet" .namespace .statefulSet | default dict | dig "spec" "volumeClaimTemplates" list }}
{{- if ne (include "tweets.bytes" $template.spec.resources.requests.storage | float64) $wanted }}
{{- fail (printf "%s is %s, as its volume claim, but the StatefulSet %s was created with %s, which is immutable: %s; then upgrade again" $.value $.size $.statefulSet $template.spec.resources.requests.storage (include "tweets.orphanPods" $)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The command that deletes a StatefulSet and keeps its pod and its claim for the next one. */}}
{{- define "tweets.orphanPods" -}}
kubectl -n {{ .namespace }} delete statefulset {{ .statefulSet }} --cascade=orphan
{{- end }}

{{/* Bytes of a Kubernetes quantity such as 20Gi. */}}
{{- define "tweets.bytes" -}}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 }}
{{- $number := regexFind "^[0-9.]+" . }}
{{- mulf (float64 $number) (get $units (trimPrefix $number .)) | printf "%.0f" }}
{{- end }}
