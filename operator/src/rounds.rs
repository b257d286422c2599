//! Rounds: nothing tells when somebody changes a database server, a topic or a cache by hand, so they are looked at in turn.
//!
//! To log in to a server takes more work than everything else an operator does at rest. So the rounds are paced, and with
//! many stores each is looked at less often instead of all of them more often together.

use std::{collections::BTreeSet, time::Duration};

use api::{StoreDatabase, StoreTopic};

use crate::{
    framework::{Context, Phases, Queues, Wake},
    store, store_topic,
};

/// What is in a namespace is looked at once in this time, where it is the only one.
const ROUND: Duration = Duration::from_mins(1);
/// Between one namespace and the next there is at least this.
const PAUSE: Duration = Duration::from_secs(40);

/// Once this process leads, looks at one namespace after the other until it is to stop.
pub(crate) async fn walk(context: Context, queues: Queues, Phases { lead, stop }: Phases) {
    let rounds = async {
        lead.cancelled().await;
        go_round(&context, &queues).await;
    };
    tokio::select! { () = stop.cancelled() => {}, () = rounds => {} }
}

async fn go_round(context: &Context, queues: &Queues) {
    let mut last = None;
    loop {
        tokio::time::sleep(pause(inhabited(context).len())).await;
        // Those too that came meanwhile.
        let spaces = inhabited(context);
        if let Some(space) = next(&spaces, last.as_deref()) {
            let databases = context.cache.within::<StoreDatabase>(space);
            queues.send_all(&databases.iter().map(|database| Wake::of(&**database)).collect());
            queues.send_all(&store_topic::changed(context, space).await);
            queues.send_all(&store::changed(context, space).await);
            last = Some(space.to_owned());
        }
    }
}

/// The namespaces in which there is anything to look at.
fn inhabited(context: &Context) -> BTreeSet<String> {
    let mut spaces = context.cache.namespaces::<StoreDatabase>();
    spaces.extend(context.cache.namespaces::<StoreTopic>());
    spaces
}

fn pause(spaces: usize) -> Duration {
    let spaces = u32::try_from(spaces).unwrap_or(u32::MAX).max(1);
    (ROUND / spaces).max(PAUSE)
}

/// The one after the last, and the first again after all.
fn next<'a>(spaces: &'a BTreeSet<String>, last: Option<&str>) -> Option<&'a str> {
    let later = spaces.iter().find(|space| last.is_some_and(|last| space.as_str() > last));
    later.or_else(|| spaces.first()).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_namespace_is_looked_at_once_a_minute_and_many_at_a_steady_pace() {
        let round = |spaces: u32| pause(spaces as usize) * spaces;
        assert_eq!([1, 2].map(round), [Duration::from_mins(1), Duration::from_secs(80)]);
        assert_eq!((pause(0), pause(500)), (Duration::from_mins(1), Duration::from_secs(40)));
    }

    #[test]
    fn each_has_its_turn_also_when_others_come_and_go() {
        let spaces = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let all = spaces(&["blue", "green", "red"]);
        let turns = [None, Some("blue"), Some("green"), Some("red")].map(|last| next(&all, last).unwrap());
        assert_eq!(turns, ["blue", "green", "red", "blue"]);
        // The one that was looked at last is gone.
        assert_eq!(next(&all, Some("cyan")), Some("green"));
        assert_eq!(next(&spaces(&[]), Some("blue")), None);
    }
}
