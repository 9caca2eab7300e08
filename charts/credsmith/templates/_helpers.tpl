{{- /* What selects the pod. */}}
{{- define "credsmith.selector" -}}
app.kubernetes.io/name: credsmith
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* What every object carries. */}}
{{- define "credsmith.labels" -}}
{{ include "credsmith.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: credsmith
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
