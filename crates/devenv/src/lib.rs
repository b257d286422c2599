//! PostgreSQL, Kafka and Redis as plain processes on a development machine.
