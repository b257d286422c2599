//! Servers that have served: nothing tells when one goes, so each is knocked at, and whoever wants something of one that no
//! longer opens looks for itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Context, Phases, Queues, Wake, reach::opens};

/// Between two knocks at the same server, where there are few.
const EVERY: Duration = Duration::from_millis(1500);
/// Between a knock at one and at the next: where there are many, each is knocked at less often.
const PAUSE: Duration = Duration::from_millis(100);

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

    /// Whether servers are known that have served an object and, as far as anybody knows, still do.
    pub(crate) fn guards(&self, whom: &Wake) -> bool {
        self.lock().values().any(|served| served.contains(whom))
    }

    /// Notes that an object is gone.
    pub(super) fn forget(&self, whom: &Wake) {
        remove(&mut self.lock(), whom);
    }

    /// Whom these servers have served, who are to find out for themselves whether they still do.
    fn lost(&self, servers: &str) -> BTreeSet<Wake> {
        self.lock().remove(servers).unwrap_or_default()
    }

    /// Whose turn it is after `last`, and how many there are.
    fn next(&self, last: &str) -> (Option<String>, usize) {
        let known = self.lock();
        let later = known.range::<str, _>((Bound::Excluded(last), Bound::Unbounded)).next();
        (later.or_else(|| known.first_key_value()).map(|(servers, _)| servers.clone()), known.len())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<Wake>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove(known: &mut BTreeMap<String, BTreeSet<Wake>>, whom: &Wake) {
    known.retain(|_, served| !served.remove(whom) || !served.is_empty());
}

/// Once this process leads, knocks at one server after the other until it is to stop.
pub(crate) async fn keep(context: Context, queues: Queues, Phases { lead, stop }: Phases) {
    let vigil = async {
        lead.cancelled().await;
        knock_in_turn(&context.vigil, &queues).await;
    };
    tokio::select! { () = stop.cancelled() => {}, () = vigil => {} }
}

async fn knock_in_turn(vigil: &Vigil, queues: &Queues) {
    let (mut last, mut before) = (String::new(), 0);
    loop {
        let (next, number) = vigil.next(&last);
        // One that has just been lost makes nobody else wait for longer.
        tokio::time::sleep(pause(number.max(before))).await;
        before = number;
        if let Some(servers) = next {
            if !opens(&servers).await {
                queues.send_all(&vigil.lost(&servers));
            }
            last = servers;
        }
    }
}

fn pause(servers: usize) -> Duration {
    (EVERY / u32::try_from(servers).unwrap_or(u32::MAX).max(1)).max(PAUSE)
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
        assert_eq!(vigil.next(""), (None, 0));
        for number in [1, 3] {
            vigil.served(&servers(number), topic(&format!("orders-{number}")));
        }
        let next = |last: &str| vigil.next(last).0.unwrap();
        let (first, second) = (servers(1).join(","), servers(3).join(","));
        assert_eq!(
            (next(""), next(&first), next(&second), next("kafka-2:9092")),
            (first.clone(), second.clone(), first, second)
        );
    }

    #[test]
    fn who_was_served_by_what_is_gone_looks_once() {
        let vigil = Vigil::default();
        for name in ["orders", "users", "orders"] {
            vigil.served(&servers(1), topic(name));
        }
        vigil.served(&servers(2), topic("users"));
        assert!(vigil.guards(&topic("orders")));
        assert_eq!(vigil.lost(&servers(1).join(",")), BTreeSet::from([topic("orders")]));
        assert!(!vigil.guards(&topic("orders")) && vigil.guards(&topic("users")));
        assert_eq!(vigil.lost(&servers(1).join(",")), BTreeSet::new());
        vigil.forget(&topic("users"));
        assert_eq!(vigil.next(""), (None, 0), "nobody is left whom a server served");
    }

    #[test]
    fn many_servers_are_knocked_at_no_more_often_than_few() {
        assert_eq!([1, 3, 15].map(|number| pause(number as usize) * number), [EVERY; 3]);
        assert_eq!(pause(500), PAUSE);
    }
}
