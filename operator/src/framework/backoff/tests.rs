use super::*;

/// One that wrote these things before it failed at once.
fn attempt(now: Instant, written: &[&str]) -> Attempt {
    let written = written.iter().map(|&what| what.to_owned()).collect();
    Attempt { generation: Some(1), started: now, written }
}

fn is_first(wait: Duration) -> bool {
    wait <= FIRST && wait >= FIRST * 3 / 4
}

fn is_longest(wait: Duration) -> bool {
    wait <= LONGEST && wait >= LONGEST * 3 / 4
}

/// A back-off in which an object has failed so often that its wait is the longest.
fn exhausted(key: &'static str) -> (Backoff<&'static str>, Instant) {
    let backoff = Backoff::new();
    let mut now = Instant::now();
    for _ in 0..40 {
        backoff.failed_at(key, attempt(now, &["apply Deployment shop/a"]), now);
        now += LONGEST;
    }
    (backoff, now)
}

#[test]
fn waits_grow_until_the_longest_and_start_over_after_a_success() {
    let backoff = Backoff::new();
    let now = Instant::now();
    assert!(is_first(backoff.failed_at("shop", attempt(now, &[]), now)));
    let (backoff, now) = exhausted("shop");
    assert!(is_longest(backoff.failed_at("shop", attempt(now, &[]), now)));
    backoff.succeeded(&"shop");
    assert!(is_first(backoff.failed_at("shop", attempt(now, &[]), now)));
}

#[test]
fn a_failure_before_the_next_try_is_due_neither_lengthens_nor_postpones_it() {
    let backoff = Backoff::new();
    let now = Instant::now();
    let first = backoff.failed_at("shop", attempt(now, &[]), now);
    for early in [0, 10, 100].map(Duration::from_millis) {
        assert_eq!(backoff.failed_at("shop", attempt(now, &[]), now + early) + early, first);
    }
    assert!(backoff.failed_at("shop", attempt(now, &[]), now + first) <= FIRST * 2);
}

#[test]
fn objects_do_not_share_their_count() {
    let (backoff, now) = exhausted("broken");
    assert!(is_first(backoff.failed_at("other", attempt(now, &[]), now)));
}

#[test]
fn who_got_on_before_it_failed_starts_over() {
    let (backoff, now) = exhausted("shop");
    assert!(is_longest(backoff.failed_at("shop", attempt(now, &[]), now)));
    let further = attempt(now, &["apply Deployment shop/a", "apply Service shop/a"]);
    assert!(is_first(backoff.failed_at("shop", further, now)));
}

#[test]
fn what_is_written_over_and_over_is_no_progress() {
    let (backoff, now) = exhausted("shop");
    assert!(is_longest(backoff.failed_at("shop", attempt(now, &["apply Deployment shop/a"]), now)));
}

#[test]
fn progress_never_makes_the_wait_shorter_than_the_first() {
    let backoff = Backoff::new();
    let now = Instant::now();
    for child in ["apply Deployment shop/a", "apply Service shop/a", "apply Deployment shop/b"] {
        assert!(is_first(backoff.failed_at("shop", attempt(now, &[child]), now)));
    }
}

#[test]
fn a_changed_spec_starts_over() {
    let (backoff, now) = exhausted("shop");
    let changed = Attempt { generation: Some(2), ..attempt(now, &[]) };
    assert!(is_first(backoff.failed_at("shop", changed, now)));
}

#[test]
fn a_cause_that_nothing_tells_of_is_looked_at_steadily_and_later_less_often() {
    let backoff = Backoff::new();
    let begun = Instant::now();
    let mut now = begun;
    while now - begun < FRESH {
        let wait = backoff.steady_at("shop", &attempt(now, &[]), now);
        assert!(wait <= STEADY && wait >= STEADY * 3 / 4, "{wait:?}");
        now += wait;
    }
    let wait = backoff.steady_at("shop", &attempt(now, &[]), now);
    assert!(wait <= STEADY_LATER && wait >= STEADY_LATER * 3 / 4, "{wait:?}");
    let changed = Attempt { generation: Some(2), ..attempt(now, &[]) };
    assert!(backoff.steady_at("shop", &changed, now) <= STEADY);
}

#[test]
fn an_attempt_that_took_long_does_not_put_off_the_next_but_leaves_a_pause() {
    let backoff = Backoff::new();
    let started = Instant::now();
    let after = |took: u64| {
        let took = Duration::from_millis(took);
        backoff.steady_at("shop", &attempt(started, &[]), started + took) + took
    };
    assert!(after(600) <= STEADY);
    assert_eq!(after(5000), Duration::from_secs(5) + FIRST);
}

#[test]
fn a_failure_is_not_told_in_other_words_all_the_time() {
    let backoff = Backoff::new();
    let now = Instant::now();
    assert!(backoff.may_reword_at(&"shop", now));
    backoff.steady_at("shop", &attempt(now, &[]), now);
    assert!(!backoff.may_reword_at(&"shop", now));
    assert!(backoff.may_reword_at(&"shop", now + REWORD));
    assert!(!backoff.may_reword_at(&"shop", now + REWORD));
}

#[test]
fn a_failure_lasts_when_no_success_has_come_for_a_while() {
    let backoff = Backoff::new();
    let now = Instant::now();
    assert!(!backoff.lasts_at(&"shop", now));
    backoff.failed_at("shop", attempt(now, &[]), now);
    let lasts = |after| backoff.lasts_at(&"shop", now + after);
    assert_eq!([lasts(FIRST), lasts(CONFLICT)], [false, true]);
    backoff.succeeded(&"shop");
    assert!(!lasts(CONFLICT));
}
