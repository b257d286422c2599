//! The real servers, started on first use and shared by every test of every process.

use std::{
    process,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use devenv::{
    Backing, BackingError,
    backing::{Kafka, Postgres, Redis},
};

static POSTGRES: OnceLock<Postgres> = OnceLock::new();
static KAFKA: OnceLock<Kafka> = OnceLock::new();
static REDIS: OnceLock<Redis> = OnceLock::new();

pub(crate) async fn postgres() -> &'static Postgres {
    started(&POSTGRES, Backing::postgres).await
}

pub(crate) async fn kafka() -> &'static Kafka {
    started(&KAFKA, Backing::kafka).await
}

pub(crate) async fn redis() -> &'static Redis {
    started(&REDIS, Backing::redis).await
}

/// A name that no other test has, in this process or another: `test_<pid>_<number>`.
///
/// What dead processes left behind is recognised by its pid.
#[must_use]
pub fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("test_{}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Whether `name` was made by [`unique`], perhaps with more behind it, in a process that is no more.
pub(crate) fn is_abandoned(name: &str) -> bool {
    owner(name).is_some_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
}

fn owner(name: &str) -> Option<u32> {
    name.strip_prefix("test_")?.split('_').next()?.parse().ok()
}

async fn started<T: Send + Sync>(
    once: &'static OnceLock<T>,
    start: fn(&Backing) -> Result<T, BackingError>,
) -> &'static T {
    let ensure = move || once.get_or_init(|| start(&Backing::of_checkout()).unwrap_or_else(|error| give_up(&error)));
    tokio::task::spawn_blocking(ensure).await.expect("the backing services start")
}

#[expect(clippy::panic, reason = "a test without its servers has failed; the whole chain of causes says why")]
fn give_up(error: &BackingError) -> ! {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    panic!("{}", causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_tell_their_process() {
        let (first, second) = (unique(), unique());
        assert_ne!(first, second);
        assert_eq!(owner(&first), Some(process::id()));
        assert!(!is_abandoned(&first));
    }

    #[test]
    fn what_a_dead_process_left_is_recognised_and_nothing_else() {
        assert!(is_abandoned("test_4194305_7"));
        assert!(is_abandoned("test_4194305_7.order.events"));
        assert!(!is_abandoned("catalog"));
        assert!(!is_abandoned("test_of_mine"));
    }
}
