#!/bin/bash
# kafka-run-class.sh CLASS [ARGUMENT…], with KAFKA_HEAP_OPTS, KAFKA_JVM_PERFORMANCE_OPTS and KAFKA_OPTS as the official scripts know them.
set -euo pipefail
class=$1
shift
# One broker in a small heap: the serial collector needs the least memory. No performance data file: the root may be read-only.
read -ra options <<<"${KAFKA_HEAP_OPTS:--Xmx256m} ${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseSerialGC} ${KAFKA_OPTS:-}"
exec java "${options[@]}" -XX:-UsePerfData -Djava.awt.headless=true \
  -Dorg.slf4j.simpleLogger.defaultLogLevel="${KAFKA_LOG_LEVEL:-info}" -Dorg.slf4j.simpleLogger.showDateTime=true \
  -Dorg.slf4j.simpleLogger.dateTimeFormat="yyyy-MM-dd'T'HH:mm:ss.SSSXXX" \
  -cp '/opt/kafka/libs/*' "$class" "$@"
