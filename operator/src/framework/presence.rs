//! Kinds that a cluster may or may not know.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures::{Stream, StreamExt as _, stream};
use kube::runtime::watcher::{Error, Event};
use tokio::time::sleep;

/// How long a kind that the cluster does not know is not asked for again. The library's own back-off does not grow: that a
/// watch begins to list, as it tells each time, is a success to it.
pub(super) const UNKNOWN: Duration = Duration::from_secs(10);

/// Whether the cluster knows a kind.
#[derive(Debug, Default)]
pub(crate) struct Presence(AtomicBool);

impl Presence {
    /// Whether objects of the kind can be made.
    pub(crate) fn is_there(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn note(&self, is_there: bool) {
        self.0.store(is_there, Ordering::Release);
    }
}

/// A watch of such a kind: as long as the cluster does not know it, or the operator has no right to it, its list is empty, and
/// that is told once. The watch goes on asking, but not before `pause`.
pub(super) fn optional<K>(
    events: impl Stream<Item = Result<Event<K>, Error>> + Send,
    note: impl Fn(bool) + Send,
    pause: Duration,
) -> impl Stream<Item = Result<Event<K>, Error>> + Send
where
    K: Send,
{
    let mut told = false;
    events.flat_map(move |event| {
        let mut wait = None;
        let passed = match event {
            Err(error) if is_unknown(&error) => {
                note(false);
                wait = Some(pause);
                if std::mem::replace(&mut told, true) { vec![] } else { vec![Ok(Event::Init), Ok(Event::InitDone)] }
            }
            Ok(Event::InitDone) => {
                note(true);
                told = false;
                vec![Ok(Event::InitDone)]
            }
            other => vec![other],
        };
        stream::iter(passed).chain(stream::iter(wait).then(sleep).filter_map(async |()| None))
    })
}

fn is_unknown(error: &Error) -> bool {
    match error {
        Error::InitialListFailed(kube::Error::Api(status)) | Error::WatchStartFailed(kube::Error::Api(status)) => {
            matches!(status.code, 403 | 404)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use kube::core::Status;

    use super::*;

    fn refused(code: u16) -> Result<Event<u8>, Error> {
        let mut status = Status::failure("no", "");
        status.code = code;
        Err(Error::InitialListFailed(kube::Error::Api(status.boxed())))
    }

    /// What is passed on, and what was known of the kind at the end of it.
    async fn passed(events: Vec<Result<Event<u8>, Error>>) -> (Vec<&'static str>, bool) {
        let presence = Presence::default();
        let passed: Vec<_> =
            optional(stream::iter(events), |is_there| presence.note(is_there), Duration::ZERO).collect().await;
        let names = passed.iter().map(|event| match event {
            Ok(Event::Init) => "init",
            Ok(Event::InitApply(_)) => "listed",
            Ok(Event::InitDone) => "done",
            Ok(Event::Apply(_) | Event::Delete(_)) => "event",
            Err(_) => "error",
        });
        (names.collect(), presence.is_there())
    }

    fn listed() -> Vec<Result<Event<u8>, Error>> {
        vec![Ok(Event::Init), Ok(Event::InitApply(1)), Ok(Event::InitDone)]
    }

    #[tokio::test]
    async fn a_kind_that_the_cluster_does_not_know_is_an_empty_list_that_is_told_once() {
        let (passed, is_there) = passed(vec![Ok(Event::Init), refused(404), Ok(Event::Init), refused(403)]).await;
        assert_eq!((passed, is_there), (vec!["init", "init", "done", "init"], false));
    }

    #[tokio::test]
    async fn a_kind_that_comes_goes_and_comes_again_is_told_each_time() {
        let (came, is_there) = passed([vec![refused(404)], listed()].into_iter().flatten().collect()).await;
        assert_eq!((came, is_there), (vec!["init", "done", "init", "listed", "done"], true));
        let (went, is_there) = passed([listed(), vec![refused(404)]].into_iter().flatten().collect()).await;
        assert_eq!((went, is_there), (vec!["init", "listed", "done", "init", "done"], false));
    }

    #[tokio::test]
    async fn a_cluster_that_does_not_know_a_kind_is_asked_for_it_now_and_then() {
        const PAUSE: Duration = Duration::from_millis(10);
        let asked = stream::iter((0..1000).flat_map(|_| [Ok(Event::Init), refused(404)]));
        let told = optional(asked, |_| (), PAUSE).take_until(sleep(PAUSE * 10));
        let asked = told.filter(|event| ready(matches!(event, Ok(Event::Init)))).count().await;
        // One more for the empty list that is told.
        assert!((2..=10 + 2).contains(&asked), "{asked} times");
    }

    #[tokio::test]
    async fn an_api_server_in_trouble_is_not_one_that_does_not_know_the_kind() {
        let (passed, is_there) = passed(listed().into_iter().chain([refused(500)]).collect()).await;
        assert_eq!((passed, is_there), (vec!["init", "listed", "done", "error"], true));
    }
}
