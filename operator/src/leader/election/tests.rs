use super::*;

const TIMING: Timing = Timing::STANDARD;
const ME: &str = "me";
const RIVAL: &str = "rival";

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A lease as the API server holds it, last renewed at a second of the holder's own clock.
fn lease(holder: Option<&str>, renewed: i64) -> Lease {
    let spec = LeaseSpec {
        holder_identity: holder.map(str::to_owned),
        lease_duration_seconds: Some(10),
        renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
        lease_transitions: Some(3),
        ..LeaseSpec::default()
    };
    let metadata = ObjectMeta {
        name: Some("operator".to_owned()),
        namespace: Some("system".to_owned()),
        resource_version: Some(renewed.to_string()),
        ..ObjectMeta::default()
    };
    Lease { metadata, spec: Some(spec) }
}

fn candidate() -> Election {
    Election::new(ME.to_owned(), TIMING)
}

/// One that has just won, by a request sent at `sent`.
fn leader(sent: Duration) -> Election {
    let mut election = candidate();
    election.won(lease(Some(ME), 1), sent);
    election
}

fn spec(lease: &Lease) -> &LeaseSpec {
    lease.spec.as_ref().unwrap()
}

#[test]
fn a_lease_that_does_not_exist_is_made_when_whoever_may_have_held_it_must_know() {
    let mut election = candidate();
    election.observe(None, seconds(1));
    assert_eq!(election.decide(seconds(1)), Ok(Step::Wait(TIMING.retry)));
    election.observe(None, seconds(10));
    assert_eq!(election.decide(seconds(10)), Ok(Step::Wait(TIMING.retry)));
    assert_eq!(election.decide(seconds(11)), Ok(Step::Create));
    let made = election.claim("system", "operator", Timestamp::UNIX_EPOCH);
    assert_eq!((made.metadata.namespace.as_deref(), made.metadata.name.as_deref()), (Some("system"), Some("operator")));
    assert_eq!((spec(&made).holder_identity.as_deref(), spec(&made).lease_transitions), (Some(ME), Some(0)));
}

#[test]
fn a_lease_without_a_holder_is_taken_at_once_and_only_in_the_version_that_was_seen() {
    for nobody in [None, Some("")] {
        let mut election = candidate();
        election.observe(Some(lease(nobody, 1)), seconds(1));
        assert_eq!(election.decide(seconds(1)), Ok(Step::Take));
        let taken = election.claim("system", "operator", Timestamp::UNIX_EPOCH);
        assert_eq!(taken.metadata.resource_version.as_deref(), Some("1"));
        assert_eq!((spec(&taken).holder_identity.as_deref(), spec(&taken).lease_transitions), (Some(ME), Some(4)));
        assert_eq!(spec(&taken).acquire_time, spec(&taken).renew_time);
    }
}

#[test]
fn a_foreign_holder_is_waited_for_as_long_as_it_has_not_been_seen_to_renew() {
    let mut election = candidate();
    election.observe(Some(lease(Some(RIVAL), 1)), seconds(100));
    assert_eq!(election.decide(seconds(100)), Ok(Step::Wait(TIMING.retry)));
    election.observe(Some(lease(Some(RIVAL), 1)), millis(109_600));
    assert_eq!(election.decide(millis(109_600)), Ok(Step::Wait(millis(400))), "not longer than it lasts");
    assert_eq!(election.decide(seconds(110)), Ok(Step::Take));
}

#[test]
fn each_renewal_of_a_foreign_holder_starts_the_wait_anew() {
    let mut election = candidate();
    for (second, renewed) in [(100, 1), (105, 2), (110, 3)] {
        election.observe(Some(lease(Some(RIVAL), renewed)), seconds(second));
    }
    assert_eq!(election.decide(seconds(119)), Ok(Step::Wait(TIMING.retry)));
    assert_eq!(election.decide(seconds(120)), Ok(Step::Take));
}

#[test]
fn the_holders_clock_does_not_matter() {
    // Far behind, far ahead, and one that jumps back: only that it changed counts.
    for renewals in [[-1_000_000, -999_997], [4_000_000_000, 4_000_000_003], [5_000, 2]] {
        let mut election = candidate();
        election.observe(Some(lease(Some(RIVAL), renewals[0])), seconds(100));
        election.observe(Some(lease(Some(RIVAL), renewals[1])), seconds(103));
        assert_eq!(election.decide(seconds(112)), Ok(Step::Wait(TIMING.retry)));
        assert_eq!(election.decide(seconds(113)), Ok(Step::Take));
    }
}

#[test]
fn the_term_is_the_one_that_the_holder_promised() {
    let long = |duration| {
        let mut lease = lease(Some(RIVAL), 1);
        lease.spec.as_mut().unwrap().lease_duration_seconds = duration;
        lease
    };
    for (duration, free) in [(Some(60), 160), (Some(0), 110), (None, 110)] {
        let mut election = candidate();
        election.observe(Some(long(duration)), seconds(100));
        assert_eq!(election.decide(seconds(free - 1)), Ok(Step::Wait(TIMING.retry)), "{duration:?}");
        assert_eq!(election.decide(seconds(free)), Ok(Step::Take), "{duration:?}");
    }
}

#[test]
fn an_annotation_by_somebody_else_is_no_renewal() {
    let mut election = candidate();
    election.observe(Some(lease(Some(RIVAL), 1)), seconds(100));
    let mut annotated = lease(Some(RIVAL), 1);
    annotated.metadata.resource_version = Some("77".to_owned());
    election.observe(Some(annotated), seconds(109));
    assert_eq!(election.decide(seconds(110)), Ok(Step::Take));
    let taken = election.claim("system", "operator", Timestamp::UNIX_EPOCH);
    assert_eq!(taken.metadata.resource_version.as_deref(), Some("77"));
}

