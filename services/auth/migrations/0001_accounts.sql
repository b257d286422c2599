-- Accounts, their sessions, what signs their tokens, and how often someone guessed wrong.

create table accounts (
    id            uuid        primary key,
    email         text        not null,
    name          text        not null,
    -- PHC string; the parameters are in it.
    password_hash text        not null,
    roles         text[]      not null default array ['customer'],
    disabled_at   timestamptz,
    created_at    timestamptz not null default now(),
    constraint accounts_email_key unique (email),
    constraint accounts_roles_known check (roles <@ array ['customer', 'staff', 'admin'])
);

-- A login, from its password to its end. Ended sessions are deleted.
create table sessions (
    id           uuid        primary key,
    account_id   uuid        not null references accounts (id) on delete cascade,
    -- Each refresh token follows from the one before it and this key; see domain/refresh.rs.
    chain_key    bytea       not null,
    generation   integer     not null default 0,
    -- SHA-256 of the current refresh token's secret.
    current_hash bytea       not null,
    user_agent   text,
    created_at   timestamptz not null default now(),
    last_used_at timestamptz not null default now(),
    expires_at   timestamptz not null
);
create index sessions_by_account on sessions (account_id, id desc);
create index sessions_by_expiry on sessions (expires_at);

-- Ed25519 keys that sign access tokens. The newest that everybody had time to read signs.
create table signing_keys (
    kid         text        primary key,
    private_key bytea       not null,
    public_key  bytea       not null,
    created_at  timestamptz not null default now()
);

-- Failed logins in a window of time, per address tried (and client address).
create table login_failures (
    -- SHA-256 of what is counted.
    subject     bytea       primary key,
    failures    integer     not null,
    window_ends timestamptz not null
);
create index login_failures_by_age on login_failures (window_ends);
