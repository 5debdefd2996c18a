{{- define "myelin.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "myelin.fullname" -}}
{{- $name := include "myelin.name" . -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- default $full .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "myelin.selector" -}}
app.kubernetes.io/name: {{ include "myelin.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "myelin.labels" -}}
{{ include "myelin.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The metadata of every object but those with a name or namespace of their own. */}}
{{- define "myelin.metadata" -}}
name: {{ include "myelin.fullname" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "myelin.labels" . | nindent 2 }}
{{- end -}}

{{- define "myelin.serviceAccountName" -}}
{{- default (.Values.serviceAccount.create | ternary (include "myelin.fullname" .) "default") .Values.serviceAccount.name -}}
{{- end -}}

{{/* Takes { image, tag }: the tag where the image names none. */}}
{{- define "myelin.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .tag .image.tag) -}}
{{- end -}}
{{- end -}}