#[test]
fn who_lost_a_race_waits_for_the_winner() {
    let mut election = candidate();
    election.observe(Some(lease(None, 1)), seconds(100));
    assert_eq!(election.decide(seconds(100)), Ok(Step::Take));
    // The write was refused: the rival's came first.
    election.observe(Some(lease(Some(RIVAL), 2)), seconds(101));
    assert_eq!(election.decide(seconds(101)), Ok(Step::Wait(TIMING.retry)));
    assert!(!election.leads());
}

#[test]
fn a_lease_that_is_deleted_stays_its_holders_until_it_would_have_ended() {
    let mut election = candidate();
    election.observe(Some(lease(Some(RIVAL), 1)), seconds(100));
    election.observe(None, seconds(101));
    assert_eq!(election.decide(seconds(109)), Ok(Step::Wait(TIMING.retry)));
    assert_eq!(election.decide(seconds(110)), Ok(Step::Create));
}

#[test]
fn a_leader_whose_lease_is_deleted_makes_it_again() {
    let mut election = leader(seconds(100));
    election.observe(None, seconds(103));
    assert_eq!(election.decide(seconds(103)), Ok(Step::Create));
    assert_eq!(election.open_until(), Some(seconds(107)), "it does not lead for longer than before");
}

#[test]
fn a_leader_renews_in_time_and_keeps_when_it_took_the_lease() {
    let election = leader(seconds(100));
    assert_eq!(election.decide(seconds(101)), Ok(Step::Wait(millis(1500))));
    assert_eq!(election.decide(millis(102_500)), Ok(Step::Renew));
    let renewed = election.claim("system", "operator", Timestamp::from_second(9).unwrap());
    assert_eq!(spec(&renewed).lease_transitions, Some(3));
    assert_eq!(spec(&renewed).renew_time, Some(MicroTime(Timestamp::from_second(9).unwrap())));
    let mut election = leader(seconds(100));
    let taken = election.claim("system", "operator", Timestamp::from_second(5).unwrap());
    election.won(taken, seconds(100));
    let renewed = election.claim("system", "operator", Timestamp::from_second(9).unwrap());
    assert_eq!(spec(&renewed).acquire_time, Some(MicroTime(Timestamp::from_second(5).unwrap())));
}

#[test]
fn a_leader_may_write_from_when_it_asked_and_not_from_when_it_was_answered() {
    let mut election = candidate();
    election.observe(None, seconds(100));
    // Sent at 100; the answer came at 106.
    election.won(lease(Some(ME), 1), seconds(100));
    assert_eq!(election.open_until(), Some(seconds(107)));
}

#[test]
fn a_leader_that_cannot_renew_stops_before_a_rival_may_start() {
    let election = leader(seconds(100));
    assert_eq!(election.decide(millis(106_999)), Ok(Step::Renew));
    assert_eq!(election.decide(seconds(107)), Err(Lost::Overdue(TIMING.renew_deadline)));
    // The rival saw the lease at the same moment at the earliest.
    let mut rival = Election::new(RIVAL.to_owned(), TIMING);
    rival.observe(Some(lease(Some(ME), 1)), seconds(100));
    assert_eq!(rival.decide(seconds(107)), Ok(Step::Wait(TIMING.retry)));
}

#[test]
fn a_process_that_was_frozen_knows_that_it_lost_before_it_looks() {
    let election = leader(seconds(100));
    assert_eq!(election.check_deadline(seconds(160)), Err(Lost::Overdue(TIMING.renew_deadline)));
    assert_eq!(election.check_deadline(seconds(102)), Ok(()));
}

#[test]
fn a_leader_that_sees_another_holder_has_lost() {
    let mut election = leader(seconds(100));
    election.observe(Some(lease(Some(RIVAL), 2)), seconds(101));
    assert_eq!(election.decide(seconds(101)), Err(Lost::Taken(RIVAL.to_owned())));
    let mut election = leader(seconds(100));
    election.observe(Some(lease(None, 2)), seconds(101));
    assert!(matches!(election.decide(seconds(101)), Err(Lost::Taken(_))));
}

#[test]
fn a_renewal_whose_answer_was_lost_is_taken_up_again() {
    // As a leader: the lease shows a renewal by this process that it was never told of.
    let mut election = leader(seconds(100));
    election.observe(Some(lease(Some(ME), 2)), seconds(104));
    assert_eq!(election.decide(seconds(104)), Ok(Step::Renew));
    // As a candidate: the first write went through, and only its answer was lost.
    let mut election = candidate();
    election.observe(Some(lease(Some(ME), 2)), seconds(100));
    assert_eq!(election.decide(seconds(100)), Ok(Step::Take));
}

#[test]
fn a_released_lease_has_no_holder_and_is_free_for_the_next() {
    let released = leader(seconds(100)).release(Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(spec(&released).holder_identity, None);
    assert_eq!(released.metadata.resource_version.as_deref(), Some("1"), "nobody else's lease is emptied");
    let mut rival = Election::new(RIVAL.to_owned(), TIMING);
    rival.observe(Some(lease(Some(ME), 1)), seconds(100));
    rival.observe(Some(released), seconds(101));
    assert_eq!(rival.decide(seconds(101)), Ok(Step::Take));
}

#[test]
fn who_does_not_lead_releases_nothing() {
    let mut election = candidate();
    election.observe(Some(lease(Some(RIVAL), 1)), seconds(100));
    assert_eq!(election.release(Timestamp::UNIX_EPOCH), None);
    let mut election = leader(seconds(100));
    election.observe(Some(lease(Some(RIVAL), 2)), seconds(101));
    assert_eq!(election.release(Timestamp::UNIX_EPOCH), None);
}
