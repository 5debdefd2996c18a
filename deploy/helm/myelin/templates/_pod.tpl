{{/* The pod of every shape. */}}
{{- define "myelin.pod" -}}
{{- $isSidecar := eq .Values.shape "sidecar" -}}
metadata:
  labels:
    {{- include "myelin.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: myelin
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "myelin.serviceAccountName" . }}
  # Myelin's container gets a token of its own where it needs one; HAProxy and others get none.
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- if .Values.handover.enabled }}
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  {{- end }}
  terminationGracePeriodSeconds: {{ add .Values.drain.delaySeconds .Values.drain.graceSeconds 10 }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: {{ .Values.runAsUser }}
    runAsGroup: {{ .Values.runAsUser }}
    fsGroup: {{ .Values.runAsUser }}
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: { type: RuntimeDefault }
    {{- if eq .Values.lowPorts "sysctl" }}
    sysctls:
      - { name: net.ipv4.ip_unprivileged_port_start, value: '0' }
    {{- end }}
  {{- if $isSidecar }}
  initContainers:
    # HAProxy finds a whole file when it starts.
    - name: first-config
      {{- include "myelin.container" (dict "root" . "args" (list "--once" "--no-apply")) | nindent 6 }}
    # A sidecar of Kubernetes: it ends after HAProxy, whose servers it keeps in step while connections finish.
    - name: myelin
      restartPolicy: Always
      {{- include "myelin.container" (dict "root" . "args" list) | nindent 6 }}
      {{- include "myelin.probes" . | nindent 6 }}
  containers:
    - name: haproxy
      image: {{ include "myelin.image" (dict "image" .Values.haproxy.image) }}
      imagePullPolicy: {{ .Values.haproxy.image.pullPolicy }}
      # Not by the image's own script, which needs a shell. Only this user may give orders to the master.
      command: [haproxy, -W, -db, -S, '/run/haproxy/master.sock,mode,600,level,admin', -f, /run/haproxy/haproxy.cfg]
      {{- include "myelin.traffic" . | nindent 6 }}
      # Ready as long as it runs: whether it serves is what Myelin's probe says. No port tells that, as the service of any
      # one may be quarantined, or be reached by UDP.
      volumeMounts:
        - { name: haproxy, mountPath: /run/haproxy }
        {{- with .Values.haproxy.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      resources:
        {{- toYaml .Values.haproxy.resources | nindent 8 }}
      securityContext:
        {{- include "myelin.security" (dict "root" . "hasHaproxy" true) | nindent 8 }}
  {{- else }}
  {{- if .Values.handover.enabled }}
  initContainers:
    # The kubelet makes the folder for root.
    - name: handover-folder
      image: {{ include "myelin.image" (dict "image" .Values.image "tag" .Chart.AppVersion) }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command: [chown, '{{ .Values.runAsUser }}:{{ .Values.runAsUser }}', /run/handover]
      volumeMounts:
        - { name: handover, mountPath: /run/handover }
      resources:
        requests: { cpu: 10m, memory: 16Mi }
        limits: { memory: 64Mi }
      securityContext:
        runAsNonRoot: false
        runAsUser: 0
        runAsGroup: 0
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL], add: [CHOWN] }
  {{- end }}
  containers:
    - name: myelin
      {{- include "myelin.container" (dict "root" . "args" list) | nindent 6 }}
      {{- include "myelin.traffic" . | nindent 6 }}
      {{- include "myelin.probes" . | nindent 6 }}
  {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "myelin.volumes" . | nindent 4 }}
  {{- if kindIs "slice" .Values.topologySpreadConstraints }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- else if ne .Values.shape "daemonset" }}
  # What one node or zone takes with it should not be all; better together than not at all.
  topologySpreadConstraints:
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "myelin.selector" $ | nindent 10 }}
      # Not counted beside those that they replace.
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
  {{- range $field := list "nodeSelector" "affinity" "tolerations" }}
  {{- with get $.Values $field }}
  {{ $field }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
{{- end -}}

{{/* Myelin's container but for its name. Takes { root, args }: further arguments of `run`. */}}
{{- define "myelin.container" -}}
{{- $isSidecar := eq .root.Values.shape "sidecar" -}}
image: {{ include "myelin.image" (dict "image" .root.Values.image "tag" .root.Chart.AppVersion) }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: {{ concat (list "run" "--config" "/etc/myelin/myelin.yaml") .args | toJson }}
env:
  - { name: NODE_NAME, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }
  - { name: NODE_IP, valueFrom: { fieldRef: { fieldPath: status.hostIP } } }
  - { name: POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
  - { name: POD_NAMESPACE, valueFrom: { fieldRef: { fieldPath: metadata.namespace } } }
  {{- if .root.Values.handover.enabled }}
  - { name: POD_UID, valueFrom: { fieldRef: { fieldPath: metadata.uid } } }
  {{- end }}
  {{- with .root.Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumeMounts:
  # Folders, not single files by subPath: those would stay what they were when the pod started.
  - { name: config, mountPath: /etc/myelin, readOnly: true }
  {{- if .root.Values.templates }}
  - { name: templates, mountPath: /etc/myelin-templates, readOnly: true }
  {{- end }}
  - { name: run, mountPath: /run/myelin }
  {{- if .root.Values.handover.enabled }}
  - { name: handover, mountPath: /run/handover }
  {{- end }}
  {{- if $isSidecar }}
  - { name: haproxy, mountPath: /run/haproxy }
  {{- end }}
  {{- if include "myelin.inCluster" .root | fromJsonArray }}
  - { name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
  {{- end }}
  {{- with .root.Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
resources:
  {{- toYaml .root.Values.resources | nindent 2 }}
securityContext:
  {{- include "myelin.security" (dict "root" .root "hasHaproxy" (not $isSidecar)) | nindent 2 }}
{{- end -}}

{{/* Takes { root, hasHaproxy }. */}}
{{- define "myelin.security" -}}
{{- $isBinding := and .hasHaproxy (eq .root.Values.lowPorts "netBindService") -}}
allowPrivilegeEscalation: {{ $isBinding }}
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
  {{- if $isBinding }}
  add: [NET_BIND_SERVICE]
  {{- end }}
{{- end -}}

{{/* Of the container that HAProxy is in: where it listens, and how it leaves. */}}
{{- define "myelin.traffic" -}}
{{- /* In the network of its node they would be ports of the node, and keep the next pod from coming. */ -}}
{{- if not .Values.handover.enabled -}}
ports:
  {{- range .Values.ports }}
  - name: {{ .name }}
    containerPort: {{ .port }}
    {{- with .hostPort }}
    hostPort: {{ . }}
    {{- end }}
    {{- with .hostIP }}
    hostIP: {{ . | quote }}
    {{- end }}
    protocol: {{ default "TCP" .protocol }}
  {{- end }}
  {{- if ne .Values.shape "sidecar" }}
  - { name: probes, containerPort: 8406 }
  {{- end }}
{{ end -}}
{{- if .Values.drain.delaySeconds -}}
lifecycle:
  # The pod is no longer ready, and HAProxy takes connections until everybody knows.
  preStop: { sleep: { seconds: {{ .Values.drain.delaySeconds }} } }
{{- end }}
{{- end -}}

{{- define "myelin.probes" -}}
{{- if eq .Values.shape "sidecar" -}}
ports:
  - { name: probes, containerPort: 8406 }
{{ end -}}
{{- if .Values.handover.enabled -}}
# Not over the network, where the Myelin before would answer. What was ready once stays so: the pod that leaves has the
# same address as the next one, and a Service must not lose it.
startupProbe:
  exec: { command: {{ include "myelin.probe" "ready" }} }
  periodSeconds: 3
  timeoutSeconds: 10
  failureThreshold: 600
{{- else -}}
readinessProbe:
  httpGet: { path: /readyz, port: 8406 }
  periodSeconds: 2
  timeoutSeconds: 2
{{- end }}
# Over the control socket: whoever reaches the pod could keep the kubelet from an answer over the network, and have the pod
# killed. Seldom, as each starts a program, and patient: in one container HAProxy ends with Myelin.
livenessProbe:
  exec: { command: {{ include "myelin.probe" "live" }} }
  initialDelaySeconds: 10
  periodSeconds: 30
  timeoutSeconds: 10
  failureThreshold: 4
{{- end -}}

{{- define "myelin.probe" -}}
{{- list "myelin" "probe" . "--socket" "/run/myelin/myelin.sock" | toJson -}}
{{- end -}}

{{- define "myelin.volumes" -}}
- name: config
  configMap: { name: {{ include "myelin.fullname" . }} }
{{- if .Values.templates }}
- name: templates
  configMap: { name: {{ include "myelin.fullname" . }}-templates }
{{- end }}
- name: run
  emptyDir: { sizeLimit: {{ .Values.runSizeLimit }} }
{{- if .Values.handover.enabled }}
# Of the node: the next pod finds here the HAProxy of the one before.
- name: handover
  hostPath: { path: {{ printf "%s/%s.%s" .Values.handover.hostPath .Release.Namespace (include "myelin.fullname" .) | quote }}, type: DirectoryOrCreate }
{{- end }}
{{- if eq .Values.shape "sidecar" }}
# haproxy.cfg and the sockets of HAProxy.
- name: haproxy
  emptyDir: { sizeLimit: {{ .Values.runSizeLimit }} }
{{- end }}
{{- if include "myelin.inCluster" . | fromJsonArray }}
- name: token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: { path: token, expirationSeconds: 3607 }
      - configMap: { name: kube-root-ca.crt, items: [{ key: ca.crt, path: ca.crt }] }
      - downwardAPI: { items: [{ path: namespace, fieldRef: { fieldPath: metadata.namespace } }] }
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
