{{/* Settings of Airloom as variables. Each part is told what it needs and no more; secrets are files. */}}

{{/* root, role, and for a worker `worker`: settings by section, as YAML. */}}
{{- define "airloom.settings" -}}
{{- $values := .root.Values -}}
{{- $full := include "airloom.fullname" .root -}}
{{- $celery := eq $values.executor "celery" -}}
{{- $settings := dict "core" dict "kubernetes" dict -}}
{{- if has .role (list "scheduler" "api" "loader" "migrate") -}}
  {{- $_ := set $settings "database" (dict "url_file" "/run/secrets/airloom/database-url") -}}
{{- end -}}
{{- if has .role (list "scheduler" "api") -}}
  {{- $_ := set $settings "core" (dict "executors" $values.executor "secret_key_file" "/run/secrets/airloom/secret-key") -}}
{{- end -}}
{{- if and $celery (has .role (list "scheduler" "worker")) -}}
  {{- $_ := set $settings "celery" (dict "broker_file" "/run/secrets/airloom/broker") -}}
{{- end -}}
{{- if ne .role "migrate" -}}
  {{- $_ := set $settings.core "dags_folder" $values.dags.folder -}}
{{- end -}}
{{- if eq .role "scheduler" -}}
  {{- $_ := set $settings "scheduler" (dict "loader" "false") -}}
  {{- if eq $values.executor "kubernetes" -}}
    {{- $_ := set $settings "kubernetes" (include "airloom.kubernetesSettings" .root | fromYaml) -}}
  {{- end -}}
{{- end -}}
{{- if eq .role "api" -}}
  {{- $service := printf "%s-api" $full -}}
  {{- $space := .root.Release.Namespace -}}
  {{- $names := list $service (printf "%s.%s" $service $space) (printf "%s.%s.svc" $service $space) (printf "%s.%s.svc.cluster.local" $service $space) -}}
  {{- if $values.ingress.enabled -}}{{- $names = append $names $values.ingress.host -}}{{- end -}}
  {{- $api := dict "host" "0.0.0.0" "port" "8080" "task_port" "8081" "hosts" $names "base_url" (include "airloom.baseUrl" .root) "trusted_proxies" $values.api.trustedProxies -}}
  {{- if $values.api.tlsSecret -}}
    {{- $api = merge $api (dict "tls_certificate" "/etc/airloom/tls/tls.crt" "tls_key" "/etc/airloom/tls/tls.key") -}}
  {{- end -}}
  {{- $_ := set $settings "api" $api -}}
{{- end -}}
{{- if eq .role "worker" -}}
  {{- $worker := dict "server" (include "airloom.taskServer" .root) "token_file" "/run/secrets/airloom/runner-token" "queues" .worker.queues "concurrency" .worker.concurrency "grace" .worker.grace -}}
  {{- if $values.api.tlsSecret -}}{{- $_ := set $worker "ca_file" "/etc/airloom/tls/ca.crt" -}}{{- end -}}
  {{- $_ := set $settings "worker" $worker -}}
{{- end -}}
{{- $given := deepCopy $values.settings -}}
{{- if eq .role "migrate" -}}{{- $given = pick $given "database" -}}{{- end -}}
{{ mergeOverwrite $settings $given | toYaml }}
{{- end }}

{{/* [kubernetes], for schedulers. */}}
{{- define "airloom.kubernetesSettings" -}}
{{- $values := .Values.kubernetes -}}
{{- $namespaces := (include "airloom.namespaces" . | fromJson).all -}}
image: {{ default (include "airloom.image" .) $values.image | quote }}
server: {{ default (include "airloom.taskServer" .) $values.server | quote }}
namespace: {{ first $namespaces | quote }}
namespaces: {{ rest $namespaces | toJson }}
service_account: {{ include "airloom.taskAccount" . | quote }}
template_file: /etc/airloom/pods/template.yaml
{{- if $values.templates }}
templates:
  {{- range $name := keys $values.templates | sortAlpha }}
  {{ $name }}: /etc/airloom/pods/template-{{ $name }}.yaml
  {{- end }}
{{- end }}
{{- if .Values.api.tlsSecret }}
ca_file: /etc/airloom/tls/ca.crt
{{- end }}
{{- if eq .Values.dags.source "volume" }}
dags_claim: {{ include "airloom.dagsClaim" . }}
dags_path: {{ .Values.dags.volume.path | quote }}
{{- end }}
{{- if and (eq .Values.dags.source "git") .Values.dags.git.secret }}
git_secret: {{ .Values.dags.git.secret }}
{{- end }}
{{- with $values.clusters }}
clusters: {{ toJson . }}
{{- end }}
{{- end }}

{{/* The tables of [bundles], as JSON; "" if there are none. */}}
{{- define "airloom.bundles" -}}
{{- $bundles := deepCopy .Values.bundles -}}
{{- if eq .Values.dags.source "git" -}}
  {{- $git := .Values.dags.git -}}
  {{- $bundle := dict "kind" "git" "url" $git.url -}}
  {{- range $key := list "ref" "subfolder" "refresh" -}}
    {{- if index $git $key -}}{{- $_ := set $bundle $key (index $git $key) -}}{{- end -}}
  {{- end -}}
  {{- $files := dict "password" "token_file" "ssh-privatekey" "ssh_key_file" "known_hosts" "known_hosts_file" -}}
  {{- range $git.secretKeys -}}{{- $_ := set $bundle (get $files .) (printf "/run/secrets/git/%s" .) -}}{{- end -}}
  {{- $_ := set $bundles $git.name $bundle -}}
{{- end -}}
{{- if $bundles }}{{ toJson $bundles }}{{ end -}}
{{- end }}

{{/* A setting as the text of a variable. */}}
{{- define "airloom.text" -}}
{{- if kindIs "slice" . }}{{ join "," . }}
{{- else if kindIs "map" . }}{{ toJson . }}
{{- else if kindIs "float64" . }}{{ if eq (floor .) . }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- else }}{{ . }}{{ end -}}
{{- end }}

{{/* root, role, worker, and the part's values as `part`: the variables of a container. Kubernetes would replace $(NAME) in
them by another one's value, unless it is written $$(NAME). */}}
{{- define "airloom.env" -}}
{{- $settings := include "airloom.settings" . | fromYaml -}}
- name: AIRLOOM_HOME
  value: /var/lib/airloom
{{- range $section, $keys := $settings }}
{{- range $key, $value := $keys }}
{{- if not (kindIs "invalid" $value) }}
{{- with include "airloom.text" $value }}
- name: {{ printf "AIRLOOM__%s__%s" $section $key | upper }}
  value: {{ replace "$(" "$$(" . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- /* A scheduler that makes pods tells them. */}}
{{- if or (include "airloom.readsDags" .) (and (eq .role "scheduler") (eq .root.Values.executor "kubernetes")) }}
{{- with include "airloom.bundles" .root }}
- name: AIRLOOM__BUNDLES
  value: {{ replace "$(" "$$(" . | quote }}
{{- end }}
{{- end }}
{{- with .part.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
