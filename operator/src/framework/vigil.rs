//! Servers that have served: nothing tells when one goes, so each is knocked at, and whoever wants something of one that no
//! longer opens looks for itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use tokio::time::MissedTickBehavior;

use super::{Context, Phases, Queues, Wake, reach::opens};

/// Between two turns. To wake up costs more than to knock, so there are no more of them than needed.
const EVERY: Duration = Duration::from_millis(1500);
/// Servers that are knocked at in one turn: where there are more, each has its turn less often.
const AT_ONCE: usize = 15;

/// Whom which servers have served, by their addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Vigil(Arc<Mutex<BTreeMap<String, BTreeSet<Wake>>>>);

impl Vigil {
    /// Notes that servers, each `host:port`, have served an object, and no others serve it any more.
    pub(crate) fn served(&self, addresses: &[String], whom: Wake) {
        let (servers, mut known) = (addresses.join(","), self.lock());
        if known.get(&servers).is_some_and(|served| served.contains(&whom)) {
            return;
        }
        remove(&mut known, &whom);
        known.entry(servers).or_default().insert(whom);
    }

    /// Whether the server has served an object and, as far as anybody knows, still does.
    pub(crate) fn guards(&self, server: &str, whom: &Wake) -> bool {
        self.lock().get(server).is_some_and(|served| served.contains(whom))
    }

    /// Notes that an object is gone, or that it may no longer be served.
    pub(super) fn forget(&self, whom: &Wake) {
        remove(&mut self.lock(), whom);
    }

    /// Whom these servers have served, who are to find out for themselves whether they still do.
    fn lost(&self, servers: &str) -> BTreeSet<Wake> {
        self.lock().remove(servers).unwrap_or_default()
    }

    /// Whose turn it is after `last`.
    fn next(&self, last: &str) -> Vec<String> {
        let known = self.lock();
        let later = known.range::<str, _>((Bound::Excluded(last), Bound::Unbounded));
        let first = known.range::<str, _>((Bound::Unbounded, Bound::Included(last)));
        later.chain(first).take(AT_ONCE).map(|(servers, _)| servers.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<Wake>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove(known: &mut BTreeMap<String, BTreeSet<Wake>>, whom: &Wake) {
    known.retain(|_, served| !served.remove(whom) || !served.is_empty());
}

/// Once this process leads, knocks at the servers in turn until it is to stop.
pub(crate) async fn keep(context: Context, queues: Queues, Phases { lead, stop }: Phases) {
    let vigil = async {
        lead.cancelled().await;
        knock_in_turn(&context.vigil, &queues).await;
    };
    tokio::select! { () = stop.cancelled() => {}, () = vigil => {} }
}

async fn knock_in_turn(vigil: &Vigil, queues: &Queues) {
    let (mut last, mut turns) = (String::new(), tokio::time::interval(EVERY));
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let next = vigil.next(&last);
        let knock = async |servers: &String| {
            if !opens(servers).await {
                queues.send_all(&vigil.lost(servers));
            }
        };
        join_all(next.iter().map(knock)).await;
        last = next.last().cloned().unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> Wake {
        Wake { kind: "StoreTopic".to_owned(), namespace: "shop".to_owned(), name: name.to_owned() }
    }

    fn servers(number: u32) -> Vec<String> {
        vec![format!("kafka-{number}:9092"), "kafka:9092".to_owned()]
    }

    #[test]
    fn each_has_its_turn_also_when_others_come_and_go() {
        let vigil = Vigil::default();
        assert_eq!(vigil.next(""), Vec::<String>::new());
        for number in [1, 3] {
            vigil.served(&servers(number), topic(&format!("orders-{number}")));
        }
        let (first, second) = (servers(1).join(","), servers(3).join(","));
        assert_eq!(vigil.next(""), [first.clone(), second.clone()]);
        // Whoever was knocked at last is gone.
        assert_eq!(vigil.next("kafka-2:9092"), [second, first]);
    }

    #[test]
    fn of_many_servers_each_has_its_turn_once() {
        let vigil = Vigil::default();
        let number = u32::try_from(AT_ONCE).unwrap() * 2;
        for number in 1..=number {
            vigil.served(&servers(number), topic(&format!("orders-{number}")));
        }
        let first = vigil.next("");
        let second = vigil.next(first.last().unwrap());
        let both: BTreeSet<_> = first.iter().chain(&second).collect();
        assert_eq!((first.len(), second.len(), both.len()), (AT_ONCE, AT_ONCE, AT_ONCE * 2));
        assert_eq!(vigil.next(second.last().unwrap()), first);
    }

    #[test]
    fn who_was_served_by_what_is_gone_looks_once() {
        let vigil = Vigil::default();
        for name in ["orders", "users", "orders"] {
            vigil.served(&servers(1), topic(name));
        }
        vigil.served(&servers(2), topic("users"));
        assert!(vigil.guards(&servers(1).join(","), &topic("orders")));
        assert_eq!(vigil.lost(&servers(1).join(",")), BTreeSet::from([topic("orders")]));
        assert!(!vigil.guards(&servers(1).join(","), &topic("orders")));
        assert!(vigil.guards(&servers(2).join(","), &topic("users")));
        assert_eq!(vigil.lost(&servers(1).join(",")), BTreeSet::new());
        vigil.forget(&topic("users"));
        assert!(vigil.next("").is_empty(), "nobody is left whom a server served");
    }
}
