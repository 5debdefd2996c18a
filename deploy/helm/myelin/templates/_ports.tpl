{{/*
Where HAProxy listens, as JSON: a list of { text, protocol, from, to }, with isLoopback where nobody outside of the pod gets
there. `from` is 0 where only the pod knows the port.
*/}}
{{- define "myelin.listeners" -}}
{{- $config := include "myelin.config" . | fromYaml -}}
{{- $binds := list -}}
{{- $raw := list -}}
{{- range $each := values (default dict $config.services) -}}
  {{- $service := default dict $each -}}
  {{- $binds = concat $binds (include "myelin.list" $service.bind | fromJsonArray) -}}
  {{- $raw = concat $raw (include "myelin.list" $service.frontend | fromJsonArray) -}}
{{- end -}}
{{- range $each := values (default dict $config.frontends) -}}
  {{- $frontend := default dict $each -}}
  {{- $binds = concat $binds (include "myelin.list" $frontend.bind | fromJsonArray) -}}
  {{- $raw = concat $raw (include "myelin.list" $frontend.lines | fromJsonArray) -}}
{{- end -}}
{{- range $each := values (default dict $config.discover) -}}
  {{- $limits := default dict $each -}}
  {{- with $limits.ports -}}
    {{- $binds = append $binds (printf "%s:%s" (default "127.0.0.1" $limits.bindAddress) (toString .)) -}}
  {{- end -}}
{{- end -}}
{{- range $page := list $config.haproxy.stats $config.haproxy.prometheus -}}
  {{- with $page -}}
    {{- $binds = append $binds .bind -}}
  {{- end -}}
{{- end -}}
{{- range list $config.haproxy.global $config.haproxy.sections -}}
  {{- $raw = concat $raw (include "myelin.list" . | fromJsonArray) -}}
{{- end -}}
{{- range $text := $raw -}}
  {{- range regexFindAll "(?m)^[ \\t]*(dgram-bind|bind|stats[ \\t]+socket)[ \\t]+.*$" $text -1 -}}
    {{- $address := regexReplaceAll "^[ \\t]*(bind|stats[ \\t]+socket)[ \\t]+" . "" -}}
    {{- $binds = append $binds (regexReplaceAll "^[ \\t]*dgram-bind[ \\t]+" $address "udp@") -}}
  {{- end -}}
{{- end -}}
{{- $listeners := list -}}
{{- range $bind := $binds -}}
  {{- range $text := regexFind "\\S+" (toString $bind) | splitList "," -}}
    {{- $ports := regexFind ":[0-9]+(-[0-9]+)?$" $text | trimPrefix ":" | splitList "-" -}}
    {{- $isUdp := regexMatch "^(quic|udp)" $text -}}
    {{- if or (first $ports) (contains "$" $text) (regexMatch "^(fd|sockpair)@" $text) -}}
      {{- $listeners = append $listeners (dict
        "text" $text
        "protocol" ($isUdp | ternary "UDP" "TCP")
        "from" (first $ports | int)
        "to" (last $ports | int)
        "isLoopback" (include "myelin.isLoopback" $text)
      ) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if or $config.include (.Values.templates | toJson | regexMatch "\\bbind\\b") -}}
  {{- $listeners = append $listeners (dict "from" 0) -}}
{{- end -}}
{{- toJson $listeners -}}
{{- end -}}

{{/* Empty where others than the pod itself reach the address. */}}
{{- define "myelin.isLoopback" -}}
{{- regexFind "^([a-z0-9]+@)?(127\\.|\\[?::1\\]?:|localhost:)" . -}}
{{- end -}}

{{/* What may be written as one or as a list, as JSON. */}}
{{- define "myelin.list" -}}
{{- kindIs "slice" . | ternary . (ternary (list) (list .) (empty .)) | toJson -}}
{{- end -}}

{{/* Fails where `ports` names one at which nothing listens. */}}
{{- define "myelin.checkPorts" -}}
{{- $listeners := include "myelin.listeners" . | fromJsonArray -}}
{{- $isKnown := true -}}
{{- range $listeners -}}
  {{- if not .from -}}{{- $isKnown = false -}}{{- end -}}
{{- end -}}
{{- range $container := .Values.extraContainers -}}
  {{- range $container.ports -}}
    {{- $listeners = append $listeners (dict "protocol" (default "TCP" .protocol) "from" .containerPort "to" .containerPort) -}}
  {{- end -}}
{{- end -}}
{{- range $port := $isKnown | ternary .Values.ports list -}}
  {{- $protocol := default "TCP" $port.protocol -}}
  {{- $isServed := false -}}
  {{- $near := list -}}
  {{- range $listeners -}}
    {{- if and (eq .protocol $protocol) (le (int .from) (int $port.port)) (ge (int .to) (int $port.port)) -}}
      {{- if .isLoopback -}}
        {{- $near = append $near .text -}}
      {{- else -}}
        {{- $isServed = true -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- if not $isServed -}}
    {{- $number := int $port.port -}}
    {{- with $near -}}
      {{- fail (printf "ports: %s is port %d, and %s is reached from within the pod alone: bind \"*:%d\"" $port.name $number (first .) $number) -}}
    {{- end -}}
    {{- $texts := list -}}
    {{- range $listeners -}}
      {{- with .text -}}{{- $texts = append $texts . -}}{{- end -}}
    {{- end -}}
    {{- $others := empty $texts | ternary "it binds nothing" (printf "it binds %s" (join ", " $texts)) -}}
    {{- fail (printf "ports: %s is port %d (%s), at which nothing in config listens: %s" $port.name $number $protocol $others) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* What listens for others and is not in `ports`, HAProxy's own metrics aside, as JSON; ranges are pools to choose from. */}}
{{- define "myelin.unreachable" -}}
{{- $reached := list (include "myelin.haproxyMetricsPort" . | int | printf "%d TCP") -}}
{{- range .Values.ports -}}
  {{- $reached = append $reached (printf "%d %s" (int .port) (default "TCP" .protocol)) -}}
{{- end -}}
{{- $texts := list -}}
{{- range include "myelin.listeners" . | fromJsonArray -}}
  {{- if and .from (eq .from .to) (not .isLoopback) (not (has (printf "%d %s" (int .from) .protocol) $reached)) -}}
    {{- $texts = append $texts .text -}}
  {{- end -}}
{{- end -}}
{{- toJson $texts -}}
{{- end -}}

{{/* The port of HAProxy's own metrics; empty where config has none, or none that others reach. */}}
{{- define "myelin.haproxyMetricsPort" -}}
{{- with (default dict .Values.config.haproxy).prometheus -}}
  {{- $address := regexFind "\\S+" (toString .bind) -}}
  {{- if not (include "myelin.isLoopback" $address) -}}
    {{- regexFind ":[0-9]+$" $address | trimPrefix ":" -}}
  {{- end -}}
{{- end -}}
{{- end -}}
