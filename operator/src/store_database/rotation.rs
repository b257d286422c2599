//! When a password is replaced, and when the one before it ends. Pure.
//!
//! A database has two roles to log in with, and its Secret says which is in use. A rotation gives the other role a new
//! password, on the server first and then, with one write, in the Secret. Pods that start from then on use the new
//! login, pods that run keep theirs, and once none of those is left the role they used is closed. Which of these steps is
//! next follows from the Secret, the pods and the roles alone, so that a crash between two of them loses nothing: a
//! password that did not get into the Secret belongs to a role that nobody uses, and is replaced.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{credential::Credential, sql::Spare};

/// How long a connection that belongs to no pod, such as a person's, may outlive the password it was made with.
const GRACE: SignedDuration = SignedDuration::from_mins(10);

/// What is asked of all databases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// The request that came last.
    pub(crate) request: Option<String>,
    /// The age at which a password is replaced.
    pub(crate) interval: Option<SignedDuration>,
}

/// What to do next for one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing.
    Rest,
    /// Something else has to happen first.
    Wait(String),
    /// Give the other role a new password and put it into the Secret.
    Begin,
    /// Close the role that is no longer in use.
    Close,
    /// The other role cannot be had.
    Blocked,
}

/// The next step. `spare`: what there is of the role that is not in use.
pub(crate) fn next(wish: &Wish, held: &Credential, spare: Spare, now: Timestamp) -> Step {
    let due = is_due(wish, held, now);
    let behind = || format!("{} pods still use the login before", held.pods_behind);
    match spare {
        Spare::Open { .. } if held.pods_behind > 0 => Step::Wait(behind()),
        Spare::Open { sessions } if sessions > 0 && !is_over(held, now) => {
            Step::Wait(format!("{sessions} connections that belong to no pod still use the login before"))
        }
        Spare::Open { .. } => Step::Close,
        Spare::Taken if due => Step::Blocked,
        Spare::Closed if due && held.pods_behind > 0 => Step::Wait(behind()),
        Spare::Closed if due => Step::Begin,
        Spare::Taken | Spare::Closed => Step::Rest,
    }
}

/// Whether the login is to be replaced: a request came that it was not made for, or it is too old.
pub(crate) fn is_due(wish: &Wish, held: &Credential, now: Timestamp) -> bool {
    let asked = wish.request.is_some() && wish.request != held.request;
    let since = held.rotated.or(held.made);
    let old = matches!((wish.interval, since), (Some(interval), Some(since)) if now.duration_since(since) >= interval);
    asked || old
}

/// How long until the login gets too old, if it ever does.
pub(crate) fn due_in(wish: &Wish, held: &Credential, now: Timestamp) -> Option<Duration> {
    let age = now.duration_since(held.rotated.or(held.made)?);
    Some(Duration::try_from(wish.interval? - age).unwrap_or_default())
}

fn is_over(held: &Credential, now: Timestamp) -> bool {
    held.rotated.is_none_or(|rotated| now.duration_since(rotated) >= GRACE)
}

#[cfg(test)]
mod tests {
    use super::{
        super::sql::{Password, Seat},
        *,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A login that has been in its Secret since second 0.
    fn held(request: Option<&str>, pods_behind: usize) -> Credential {
        let password = Password::from_secret("kept").unwrap();
        Credential { made: Some(at(0)), pods_behind, ..Credential::new(password, request.map(str::to_owned)) }
    }

    fn asked(value: &str) -> Wish {
        Wish { request: Some(value.to_owned()), interval: None }
    }

    #[test]
    fn a_password_is_replaced_once_for_each_request() {
        let next = |request, held| next(&asked(request), &held, Spare::Closed, at(9));
        assert_eq!(next("1", held(None, 0)), Step::Begin);
        assert_eq!(next("1", held(Some("1"), 0)), Step::Rest);
        assert_eq!(next("2", held(Some("1"), 0)), Step::Begin);
        assert_eq!(super::next(&Wish::default(), &held(Some("1"), 0), Spare::Closed, at(9)), Step::Rest);
    }

    #[test]
    fn a_password_is_replaced_when_it_is_old_enough_counted_from_its_last_rotation() {
        let hourly = Wish { request: None, interval: Some(SignedDuration::from_hours(1)) };
        let rotated = Credential { rotated: Some(at(3000)), ..held(None, 0) };
        let next = |held: &Credential, second| next(&hourly, held, Spare::Closed, at(second));
        assert_eq!((next(&held(None, 0), 3599), next(&held(None, 0), 3600)), (Step::Rest, Step::Begin));
        assert_eq!((next(&rotated, 6599), next(&rotated, 6600)), (Step::Rest, Step::Begin));
        // A Secret that is still to be written is as young as can be.
        assert_eq!(next(&Credential { made: None, ..held(None, 0) }, 9999), Step::Rest);
    }

    #[test]
    fn the_next_rotation_is_known_beforehand() {
        let hourly = Wish { request: None, interval: Some(SignedDuration::from_hours(1)) };
        let due = |second| due_in(&hourly, &held(None, 0), at(second));
        assert_eq!((due(600), due(3600)), (Some(Duration::from_mins(50)), Some(Duration::ZERO)));
        assert_eq!(due(9999), Some(Duration::ZERO));
        assert_eq!(due_in(&Wish::default(), &held(None, 0), at(600)), None);
    }

    #[test]
    fn the_login_before_is_closed_when_no_pod_has_it_and_no_sooner() {
        let open = |sessions, pods_behind| {
            let held = Credential { rotated: Some(at(0)), seat: Seat::Second, ..held(Some("1"), pods_behind) };
            next(&asked("1"), &held, Spare::Open { sessions }, at(9))
        };
        assert_eq!(open(4, 2), Step::Wait("2 pods still use the login before".to_owned()));
        assert_eq!(open(0, 2), Step::Wait("2 pods still use the login before".to_owned()));
        assert!(matches!(open(1, 0), Step::Wait(why) if why.starts_with("1 connections that belong to no pod")));
        assert_eq!(open(0, 0), Step::Close);
    }

    #[test]
    fn a_connection_of_nobody_s_pod_is_ended_after_ten_minutes() {
        let held = Credential { rotated: Some(at(0)), ..held(Some("1"), 0) };
        let next = |second| next(&asked("1"), &held, Spare::Open { sessions: 1 }, at(second));
        assert!(matches!(next(599), Step::Wait(_)));
        assert_eq!(next(600), Step::Close);
    }

    #[test]
    fn a_second_rotation_waits_for_the_end_of_the_first() {
        let held = Credential { rotated: Some(at(0)), ..held(Some("1"), 1) };
        assert!(matches!(next(&asked("2"), &held, Spare::Open { sessions: 3 }, at(9)), Step::Wait(_)));
        assert!(matches!(next(&asked("2"), &held, Spare::Closed, at(9)), Step::Wait(_)));
    }

    #[test]
    fn a_role_that_is_somebody_else_s_is_left_alone() {
        assert_eq!(next(&asked("1"), &held(None, 0), Spare::Taken, at(9)), Step::Blocked);
        assert_eq!(next(&asked("1"), &held(Some("1"), 0), Spare::Taken, at(9)), Step::Rest);
    }
}
