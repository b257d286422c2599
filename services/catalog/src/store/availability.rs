//! What can be ordered of each variant, as inventory tells it.

use sqlx::PgConnection;
use types::VariantId;
use uuid::Uuid;

/// Takes what inventory says, unless something newer is known.
pub(crate) async fn update(
    conn: &mut PgConnection,
    variant_id: VariantId,
    available: i64,
    version: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into availability as a (variant_id, available, version) values ($1, $2, $3)
         on conflict (variant_id) do update set available = excluded.available, version = excluded.version
             where a.version < excluded.version",
        variant_id.as_uuid(),
        available,
        version,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Assumes this stock of new variants until inventory has told of them.
pub(crate) async fn assume(conn: &mut PgConnection, stocks: &[(VariantId, i64)]) -> Result<(), sqlx::Error> {
    let (ids, units): (Vec<Uuid>, Vec<i64>) = stocks.iter().map(|(id, units)| (id.as_uuid(), *units)).unzip();
    sqlx::query!(
        "insert into availability (variant_id, available, version)
         select variant_id, available, 0 from unnest($1::uuid[], $2::bigint[]) as stock (variant_id, available)
         order by variant_id
         on conflict do nothing",
        &ids,
        &units,
    )
    .execute(conn)
    .await?;
    Ok(())
}
