//! Customers who fill their cart, order what is in it, and begin again when it is empty.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use serde_json::{Value, json};

use crate::{Customer, Product, Shop, Shot, Turn, shop};

pub(crate) const ORDERS: &str = "/api/orders";

/// How many they are: enough that some are there while others wait for an answer.
const BUYERS: usize = 4;
/// Units that nobody runs out of.
const STOCK: i64 = 100_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Buyers {
    product: Product,
    all: Vec<Customer>,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    /// Those who wait for no answer, and what they do next.
    free: VecDeque<(usize, Step)>,
    /// The orders that somebody was told of.
    placed: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Put one unit into the cart.
    Fill,
    /// Order what is in it.
    Order,
    /// Look whether the order's event has emptied it.
    Look,
}

impl Step {
    /// What comes after it, going by the answer.
    fn next(self, answer: &Value) -> Self {
        match self {
            Self::Fill => Self::Order,
            Self::Look if answer["items"] == json!([]) => Self::Fill,
            Self::Order | Self::Look => Self::Look,
        }
    }
}

impl Buyers {
    /// Registers them.
    pub(crate) async fn come(guest: &Shop, staff: &Shop) -> Result<Arc<Self>> {
        let product = staff.product("Button of a button", 500, STOCK).await?;
        let mut all = Vec::new();
        for number in 0..BUYERS {
            all.push(guest.customer(&format!("Buyer{number}")).await?);
        }
        let free = (0..BUYERS).map(|who| (who, Step::Fill)).collect();
        Ok(Arc::new(Self { product, all, held: Mutex::new(Held { free, placed: BTreeSet::new() }) }))
    }

    /// The next step of whoever has waited longest. Where all wait for answers, somebody looks at their orders instead.
    pub(crate) fn next(self: &Arc<Self>) -> Turn {
        let buyers = Arc::clone(self);
        Arc::new(move || {
            let Some((who, step)) = buyers.lock().free.pop_front() else { return buyers.look_at_orders() };
            let (heard, shop) = (Arc::clone(&buyers), &buyers.all[who].shop);
            let asked = match step {
                Step::Fill => Shot::post(shop, shop::CART_ITEMS, shop::line(&buyers.product, 1)),
                Step::Order => Shot::post(shop, ORDERS, shop::order()),
                Step::Look => Shot::get(shop, "/api/cart"),
            };
            asked.then(move |answer| heard.hear(who, step, answer))
        })
    }

    /// The newest orders of one of them.
    pub(crate) fn orders(self: &Arc<Self>) -> Turn {
        let buyers = Arc::clone(self);
        Arc::new(move || buyers.look_at_orders())
    }

    /// Orders that somebody was told of and that are not there, and orders that nobody was told of.
    pub(crate) async fn differences(&self) -> Result<Vec<String>> {
        let mut there = BTreeSet::new();
        for customer in &self.all {
            let mut path = Some("/api/orders?limit=100".to_owned());
            while let Some(wanted) = path {
                let page = customer.shop.get(&wanted).send().await?.expect(200)?.json()?;
                there.extend(page["items"].as_array().into_iter().flatten().map(|order| order["id"].to_string()));
                path = page["next"].as_str().map(|next| format!("/api/orders?limit=100&cursor={next}"));
            }
        }
        let placed = self.lock().placed.clone();
        let lost = placed.difference(&there).map(|order| format!("order {order} was placed and is not there"));
        let more = there.difference(&placed).map(|order| format!("order {order} is there and nobody was told"));
        Ok(lost.chain(more).collect())
    }

    fn look_at_orders(&self) -> Shot {
        Shot::get(&self.all[0].shop, "/api/orders?limit=20")
    }

    fn hear(&self, who: usize, step: Step, answer: &Value) {
        let mut held = self.lock();
        if step == Step::Order {
            held.placed.insert(answer["id"].to_string());
        }
        held.free.push_back((who, step.next(answer)));
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cart_is_filled_again_only_when_the_order_has_emptied_it() {
        let (full, empty) = (json!({"items": [{"quantity": 1}]}), json!({"items": []}));
        assert_eq!(Step::Fill.next(&full), Step::Order);
        assert_eq!(Step::Order.next(&json!({"id": "a"})), Step::Look);
        assert_eq!(Step::Look.next(&full), Step::Look);
        assert_eq!(Step::Look.next(&empty), Step::Fill);
    }
}
