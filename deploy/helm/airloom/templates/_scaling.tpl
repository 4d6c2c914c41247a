{{/* root, component, kind, name of what is scaled, scaling: as many pods as the processor says. */}}
{{- define "airloom.hpa" -}}
{{- $today := .root.Capabilities.APIVersions.Has "autoscaling/v2" -}}
apiVersion: autoscaling/{{ $today | ternary "v2" "v2beta2" }}
kind: HorizontalPodAutoscaler
metadata:
  name: {{ .name }}
  labels:
    {{- include "airloom.labels" . | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: {{ .kind }}, name: {{ .name }}}
  minReplicas: {{ .scaling.min }}
  maxReplicas: {{ .scaling.max }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ .scaling.cpu }}}
{{- end }}

{{/* The same by what is queued and what runs: so no worker is taken away for which there is work. */}}
{{- define "airloom.keda" -}}
{{- $scaling := .scaling -}}
{{- $slots := regexReplaceAll "^.*\\.\\." (toString .worker.concurrency) "" -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ .name }}
  labels:
    {{- include "airloom.labels" . | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: {{ .kind }}, name: {{ .name }}}
  minReplicaCount: {{ $scaling.min }}
  maxReplicaCount: {{ $scaling.max }}
  cooldownPeriod: {{ $scaling.cooldown }}
  triggers:
    {{- if $scaling.prometheus }}
    - type: prometheus
      metadata:
        serverAddress: {{ $scaling.prometheus | quote }}
        {{- $queues := list }}
        {{- range .worker.queues }}{{ $queues = append $queues (regexQuoteMeta .) }}{{ end }}
        {{- $labels := printf "executor=\"celery\", queue=~%s" (join "|" $queues | quote) }}
        # Each API process tells the same.
        query: >-
          sum(max by (queue) (airloom_queue_queued{ {{- $labels -}} } + airloom_queue_running{ {{- $labels -}} })) or vector(0)
        threshold: {{ $slots | quote }}
    {{- else }}
    {{- range .worker.queues }}
    - type: metrics-api
      metadata:
        url: {{ include "airloom.scheme" $.root }}://{{ include "airloom.fullname" $.root }}-api.{{ $.root.Release.Namespace }}.svc:8080/api/v1/queues/{{ urlquery . | replace "+" "%20" }}
        valueLocation: demand
        targetValue: {{ $slots | quote }}
        authMode: bearer
      authenticationRef: {name: {{ $.name }}}
    {{- end }}
    {{- end }}
{{- if not $scaling.prometheus }}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  name: {{ .name }}
  labels:
    {{- include "airloom.labels" . | nindent 4 }}
spec:
  secretTargetRef:
    - {parameter: token, name: {{ $scaling.tokenSecret }}, key: token}
{{- end }}
{{- end }}
