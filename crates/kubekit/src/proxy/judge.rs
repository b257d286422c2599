//! What becomes of a request. Pure: it counts, and does nothing itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use axum::http::{HeaderValue, Method, Request, header::AUTHORIZATION};
use bytes::Bytes;

/// When an operator is killed, by the number of its writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Its k-th write is done, and it is killed before it hears so: nothing that would come after it has happened.
    Unanswered(u32),
    /// It is killed when it tries its k-th write, which is not done. Whatever comes between the write before and this one,
    /// such as words with a database server, has happened.
    Undone(u32),
}

/// Requests that are refused although the API server would take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Every how manieth on average: 2 refuses half of them, and only 1 refuses more than four in a row.
    pub every: u32,
    /// The HTTP status of the answer: 409, 429 (with `Retry-After`) or 500.
    pub code: u16,
    /// Whether reads, lists and watches are refused like writes.
    pub reads: bool,
}

/// Faults that stay until they are healed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Requests that are refused.
    pub refuse: Option<Refusal>,
    /// How long a watch lives before its connection breaks.
    pub watch_life: Option<Duration>,
    /// Every how manieth watch event is lost.
    pub lose_every: Option<u32>,
    /// How late watch events come.
    pub delay: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Write,
    List,
    Watch,
    Read,
}

/// What matters of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) class: Class,
    /// Path and label selector: what a watch follows.
    feed: String,
    /// Path and query.
    uri: String,
    caller: Option<HeaderValue>,
}

impl Asked {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let selector = query.split('&').find(|pair| pair.starts_with("labelSelector=")).unwrap_or_default();
        let parameter = |wanted: &str| query.split('&').any(|pair| pair.starts_with(wanted));
        let class = match *request.method() {
            Method::GET if parameter("watch=") => Class::Watch,
            // The client library asks for lists by pages, and for nothing else.
            Method::GET if parameter("limit=") => Class::List,
            Method::GET | Method::HEAD => Class::Read,
            _ => Class::Write,
        };
        Self {
            class,
            feed: format!("{}?{}", request.uri().path(), selector),
            uri: request.uri().to_string(),
            caller: request.headers().get(AUTHORIZATION).cloned(),
        }
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Forward,
    /// Do it, kill the process, and do not answer.
    ForwardAndKill(i32),
    /// Kill the process instead.
    Kill(i32),
    Refuse(u16),
    /// Tell the watch that it cannot be resumed.
    Expired,
    Answer(Bytes),
}

/// What becomes of a watch event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Pass(Option<Duration>),
    Lost,
}

#[derive(Debug)]
struct Planned {
    crash: Crash,
    victim: HeaderValue,
    pid: i32,
    writes: u32,
    done: bool,
}

/// The faults and the counts.
#[derive(Debug, Default)]
pub(super) struct Judge {
    pub(super) faults: Faults,
    pub(super) writes: u32,
    pub(super) refused: u32,
    pub(super) lost: u32,
    /// Lists that were asked for.
    pub(super) lists: BTreeSet<String>,
    /// Answers to lists, as they were at some moment.
    pub(super) remembered: BTreeMap<String, Bytes>,
    /// Those that are still to be served.
    pub(super) stale: BTreeMap<String, Bytes>,
    refusable: u32,
    /// Of them, those refused since the last that was not.
    in_a_row: u32,
    events: u32,
    watched: BTreeSet<String>,
    expired: BTreeSet<String>,
    planned: Option<Planned>,
}

impl Judge {
    pub(super) fn plan(&mut self, crash: Crash, victim: HeaderValue, pid: i32) {
        self.planned = Some(Planned { crash, victim, pid, writes: 0, done: false });
    }

    pub(super) fn spare(&mut self) {
        self.planned = None;
    }

    pub(super) fn has_crashed(&self) -> bool {
        self.planned.as_ref().is_some_and(|planned| planned.done)
    }

    pub(super) fn expire(&mut self) {
        self.expired = self.watched.clone();
    }

    pub(super) fn judge(&mut self, asked: &Asked) -> Verdict {
        if let Some(verdict) = self.crash(asked) {
            return verdict;
        }
        if let Some(code) = self.refusal(asked.class) {
            return Verdict::Refuse(code);
        }
        match asked.class {
            Class::Watch => {
                self.watched.insert(asked.feed.clone());
                if self.expired.remove(&asked.feed) { Verdict::Expired } else { Verdict::Forward }
            }
            Class::List => {
                self.lists.insert(asked.uri.clone());
                self.stale.remove(&asked.uri).map_or(Verdict::Forward, Verdict::Answer)
            }
            Class::Write | Class::Read => Verdict::Forward,
        }
    }

    /// What becomes of the next watch event.
    pub(super) fn event(&mut self) -> Fate {
        self.events += 1;
        if self.faults.lose_every.is_some_and(|every| self.events.is_multiple_of(every)) {
            self.lost += 1;
            return Fate::Lost;
        }
        Fate::Pass(self.faults.delay)
    }

    fn crash(&mut self, asked: &Asked) -> Option<Verdict> {
        let write = asked.class == Class::Write;
        self.writes += u32::from(write);
        let planned = self.planned.as_mut().filter(|planned| asked.caller.as_ref() == Some(&planned.victim))?;
        if planned.done {
            // Whatever was under way when it was killed does not arrive any more.
            return Some(Verdict::Kill(planned.pid));
        }
        if !write {
            return None;
        }
        planned.writes += 1;
        let verdict = match planned.crash {
            Crash::Unanswered(k) if planned.writes == k => Verdict::ForwardAndKill(planned.pid),
            Crash::Undone(k) if planned.writes == k => Verdict::Kill(planned.pid),
            Crash::Unanswered(_) | Crash::Undone(_) => return None,
        };
        planned.done = true;
        Some(verdict)
    }

