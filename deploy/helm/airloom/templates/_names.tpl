{{/* Names, labels, the image, and what is checked before anything is made. */}}

{{- define "airloom.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Short enough for what is put behind it: names of Services and labels have at most 63 characters. */}}
{{- define "airloom.fullname" -}}
{{- $name := include "airloom.name" . -}}
{{- $whole := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{ default $whole .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "airloom.selector" -}}
app.kubernetes.io/name: {{ include "airloom.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "airloom.labels" -}}
{{ include "airloom.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: airloom
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The labels of tasks' pods, which the executor gives them. */}}
{{- define "airloom.tasks" -}}
app.kubernetes.io/name: airloom
app.kubernetes.io/component: task
{{- end }}

{{- define "airloom.image" -}}
{{- $repository := required "image.repository is empty: set it to the image of Airloom as your nodes pull it, with its registry and without a tag" .Values.image.repository -}}
{{- if .Values.image.digest }}{{ $repository }}@{{ .Values.image.digest }}{{ else }}{{ $repository }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end }}
{{- end }}

{{- define "airloom.secret" -}}
{{ default (include "airloom.fullname" .) .Values.existingSecret }}
{{- end }}

{{- define "airloom.dagsClaim" -}}
{{ default (printf "%s-dags" (include "airloom.fullname" .)) .Values.dags.volume.existingClaim }}
{{- end }}

{{/* Where tasks' pods may be, the first where they are if nothing is said, as {"all": [...]}. */}}
{{- define "airloom.namespaces" -}}
{{- $first := default .Release.Namespace .Values.kubernetes.namespace -}}
{{ dict "all" (concat (list $first) .Values.kubernetes.namespaces | uniq) | toJson }}
{{- end }}

{{/* "" where tasks have the account that their namespace gives to everybody. */}}
{{- define "airloom.taskAccount" -}}
{{- $account := .Values.kubernetes.taskServiceAccount -}}
{{ default ($account.create | ternary (printf "%s-task" (include "airloom.fullname" .)) "") $account.name }}
{{- end }}

{{- define "airloom.scheme" -}}
{{ empty .Values.api.tlsSecret | ternary "http" "https" }}
{{- end }}

{{- define "airloom.taskServer" -}}
{{ include "airloom.scheme" . }}://{{ include "airloom.fullname" . }}-api.{{ .Release.Namespace }}.svc:8081
{{- end }}

{{- define "airloom.baseUrl" -}}
{{- if .Values.api.baseUrl }}{{ .Values.api.baseUrl }}
{{- else if .Values.ingress.enabled }}{{ empty .Values.ingress.tlsSecret | ternary "http" "https" }}://{{ .Values.ingress.host }}
{{- end }}
{{- end }}

{{/* What a schema cannot say. */}}
{{- define "airloom.check" -}}
{{- if .Values.existingSecret }}
  {{- if or .Values.postgresql.enabled .Values.redis.enabled }}
    {{- fail "existingSecret is set, and postgresql.enabled or redis.enabled as well: those make up their passwords themselves; leave one of the two out" }}
  {{- end }}
{{- else }}
  {{- if and (not .Values.postgresql.enabled) (not .Values.database.url) }}
    {{- fail "there is no database: set database.url, existingSecret, or postgresql.enabled to try things out" }}
  {{- end }}
  {{- if and (eq .Values.executor "celery") (not .Values.redis.enabled) (not .Values.celery.broker) }}
    {{- fail "there is no broker: set celery.broker, existingSecret, or redis.enabled" }}
  {{- end }}
{{- end }}
{{- if and .Values.postgresql.enabled .Values.database.url }}
  {{- fail "database.url and postgresql.enabled are both set: leave one of them out" }}
{{- end }}
{{- if and .Values.redis.enabled (or .Values.celery.broker (ne .Values.executor "celery")) }}
  {{- fail "redis.enabled is for executor celery, without celery.broker" }}
{{- end }}
{{- if eq .Values.dags.source "git" }}
  {{- if not .Values.dags.git.url }}
    {{- fail "dags.source is git, and dags.git.url is empty" }}
  {{- end }}
  {{- if ne (empty .Values.dags.git.secret) (empty .Values.dags.git.secretKeys) }}
    {{- fail "dags.git.secret and dags.git.secretKeys go together: a Secret, and which of password, ssh-privatekey and known_hosts it has" }}
  {{- end }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
  {{- fail "ingress.enabled is set, and ingress.host is empty" }}
{{- end }}
{{- if eq .Values.executor "celery" }}
  {{- range $name, $own := .Values.celery.workers }}
    {{- $worker := include "airloom.worker" (dict "root" $ "name" $name) | fromYaml }}
    {{- if and (eq $worker.autoscaling.kind "keda") (empty $worker.autoscaling.prometheus) (empty $worker.autoscaling.tokenSecret) }}
      {{- fail (printf "celery.workers.%s: keda needs autoscaling.prometheus or autoscaling.tokenSecret, to ask how much work there is" $name) }}
    {{- end }}
    {{- if and (eq $worker.autoscaling.kind "hpa") (lt (int $worker.autoscaling.min) 1) }}
      {{- fail (printf "celery.workers.%s: a HorizontalPodAutoscaler has autoscaling.min of 1 or more; keda can go to 0" $name) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{/* One kind of worker, with what all have. */}}
{{- define "airloom.worker" -}}
{{ mergeOverwrite (deepCopy .root.Values.celery.worker) (deepCopy (index .root.Values.celery.workers .name | default dict)) | toYaml }}
{{- end }}
