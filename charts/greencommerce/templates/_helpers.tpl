{{/* The name every object of the operator carries: the release, and what it is. */}}
{{- define "greencommerce.fullname" -}}
{{- printf "%s-operator" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of what belongs to no namespace: releases of one name in two namespaces must not meet there. */}}
{{- define "greencommerce.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "greencommerce.fullname" .) -}}
{{- end -}}

{{/* The labels that select the operator's Pods: never changed, because a Deployment's selector cannot change. */}}
{{- define "greencommerce.selectorLabels" -}}
app.kubernetes.io/name: greencommerce-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "greencommerce.labels" -}}
{{ include "greencommerce.selectorLabels" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: greencommerce
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "greencommerce.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}
