-- What every service's database has beside the service's own tables. It lives in a schema of its own, so that a service's
-- migrations and these never meet.

-- Events that are true and not on Kafka yet. The relay deletes what it has published.
create table platform.outbox (
    seq        bigint generated always as identity primary key,
    topic      text        not null,
    key        text        not null,
    payload    bytea       not null,
    created_at timestamptz not null default now()
);

-- Events a consumer has taken, written in the transaction of their effect.
create table platform.inbox (
    consumer    text        not null,
    event_id    uuid        not null,
    received_at timestamptz not null default now(),
    primary key (consumer, event_id)
);
create index inbox_by_age on platform.inbox (received_at);

-- Requests with an Idempotency-Key, and their answers.
create table platform.idempotency (
    scope        text        not null,
    key          text        not null,
    request_hash bytea       not null,
    -- The id of what the request creates: the same however often it is tried.
    subject      uuid        not null,
    -- While a request is under way: until when a twin is told to wait.
    locked_until timestamptz,
    status       smallint,
    answer       json,
    created_at   timestamptz not null default now(),
    primary key (scope, key),
    check ((status is null) = (answer is null))
);
create index idempotency_by_age on platform.idempotency (created_at);
