//! A shop at work: some look, some write, and whatever happens behind it, no request fails and no write is lost.

use anyhow::Result;
use serde_json::json;

use crate::{Cluster, Load, Product, Report, Shop, Shot};

/// Requests a second.
const RATE: u32 = 50;
/// Of the product that is counted, before anybody counts.
const STOCK: i64 = 100;

/// A guest who looks around, a customer who looks into their cart, and staff who note one unit after the other.
#[derive(Debug)]
pub struct Crowd {
    load: Load,
    staff: Shop,
    product: Product,
}

impl Crowd {
    /// Lets them in.
    pub async fn enter(cluster: &Cluster) -> Result<Self> {
        let staff = cluster.staff().await?;
        let product = staff.product("Scarf of many scarves", 30_000, STOCK).await?;
        let customer = cluster.shop()?.customer("Kelechi").await?;
        customer.shop.put_into_cart(&product, 2).await?;
        let mix = vec![
            Shot::get(&cluster.shop()?, "/api/products?limit=20"),
            Shot::get(&customer.shop, "/api/cart"),
            Shot::post(
                &staff,
                &format!("/api/inventory/{}/adjustments", product.variant),
                json!({"delta": 1, "reason": "found"}),
            ),
        ];
        Ok(Self { load: Load::start(RATE, mix)?, staff, product })
    }

    /// Lets them go, and tells how it went. A unit that was noted twice, or was said to be noted and is not, is a failure.
    pub async fn leave(self) -> Result<Report> {
        let mut report = self.load.stop().await?;
        let on_hand = self.staff.stock(&self.product).await?["on_hand"].as_i64().unwrap_or_default();
        let noted = on_hand - STOCK;
        if report.failures().is_empty() && usize::try_from(noted).ok() != Some(report.written()) {
            report.fail(format!("{} units were noted, and there are {noted} more", report.written()));
        }
        Ok(report)
    }
}
