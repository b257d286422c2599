#!/bin/bash
KAFKA_LOG_LEVEL=${KAFKA_LOG_LEVEL:-warn} exec "${0%/*}/kafka-run-class.sh" org.apache.kafka.tools.BrokerApiVersionsCommand "$@"
