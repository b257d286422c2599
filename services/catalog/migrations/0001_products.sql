-- Trigrams find names by a part of them, also where it is misspelt. A trusted extension: the database's owner may create it.
create extension if not exists pg_trgm;

create table categories (
    id   bigint generated always as identity primary key,
    -- The name in lower case: "Bags" and "bags" are one category.
    key  text not null constraint categories_key_key unique,
    slug text not null constraint categories_slug_key unique,
    name text not null
);

create table products (
    -- UUIDv7: the newest product has the largest id.
    id               uuid        primary key,
    slug             text        not null constraint products_slug_key unique,
    name             text        not null,
    -- What lists by name are sorted by.
    sort_name        text        not null generated always as (lower(name)) stored,
    description      text        not null,
    category_id      bigint      references categories,
    status           text        not null check (status in ('draft', 'active', 'archived')),
    -- Share of recycled material in percent; null where nobody has said.
    recycled_percent smallint    check (recycled_percent between 0 and 100),
    -- Greenhouse gases per unit, in grams of CO2 equivalent; null where nobody has said.
    co2e_grams       bigint      check (co2e_grams >= 0),
    -- Counts the changes; also the entity tag.
    version          bigint      not null default 1,
    created_at       timestamptz not null default now(),
    search           tsvector    not null generated always as (
        setweight(to_tsvector('english', name), 'A') || setweight(to_tsvector('english', description), 'B')
    ) stored
);
create index products_by_age on products (status, id);
create index products_by_name on products (status, sort_name, id);
create index products_of_category on products (category_id, status, id);
create index products_search on products using gin (search);
create index products_trigrams on products using gin (sort_name gin_trgm_ops);

create table variants (
    id             uuid   primary key,
    product_id     uuid   not null references products,
    sku            text   not null constraint variants_sku_key unique,
    -- What tells it from the other variants of the product; null where there is nothing to tell.
    name           text,
    price_amount   bigint not null check (price_amount >= 0),
    price_currency text   not null,
    -- Its place among the variants of the product.
    position       int    not null,
    constraint variants_position_key unique (product_id, position)
);
create index variants_by_sku on variants (lower(sku));

-- What inventory says can be ordered. It may hear of a variant before this service has written it, so nothing refers to
-- anything here.
create table availability (
    variant_id uuid   primary key,
    available  bigint not null,
    -- Inventory's count of changes: what is older is ignored. 0 for what was said on creation.
    version    bigint not null
);
