{{/* What the pods of all parts have in common. Everywhere: root, role, part (its values), and for a worker `worker`. */}}

{{/* Whether a part reads DAG files: something, or nothing. */}}
{{- define "airloom.readsDags" -}}
{{- if or (has .role (list "loader" "worker")) (and (eq .role "scheduler") (eq .root.Values.executor "local")) }}yes{{ end -}}
{{- end }}

{{- define "airloom.secretKeys" -}}
{{- $celery := eq .root.Values.executor "celery" -}}
{{- $keys := list -}}
{{- if ne .role "worker" }}{{ $keys = append $keys "database-url" }}{{ end -}}
{{- if has .role (list "scheduler" "api") }}{{ $keys = append $keys "secret-key" }}{{ end -}}
{{- if and $celery (has .role (list "scheduler" "worker")) }}{{ $keys = append $keys "broker" }}{{ end -}}
{{- if and $celery (has .role (list "migrate" "worker")) }}{{ $keys = append $keys "runner-token" }}{{ end -}}
{{ toJson $keys }}
{{- end }}

{{/* Whether a part has the API's certificates: who shows them, who hands them on, and who checks them. */}}
{{- define "airloom.hasTls" -}}
{{- $asks := or (eq .role "worker") (and (eq .role "scheduler") (eq .root.Values.executor "kubernetes")) -}}
{{- if and .root.Values.api.tlsSecret (or (eq .role "api") $asks) }}yes{{ end -}}
{{- end }}

