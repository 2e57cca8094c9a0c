{{/* What the dashboard and Airflow know of the identity provider. */}}
{{- define "tweets.loginEnv" -}}
{{- with .Values.login.oidc }}
- {name: TWEETS_OIDC_ISSUER, value: {{ .issuer | quote }}}
- {name: TWEETS_OIDC_CLIENT_ID, value: {{ .clientId | quote }}}
- {name: TWEETS_OIDC_SCOPES, value: {{ .scopes | quote }}}
- {name: TWEETS_OIDC_ROLES_CLAIM, value: {{ .rolesClaim | quote }}}
- {name: TWEETS_OIDC_ROLES, value: {{ toJson .roles | quote }}}
- name: TWEETS_OIDC_CLIENT_SECRET
  valueFrom: {secretKeyRef: {name: {{ .existingSecret }}, key: client-secret}}
{{- end }}
{{- end }}

{{/* What only the dashboard needs. */}}
{{- define "tweets.dashboardLoginEnv" -}}
{{- include "tweets.loginEnv" . }}
{{- with .Values.login.oidc }}
- {name: TWEETS_OIDC_DASHBOARD_URL, value: {{ .dashboardUrl | quote }}}
- {name: TWEETS_OIDC_SESSION_HOURS, value: {{ .sessionHours | quote }}}
- name: TWEETS_OIDC_COOKIE_SECRET
  valueFrom: {secretKeyRef: {name: {{ .existingSecret }}, key: cookie-secret}}
{{- end }}
{{- end }}

{{/* What only the API server of Airflow needs. */}}
{{- define "tweets.airflowLoginEnv" -}}
{{- include "tweets.loginEnv" . }}
{{- with .Values.login.oidc }}
- {name: AIRFLOW__FAB__CONFIG_FILE, value: /opt/airflow/webserver_config.py}
- {name: AIRFLOW__FAB__SESSION_MAX_LIFETIME_MINUTES, value: {{ mul .sessionHours 60 | quote }}}
- {name: AIRFLOW__API__BASE_URL, value: {{ .airflowUrl | quote }}}
{{- if hasPrefix "https:" .airflowUrl }}
# A proxy ends TLS: its headers tell Airflow the scheme of the redirect URI.
- {name: AIRFLOW__FAB__ENABLE_PROXY_FIX, value: "True"}
{{- end }}
{{- end }}
{{- end }}
