-- Orders, their lines and their payments.

-- Numbers for people. They may have gaps: a checkout that fails at the last moment has used one up.
create sequence order_numbers as bigint;

create table orders (
    id               uuid        primary key,
    number           text        not null,
    customer_id      uuid        not null,
    status           text        not null
        check (status in ('pending', 'paid', 'shipped', 'delivered', 'cancelled', 'refunded', 'partially_refunded')),
    -- ISO 4217; every amount of the order is in it, in minor units.
    currency         text        not null check (char_length(currency) = 3),
    total            bigint      not null check (total >= 0),
    shipping_address jsonb       not null,
    -- Until when it may be paid. Decided, and compared, by this database's clock.
    payment_due_at   timestamptz not null,
    -- Counts the changes: the ETag.
    version          bigint      not null default 1,
    created_at       timestamptz not null default now(),
    updated_at       timestamptz not null default now(),
    constraint orders_number unique (number)
);
-- Ids sort by the time of the checkout, so they are the order of the lists too.
create index orders_by_customer on orders (customer_id, id desc);
create index orders_unpaid on orders (payment_due_at) where status = 'pending';

create table order_lines (
    order_id   uuid    not null references orders,
    position   integer not null,
    variant_id uuid    not null,
    sku        text    not null,
    name       text    not null,
    quantity   integer not null check (quantity > 0),
    unit_price bigint  not null check (unit_price >= 0),
    line_total bigint  not null check (line_total >= 0),
    primary key (order_id, position)
);

create table payments (
    id         uuid        primary key,
    order_id   uuid        not null references orders,
    method     text        not null check (method in ('wallet', 'paystack')),
    status     text        not null check (status in ('pending', 'succeeded', 'failed', 'cancelled')),
    amount     bigint      not null check (amount >= 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint payments_order unique (order_id)
);

-- Checkouts under way: what was in the cart, at which prices, written before stock is reserved for it. A try that was
-- broken off goes on from here, so that the order is what the reservation holds, whatever the cart holds by then.
create table checkouts (
    order_id   uuid        primary key,
    draft      jsonb       not null,
    created_at timestamptz not null default now()
);
create index checkouts_by_age on checkouts (created_at);
