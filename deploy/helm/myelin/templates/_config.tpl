{{/* What follows from the shape, in the words of myelin.yaml. */}}
{{- define "myelin.fixedConfig" -}}
{{- if eq .Values.shape "sidecar" -}}
haproxy:
  control: master
  masterSocket: /run/haproxy/master.sock
  config: /run/haproxy/haproxy.cfg
  statsSocket: /run/haproxy/admin.sock
  {{- with regexFind "^[0-9]+\\.[0-9]+" (toString .Values.haproxy.image.tag) }}
  version: {{ quote . }}
  {{- end }}
{{- else -}}
haproxy:
  control: process
  config: /run/myelin/haproxy.cfg
  statsSocket: /run/myelin/admin.sock
  onExit: stop
  stopGrace: {{ .Values.drain.graceSeconds }}s
  {{- if .Values.handover.enabled }}
  handover: '/run/handover/${POD_UID}'
  {{- end }}
{{- end }}
state: /run/myelin/state
admin: { socket: /run/myelin/myelin.sock }
probes: { listen: '{{ .Values.handover.enabled | ternary .Values.handover.metricsAddress "*" }}:8406' }
{{- if .Values.templates }}
templates: /etc/myelin-templates
{{- end }}
{{- end -}}

{{/* myelin.yaml as a whole. */}}
{{- define "myelin.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $fixed := include "myelin.fixedConfig" . | fromYaml -}}
{{- range $key, $value := $fixed -}}
  {{- $given := get $config $key -}}
  {{- if and (kindIs "map" $value) (kindIs "map" $given) -}}
    {{- range $inner := keys $value -}}
      {{- if hasKey $given $inner -}}
        {{- fail (printf "config.%s.%s follows from `shape` and the chart; leave it out" $key $inner) -}}
      {{- end -}}
    {{- end -}}
  {{- else if hasKey $config $key -}}
    {{- fail (printf "config.%s is set by the chart; leave it out" $key) -}}
  {{- end -}}
{{- end -}}
{{- if not $config.watchers -}}
  {{- $_ := set $config "watchers" (dict "kubernetes" dict) -}}
{{- end -}}
{{- toYaml (mergeOverwrite $config $fixed) -}}
{{- end -}}

{{/* Names of the watchers that use the pod's service account, as JSON. */}}
{{- define "myelin.inCluster" -}}
{{- $names := list -}}
{{- range $name, $given := (include "myelin.config" . | fromYaml).watchers -}}
  {{- $watcher := default dict $given -}}
  {{- if and (eq (default $name $watcher.type) "kubernetes") (not $watcher.kubeconfig) -}}
    {{- $names = append $names $name -}}
  {{- end -}}
{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{/* The namespaces that are read, as JSON: a list, or ["*"] for all. */}}
{{- define "myelin.namespaces" -}}
{{- $config := include "myelin.config" . | fromYaml -}}
{{- $names := list -}}
{{- range $name := include "myelin.inCluster" . | fromJsonArray -}}
  {{- $watcher := default dict (get $config.watchers $name) -}}
  {{- with $watcher.namespaces -}}
    {{- $names = concat $names (kindIs "slice" . | ternary . (list .)) -}}
  {{- end -}}
  {{- $usual := default $.Release.Namespace $watcher.namespace -}}
  {{- if and (hasKey (default dict $config.discover) $name) (or $watcher.namespace (not $watcher.namespaces)) -}}
    {{- $names = append $names $usual -}}
  {{- end -}}
  {{- range $service := $config.services -}}
    {{- $from := default (dict $name dict) (default dict $service).from -}}
    {{- range $each := kindIs "slice" $from | ternary $from (list $from) -}}
      {{- if hasKey $each $name -}}
        {{- $names = append $names (default $usual (default dict (get $each $name)).namespace) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- with .Values.rbac.namespaces -}}
  {{- $names = kindIs "slice" . | ternary . (list .) -}}
{{- end -}}
{{- $names = $names | uniq | sortAlpha -}}
{{- range $names -}}
  {{- if contains "$" . -}}
    {{- fail (printf "the namespace %s is known in the pod alone: list those that are read in rbac.namespaces" .) -}}
  {{- end -}}
{{- end -}}
{{- has "all" $names | ternary (list "*") $names | toJson -}}
{{- end -}}
