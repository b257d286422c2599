-- How much there is of each variant. `available` is never stored: it is on_hand - reserved.
create table stock (
    variant_id uuid   primary key,
    on_hand    bigint not null,
    -- Units held for orders that are not paid yet.
    reserved   bigint not null default 0,
    -- Counts the changes; also the entity tag.
    version    bigint not null default 1,
    constraint stock_on_hand_range check (on_hand between 0 and 1000000000),
    constraint stock_reserved_range check (reserved between 0 and on_hand)
);

-- Stock held for an order. A released reservation stays as a tombstone, so that a late Reserve cannot hold stock for ever.
create table reservations (
    order_id    uuid        primary key,
    status      text        not null check (status in ('held', 'released')),
    -- By this database's clock.
    expires_at  timestamptz not null,
    created_at  timestamptz not null default now(),
    released_at timestamptz,
    check ((status = 'released') = (released_at is not null))
);
create index reservations_due on reservations (expires_at) where status = 'held';

create table reservation_lines (
    order_id   uuid   not null references reservations on delete cascade,
    variant_id uuid   not null,
    quantity   bigint not null check (quantity > 0),
    primary key (order_id, variant_id)
);

-- Every change of stock, with its cause: per variant, the sums of the deltas are on_hand and reserved.
create table movements (
    seq            bigint generated always as identity primary key,
    variant_id     uuid        not null references stock,
    kind           text        not null check (kind in ('initial', 'adjustment', 'reserved', 'released')),
    on_hand_delta  bigint      not null,
    reserved_delta bigint      not null,
    reason         text,
    order_id       uuid,
    -- The account that made it; none for what the shop does by itself.
    actor_id       uuid,
    created_at     timestamptz not null default now()
);
create index movements_of_variant on movements (variant_id, seq);
