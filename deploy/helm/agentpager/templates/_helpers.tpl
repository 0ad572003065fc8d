{{- define "agentpager.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "agentpager.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "agentpager.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "agentpager.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "agentpager.selector" -}}
app.kubernetes.io/name: {{ include "agentpager.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "agentpager.labels" -}}
{{ include "agentpager.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "agentpager.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "agentpager.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "agentpager.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* agentpager.yaml: what is set, and what only the chart knows. */}}
{{- define "agentpager.settings" -}}
{{- $url := ternary "${DATABASE_URL}" "sqlite:////var/lib/agentpager/agentpager.db" (eq .Values.database.kind "postgresql") }}
{{- $store := dict "url" $url }}
{{- if and (eq .Values.database.kind "postgresql") .Values.database.archiveClaim }}
{{- $_ := set $store "retention" (dict "archive" "/var/lib/agentpager/archive") }}
{{- end }}
{{- $known := dict "store" $store "http" (dict "listen" "0.0.0.0:9095") }}
{{- $settings := .Values.settings | default (.Files.Get "files/agentpager.yaml" | fromYaml) }}
{{- toYaml (mergeOverwrite $known (deepCopy $settings)) }}
{{- end }}

{{- define "agentpager.files" -}}
{{- $files := .Values.files }}
{{- if not $files }}
{{- $files = dict "agents.yaml" (.Files.Get "files/agents.yaml") "oncall.yaml" (.Files.Get "files/oncall.yaml") }}
{{- end }}
{{- $all := mergeOverwrite (dict "agentpager.yaml" (include "agentpager.settings" .)) (deepCopy $files) }}
{{- toYaml $all }}
{{- end }}

{{/* Of one pod with SQLite and of each of several with PostgreSQL. */}}
{{- define "agentpager.pod" -}}
metadata:
  labels:
    {{- include "agentpager.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if or .Values.podAnnotations .Values.monitoring.annotations }}
  annotations:
    {{- if .Values.monitoring.annotations }}
    prometheus.io/scrape: "true"
    prometheus.io/port: "9095"
    prometheus.io/path: /metrics
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
spec:
  serviceAccountName: {{ include "agentpager.serviceAccount" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: agentpager
      image: {{ include "agentpager.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve, --config, /etc/agentpager/agentpager.yaml]
      envFrom:
        - secretRef: {name: {{ .Values.secret.existing }}}
      {{- if or (eq .Values.database.kind "postgresql") .Values.env }}
      env:
        {{- if eq .Values.database.kind "postgresql" }}
        - name: DATABASE_URL
          valueFrom:
            secretKeyRef: {name: {{ .Values.database.url.secret }}, key: {{ .Values.database.url.key }}}
        {{- end }}
        {{- with .Values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      ports:
        - {name: http, containerPort: 9095}
      # Alive, and worth asking, while it answers. Being cut off from Slack is no reason to be restarted, nor one to send
      # alerts of others away: they are written down.
      startupProbe:
        httpGet: {path: /-/healthy, port: http}
        {{- toYaml .Values.probes.startup | nindent 8 }}
      livenessProbe:
        httpGet: {path: /-/healthy, port: http}
        {{- toYaml .Values.probes.liveness | nindent 8 }}
      readinessProbe:
        httpGet: {path: /-/healthy, port: http}
        {{- toYaml .Values.probes.readiness | nindent 8 }}
      {{- with .Values.resources }}
      resources: {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: config, mountPath: /etc/agentpager, readOnly: true}
        {{- range .Values.folders }}
        - {name: folder-{{ .name }}, mountPath: /etc/agentpager/{{ .name }}, readOnly: true}
        {{- end }}
        - {name: state, mountPath: /var/lib/agentpager}
        - {name: tmp, mountPath: /tmp}
  volumes:
    - name: config
      projected:
        sources:
          - configMap: {name: {{ default (include "agentpager.fullname" .) .Values.existingConfigMap }}}
    {{- range .Values.folders }}
    - name: folder-{{ .name }}
      configMap: {name: {{ .configMap }}}
    {{- end }}
    - {name: tmp, emptyDir: {}}
    {{- if eq .Values.database.kind "postgresql" }}
    - name: state
      {{- if .Values.database.archiveClaim }}
      persistentVolumeClaim: {claimName: {{ .Values.database.archiveClaim }}}
      {{- else }}
      emptyDir: {}
      {{- end }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if gt (int .Values.replicas) 1 }}
  {{- if or .Values.topologySpread.zones .Values.topologySpread.hosts }}
  topologySpreadConstraints:
    {{- with .Values.topologySpread.zones }}
    - maxSkew: 1
      topologyKey: topology.kubernetes.io/zone
      whenUnsatisfiable: {{ . }}
      labelSelector:
        matchLabels: {{- include "agentpager.selector" $ | nindent 10 }}
    {{- end }}
    {{- with .Values.topologySpread.hosts }}
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: {{ . }}
      labelSelector:
        matchLabels: {{- include "agentpager.selector" $ | nindent 10 }}
    {{- end }}
  {{- end }}
  {{- end }}
{{- end }}
