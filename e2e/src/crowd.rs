//! A shop at work: some look, some write, and whatever happens behind it, no request fails and no write is lost.

use std::sync::Arc;

use anyhow::Result;
use serde_json::json;

use crate::{
    Cluster, Load, Product, Report, Shop, Shot, Turn,
    buyers::{Buyers, ORDERS},
    member::{LOGIN, Member, REFRESH},
};

/// Requests a second.
const RATE: u32 = 50;
/// Of the product that is counted, before anybody counts.
const STOCK: i64 = 100;
/// Requests that only look, or are cheap, before each that is neither.
const BETWEEN: usize = 4;

/// A guest who looks around, a customer who looks into their cart, and staff who note one unit after the other. Between them,
/// each second: one logs in, one gets the next tokens of a session, and customers fill their carts, order, and look what they
/// have ordered.
#[derive(Debug)]
pub struct Crowd {
    load: Load,
    staff: Shop,
    product: Product,
    buyers: Arc<Buyers>,
}

impl Crowd {
    /// Lets them in.
    pub async fn enter(cluster: &Cluster) -> Result<Self> {
        let (guest, staff) = (cluster.shop()?, cluster.staff().await?);
        let product = staff.product("Scarf of many scarves", 30_000, STOCK).await?;
        let customer = guest.customer("Kelechi").await?;
        customer.shop.put_into_cart(&product, 2).await?;
        let looks = [
            Shot::get(&guest, "/api/products?limit=20").again(),
            Shot::get(&customer.shop, "/api/cart").again(),
            Shot::post(&staff, &adjustments(&product), json!({"delta": 1, "reason": "found"})).again(),
        ];
        let member = Member::join(&guest).await?;
        let buyers = Buyers::come(&guest, &staff).await?;
        let (login, refresh, me) = (member.login(), member.refresh(), member.me());
        let (buy, orders) = (buyers.next(), buyers.orders());
        let others = [&login, &buy, &orders, &me, &buy, &refresh, &orders, &me, &buy, &orders];
        Ok(Self { load: Load::start(RATE, mix(&looks, &others))?, staff, product, buyers })
    }

    /// Lets them go, and tells how it went. What was done twice, or was said to be done and is not, is a failure, and so is a
    /// service that nobody wrote to.
    pub async fn leave(self) -> Result<Report> {
        let mut report = self.load.stop().await?;
        if !report.failures().is_empty() {
            return Ok(report);
        }
        let on_hand = self.staff.stock(&self.product).await?["on_hand"].as_i64().unwrap_or_default();
        let (noted, told) = (on_hand - STOCK, report.of(&format!("POST {}", adjustments(&self.product))));
        if usize::try_from(noted).ok() != Some(told) {
            report.fail(format!("{told} units were noted, and there are {noted} more"));
        }
        for difference in self.buyers.differences().await? {
            report.fail(difference);
        }
        for path in [LOGIN, REFRESH, ORDERS] {
            if report.of(&format!("POST {path}")) == 0 {
                report.fail(format!("nothing was posted to {path}"));
            }
        }
        Ok(report)
    }
}

fn adjustments(product: &Product) -> String {
    format!("/api/inventory/{}/adjustments", product.variant)
}

/// Each of `others` after some of `looks`.
fn mix(looks: &[Turn], others: &[&Turn]) -> Vec<Turn> {
    let mut looks = looks.iter().cycle();
    let mut mix = Vec::new();
    for other in others {
        mix.extend(looks.by_ref().take(BETWEEN).chain([*other]).cloned());
    }
    mix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_all_of_the_mix() {
        let shop = Shop::new("http://localhost").unwrap();
        let turn = |path: &str| Shot::get(&shop, path).again();
        let (look, login, buy) = (turn("/look"), turn("/login"), turn("/buy"));
        let paths: Vec<String> = mix(&[look], &[&login, &buy]).iter().map(|turn| format!("{:?}", turn())).collect();
        let of = |path: &str| paths.iter().filter(|held| held.ends_with(path)).count();
        assert_eq!((of("/look"), of("/login"), of("/buy")), (8, 1, 1));
        assert_eq!(RATE as usize, (BETWEEN + 1) * 10, "ten others make a second");
    }
}