{{- define "airloom.metadata" -}}
labels:
  {{- include "airloom.selector" . | nindent 2 }}
  {{- with .part.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  # A part reads secrets and files once: another pod for what is changed.
  {{- $values := .root.Values }}
  {{- $read := list $values.existingSecret $values.secretKey $values.database.url $values.celery.broker $values.celery.runnerToken }}
  {{- if eq .component "scheduler" }}{{ $read = concat $read (list $values.kubernetes.template $values.kubernetes.templates) }}{{ end }}
  checksum/files: {{ toJson $read | sha256sum | trunc 16 | quote }}
  {{- with .part.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "airloom.podSpec" -}}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
enableServiceLinks: false
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .part.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .part.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
  {{- if .part.affinity }}
  {{- toYaml .part.affinity | nindent 2 }}
  {{- else }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "airloom.selector" (dict "root" .root "component" .component) | nindent 14 }}
  {{- end }}
{{- with .part.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .part.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* What the volume of the home is called. One that is kept has another name: a server that is told that a volume is of
another type now takes it for a volume of two types. */}}
{{- define "airloom.home" -}}
{{- $values := .root.Values -}}
{{ and (eq $values.executor "local") $values.local.persistence.enabled (has .role (list "scheduler" "api")) | ternary "home-kept" "home" }}
{{- end }}

{{- define "airloom.container" -}}
image: {{ include "airloom.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  {{- toYaml .root.Values.containerSecurityContext | nindent 2 }}
env:
  {{- include "airloom.env" . | trim | nindent 2 }}
{{- with .part.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - {name: {{ include "airloom.home" . }}, mountPath: /var/lib/airloom}
  - {name: tmp, mountPath: /tmp}
  - {name: {{ .role }}-secrets, mountPath: /run/secrets/airloom, readOnly: true}
  {{- if include "airloom.readsDags" . }}
  {{- if eq .root.Values.dags.source "volume" }}
  - name: dags
    mountPath: {{ .root.Values.dags.folder }}
    readOnly: true
    {{- with .root.Values.dags.volume.path }}
    subPath: {{ . }}
    {{- end }}
  {{- end }}
  {{- if and (eq .root.Values.dags.source "git") .root.Values.dags.git.secret }}
  - {name: git, mountPath: /run/secrets/git, readOnly: true}
  {{- end }}
  {{- end }}
  {{- if include "airloom.hasTls" . }}
  - {name: {{ .role }}-tls, mountPath: /etc/airloom/tls, readOnly: true}
  {{- end }}
  {{- if and (eq .role "scheduler") (eq .root.Values.executor "kubernetes") }}
  - {name: pods, mountPath: /etc/airloom/pods, readOnly: true}
  {{- if .root.Values.kubernetes.kubeconfigSecret }}
  - {name: kube, mountPath: /etc/airloom/kube, readOnly: true}
  {{- end }}
  {{- end }}
  {{- with .part.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* What the mounts of a container show, but for the home. A part has its own view of secrets: only its keys. */}}
{{- define "airloom.volumes" -}}
- name: {{ .role }}-secrets
  secret:
    secretName: {{ include "airloom.secret" .root }}
    defaultMode: 0440
    items:
      {{- range include "airloom.secretKeys" . | fromJsonArray }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- if include "airloom.readsDags" . }}
{{- if eq .root.Values.dags.source "volume" }}
- name: dags
  persistentVolumeClaim:
    claimName: {{ include "airloom.dagsClaim" .root }}
    readOnly: true
{{- end }}
{{- if and (eq .root.Values.dags.source "git") .root.Values.dags.git.secret }}
- name: git
  secret:
    secretName: {{ .root.Values.dags.git.secret }}
    # ssh wants a key that nobody else can read. It belongs to root, so the group, fsGroup, has to.
    defaultMode: 0440
{{- end }}
{{- end }}
{{- if include "airloom.hasTls" . }}
- name: {{ .role }}-tls
  secret:
    secretName: {{ .root.Values.api.tlsSecret }}
    defaultMode: 0440
    {{- if ne .role "api" }}
    items:
      - {key: ca.crt, path: ca.crt}
    {{- end }}
{{- end }}
{{- if and (eq .role "scheduler") (eq .root.Values.executor "kubernetes") }}
- name: pods
  configMap:
    name: {{ include "airloom.fullname" .root }}-pods
{{- with .root.Values.kubernetes.kubeconfigSecret }}
- name: kube
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- with .part.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "airloom.scratch" -}}
- name: tmp
  emptyDir: {}
{{- end }}

{{/* Waits until the database has the tables of this image's version, which the migration job gives it. */}}
{{- define "airloom.wait" -}}
- name: wait-for-migration
  {{- $context := merge (dict "part" (dict "resources" .root.Values.migration.resources "extraEnv" .part.extraEnv)) . }}
  {{- include "airloom.container" $context | nindent 2 }}
  command: [sh, -c, "until airloom db check; do sleep 3; done"]
{{- end }}

{{/* Kills what hangs. What cannot reach the database has another exit status than 1, and is left alone: another process
would not reach it either, and tasks may depend on this one. */}}
{{- define "airloom.alive" -}}
startupProbe:
  exec: {command: [sh, -c, "airloom health {{ . }}; test $? -ne 1"]}
  periodSeconds: 10
  timeoutSeconds: 10
  failureThreshold: 30
livenessProbe:
  exec: {command: [sh, -c, "airloom health {{ . }}; test $? -ne 1"]}
  periodSeconds: 60
  timeoutSeconds: 20
  failureThreshold: 5
{{- end }}

{{- define "airloom.apiContainer" -}}
- name: api
  {{- include "airloom.container" . | nindent 2 }}
  args: [api]
  ports:
    - {name: web, containerPort: 8080, protocol: TCP}
    - {name: tasks, containerPort: 8081, protocol: TCP}
  # What depends on no scheduler: the parts of the cluster do not go because another one is not well.
  startupProbe:
    httpGet: &login {path: /api/v1/login, port: web, scheme: {{ include "airloom.scheme" .root | upper }}}
    periodSeconds: 2
    failureThreshold: 60
  livenessProbe:
    httpGet: *login
    periodSeconds: 20
    timeoutSeconds: 10
    failureThreshold: 6
  # By the port alone: with its database away it still answers, and workers have to hear that.
  readinessProbe:
    tcpSocket: {port: tasks}
    periodSeconds: 5
{{- end }}
