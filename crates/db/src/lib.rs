//! PostgreSQL: pool, transactions, outbox, inbox, idempotency.