    fn refusal(&mut self, class: Class) -> Option<u16> {
        let Refusal { every, code, reads } = self.faults.refuse?;
        if class != Class::Write && !reads {
            return None;
        }
        self.refusable += 1;
        if (every == 1 || self.in_a_row < MOST_IN_A_ROW) && chance(self.refusable).is_multiple_of(every.into()) {
            self.refused += 1;
            self.in_a_row += 1;
            return Some(code);
        }
        self.in_a_row = 0;
        None
    }
}

/// Who waits twice as long after each refusal is back within a quarter of a minute after so many. Chance alone would refuse
/// eight in a row somewhere, and then a test waits for minutes.
const MOST_IN_A_ROW: u32 = 4;

/// A number that is as good as drawn, and the same each time (`SplitMix64`, Steele et al. 2014). Where every third request
/// were refused, who makes three for each try would lose the same one for ever.
fn chance(turn: u32) -> u64 {
    let mixed = (u64::from(turn)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, uri: &str, caller: &str) -> Asked {
        Asked::of(&Request::builder().method(method).uri(uri).header(AUTHORIZATION, caller).body(()).unwrap())
    }

    fn write() -> Asked {
        asked(Method::PATCH, "/api/v1/namespaces/a/services/x?force=true", "me")
    }

    #[test]
    fn requests_are_told_apart_by_method_and_query() {
        let class = |method, uri| asked(method, uri, "me").class;
        assert_eq!(class(Method::GET, "/api/v1/pods?&limit=500"), Class::List);
        assert_eq!(class(Method::GET, "/api/v1/pods?&watch=true&timeoutSeconds=290"), Class::Watch);
        assert_eq!(class(Method::GET, "/api/v1/namespaces/a/secrets/x"), Class::Read);
        assert_eq!(class(Method::DELETE, "/api/v1/namespaces/a/secrets/x?"), Class::Write);
    }

    #[test]
    fn a_victim_dies_at_the_write_that_was_planned_and_stays_dead() {
        for (crash, verdict) in
            [(Crash::Unanswered(2), Verdict::ForwardAndKill(7)), (Crash::Undone(2), Verdict::Kill(7))]
        {
            let mut judge = Judge::default();
            judge.plan(crash, HeaderValue::from_static("me"), 7);
            assert_eq!(judge.judge(&asked(Method::POST, "/x", "another")), Verdict::Forward);
            assert_eq!(judge.judge(&write()), Verdict::Forward);
            assert!(!judge.has_crashed());
            assert_eq!(judge.judge(&write()), verdict);
            assert!(judge.has_crashed());
            assert_eq!(judge.judge(&asked(Method::GET, "/x", "me")), Verdict::Kill(7));
            assert_eq!(judge.judge(&asked(Method::POST, "/x", "another")), Verdict::Forward);
        }
    }

    #[test]
    fn half_of_the_writes_are_refused_and_reads_only_where_asked() {
        let mut judge = Judge::default();
        let read = asked(Method::GET, "/x", "me");
        judge.faults.refuse = Some(Refusal { every: 2, code: 409, reads: false });
        for _ in 0..1000 {
            assert_eq!(judge.judge(&read), Verdict::Forward);
            judge.judge(&write());
        }
        assert!((450..550).contains(&judge.refused), "{} of 1000", judge.refused);
        judge.faults.refuse = Some(Refusal { every: 1, code: 500, reads: true });
        for _ in 0..10 {
            assert_eq!(judge.judge(&read), Verdict::Refuse(500));
        }
        assert_eq!(judge.writes, 1000);
    }

    #[test]
    fn nobody_has_bad_luck_without_end() {
        let mut judge = Judge::default();
        judge.faults.refuse = Some(Refusal { every: 2, code: 500, reads: true });
        let verdicts: Vec<Verdict> = (0..1000).map(|_| judge.judge(&write())).collect();
        let refused = |verdicts: &[Verdict]| verdicts.iter().all(|verdict| *verdict == Verdict::Refuse(500));
        assert!(verdicts.windows(4).any(refused) && !verdicts.windows(5).any(refused));
    }

    #[test]
    fn who_makes_three_requests_for_each_try_does_not_lose_the_same_one_for_ever() {
        let mut judge = Judge::default();
        judge.faults.refuse = Some(Refusal { every: 3, code: 500, reads: true });
        let mut tries = (0..20).map(|_| [(); 3].map(|()| judge.judge(&write())));
        assert!(tries.any(|verdicts| verdicts == [Verdict::Forward, Verdict::Forward, Verdict::Forward]));
    }

    #[test]
    fn a_remembered_list_is_served_once_and_a_watch_expires_once() {
        let mut judge = Judge::default();
        let list = asked(Method::GET, "/pods?limit=500", "me");
        let watch = asked(Method::GET, "/pods?watch=true", "me");
        judge.stale.insert("/pods?limit=500".to_owned(), Bytes::from_static(b"old"));
        assert_eq!(judge.judge(&list), Verdict::Answer(Bytes::from_static(b"old")));
        assert_eq!(judge.judge(&list), Verdict::Forward);
        assert_eq!(judge.judge(&watch), Verdict::Forward);
        judge.expire();
        assert_eq!([judge.judge(&watch), judge.judge(&watch)], [Verdict::Expired, Verdict::Forward]);
    }

    #[test]
    fn every_third_event_is_lost() {
        let mut judge = Judge { faults: Faults { lose_every: Some(3), ..Faults::default() }, ..Judge::default() };
        assert_eq!([judge.event(), judge.event(), judge.event()], [Fate::Pass(None), Fate::Pass(None), Fate::Lost]);
        assert_eq!(judge.lost, 1);
    }
}
