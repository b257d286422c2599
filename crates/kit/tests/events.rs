//! Events from one database to another, over the real broker.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use db::{Database, outbox};
use events::{CloudEvent, DEAD_LETTERS, UserDeleted, UserEvent};
use jiff::Timestamp;
use kit::kafka::{HandleError, Handler, OutboxSignal, consume, relay};
use sqlx::migrate::Migrator;
use testkit::{TestDatabase, TestEvents, eventually};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use types::{EventId, UserId};

static NONE: Migrator = Migrator::DEFAULT;

fn event(user_id: UserId) -> UserEvent {
    UserEvent::Deleted(UserDeleted { user_id })
}

/// Keeps what it is given; fails as it is told.
#[derive(Clone, Default)]
struct Recorder {
    seen: Arc<Mutex<Vec<UserId>>>,
    failures: Arc<AtomicU32>,
    poison: Option<UserId>,
}

impl Handler for Recorder {
    type Event = UserEvent;

    async fn handle(&self, event: CloudEvent<UserEvent>) -> Result<(), HandleError> {
        let UserEvent::Deleted(UserDeleted { user_id }) = event.event else { return Ok(()) };
        if self.poison == Some(user_id) {
            return Err(HandleError::Poison("never".into()));
        }
        if self.failures.load(Ordering::SeqCst) > 0 {
            self.failures.fetch_sub(1, Ordering::SeqCst);
            return Err(HandleError::Retry("not now".into()));
        }
        self.seen.lock().expect("no panic holds it").push(user_id);
        Ok(())
    }
}

impl Recorder {
    fn seen(&self) -> Vec<UserId> {
        self.seen.lock().expect("no panic holds it").clone()
    }

    async fn has_seen(&self, users: &[UserId]) {
        eventually("the events arrive", || async { users.iter().all(|user| self.seen().contains(user)) }).await;
    }
}

/// Background work of a test, stopped at its end.
#[derive(Default)]
struct Work {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Work {
    fn relay(&self, database: &Database, events: &TestEvents, signal: &OutboxSignal) -> CancellationToken {
        let stop = self.stop.child_token();
        self.tasks.spawn(relay(database.clone(), events.args(), signal.clone(), stop.clone()));
        stop
    }

    fn consume(&self, events: &TestEvents, recorder: &Recorder) {
        self.tasks.spawn(consume(events.args(), "recorder", recorder.clone(), self.stop.child_token()));
    }

    async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn append(database: &Database, user: UserId) {
    let mut tx = database.begin("append").await.expect("a transaction");
    outbox::append(&mut tx, event(user), None).await.expect("appended");
    tx.commit().await.expect("committed");
}

#[tokio::test]
async fn what_is_committed_arrives_and_what_is_rolled_back_does_not() {
    let (test, events) = (TestDatabase::new("platform", &NONE).await, TestEvents::new().await);
    let (recorder, work) = (Recorder::default(), Work::default());
    let database = test.database();
    work.relay(&database, &events, &OutboxSignal::default());
    work.consume(&events, &recorder);

    let (lost, late, early) = (UserId::new(), UserId::new(), UserId::new());
    let mut rolled_back = database.begin("lost").await.unwrap();
    outbox::append(&mut rolled_back, event(lost), None).await.unwrap();
    drop(rolled_back);
    let mut slow = database.begin("late").await.unwrap();
    outbox::append(&mut slow, event(late), None).await.unwrap();
    append(&database, early).await;
    recorder.has_seen(&[early]).await;
    slow.commit().await.unwrap();
    recorder.has_seen(&[late]).await;

    assert_eq!(recorder.seen(), [early, late], "the event of the transaction that committed late is not skipped");
    work.end().await;
}

#[tokio::test]
async fn of_two_relays_one_publishes_and_the_other_takes_over() {
    let (test, events) = (TestDatabase::new("platform", &NONE).await, TestEvents::new().await);
    let (recorder, work) = (Recorder::default(), Work::default());
    let database = test.database();
    let signal = OutboxSignal::default();
    let first = work.relay(&database, &events, &signal);
    work.relay(&database, &events, &signal);
    work.consume(&events, &recorder);

    let users: Vec<UserId> = (0..50).map(|_| UserId::new()).collect();
    for user in &users {
        append(&database, *user).await;
        signal.wake();
    }
    recorder.has_seen(&users).await;
    first.cancel();
    let later = UserId::new();
    append(&database, later).await;
    recorder.has_seen(&[later]).await;
    assert_eq!(recorder.seen().len(), users.len() + 1, "no event is published twice while nothing fails");
    work.end().await;
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_again_and_keeps_the_order() {
    let events = TestEvents::new().await;
    let recorder = Recorder { failures: Arc::new(AtomicU32::new(3)), ..Recorder::default() };
    let work = Work::default();
    work.consume(&events, &recorder);
    let user = UserId::new();
    for _ in 0..2 {
        events.publish(&CloudEvent::new(event(user), Timestamp::UNIX_EPOCH, None)).await;
    }
    eventually("both arrive", || async { recorder.seen().len() == 2 }).await;
    work.end().await;
}

#[tokio::test]
async fn a_message_nobody_can_handle_goes_to_the_dead_letters_and_stops_nothing() {
    let events = TestEvents::new().await;
    let poison = UserId::new();
    let recorder = Recorder { poison: Some(poison), ..Recorder::default() };
    let work = Work::default();
    work.consume(&events, &recorder);

    let key = poison.to_string();
    events.publish_raw::<UserEvent>(&key, b"not an event").await;
    let newer = format!(r#"{{"type":"dev.greencommerce.user.merged.v9","data":{{}},"id":"{}"}}"#, EventId::new());
    events.publish_raw::<UserEvent>(&key, newer.as_bytes()).await;
    events.publish(&CloudEvent::new(event(poison), Timestamp::UNIX_EPOCH, None)).await;
    let good = UserId::new();
    events.publish_raw::<UserEvent>(&key, &CloudEvent::new(event(good), Timestamp::UNIX_EPOCH, None).encode()).await;
    recorder.has_seen(&[good]).await;

    let dead = events.subscribe_to(DEAD_LETTERS);
    assert_eq!(dead.next_raw().await, b"not an event");
    let buried: CloudEvent<UserEvent> = dead.next().await;
    assert_eq!(buried.event, event(poison), "the unknown type was skipped, not buried");
    work.end().await;
}
