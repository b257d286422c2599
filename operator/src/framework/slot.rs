//! How many reconciliations of a controller work at the same time.
//!
//! One that waits for a server of somebody else's gives its place to another meanwhile, so that servers that do not answer
//! hold up nobody but those who want something of them.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// How long a talk with a server may take in its place: what works seldom takes longer, so that as many talk at the same
/// time as there are places.
const BRIEF: Duration = Duration::from_millis(250);

/// The places of a controller.
pub(super) struct Slots(Arc<Semaphore>);

/// The place of one reconciliation. It is free once all clones are dropped.
#[derive(Clone)]
pub(crate) struct Slot(Arc<Held>);

struct Held {
    slots: Arc<Semaphore>,
    /// Empty while it waits outside.
    place: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count)))
    }

    /// Waits for a place.
    pub(super) async fn take(&self) -> Slot {
        let place = place(&self.0).await;
        Slot(Arc::new(Held { slots: self.0.clone(), place: Mutex::new(Some(place)) }))
    }
}

impl Slot {
    /// A place that nobody else wants.
    pub(super) fn alone() -> Self {
        Self(Arc::new(Held { slots: Arc::new(Semaphore::new(1)), place: Mutex::new(None) }))
    }

    /// Waits for something outside the cluster without a place, and then for a place.
    pub(super) async fn outside<F: Future>(&self, wait: F) -> F::Output {
        drop(self.change(None));
        let output = wait.await;
        drop(self.change(Some(place(&self.0.slots).await)));
        output
    }

    /// Talks with something outside the cluster: in its place at first, and without it if that takes long.
    pub(super) async fn leniently<F: Future>(&self, talk: F) -> F::Output {
        let mut talk = pin!(talk);
        match timeout(BRIEF, &mut talk).await {
            Ok(output) => output,
            Err(_) => self.outside(talk).await,
        }
    }

    fn change(&self, place: Option<OwnedSemaphorePermit>) -> Option<OwnedSemaphorePermit> {
        std::mem::replace(&mut *self.0.place.lock().unwrap_or_else(PoisonError::into_inner), place)
    }
}

async fn place(slots: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    slots.clone().acquire_owned().await.expect("places are never closed")
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const MOMENT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn who_works_holds_a_place_until_the_end() {
        let slots = Slots::new(1);
        let first = slots.take().await;
        assert!(timeout(MOMENT, slots.take()).await.is_err());
        drop(first);
        assert!(timeout(MOMENT, slots.take()).await.is_ok());
    }

    #[tokio::test]
    async fn who_waits_outside_holds_up_nobody_and_comes_back_in_turn() {
        let slots = Slots::new(1);
        let patient = slots.take().await;
        let mut away = Box::pin(patient.outside(pending::<()>()));
        assert!(timeout(MOMENT, &mut away).await.is_err());
        let other = timeout(MOMENT, slots.take()).await.expect("the place is free");
        drop(away);
        let back = patient.outside(ready(()));
        let mut back = std::pin::pin!(back);
        assert!(timeout(MOMENT, &mut back).await.is_err(), "two are at work in one place");
        drop(other);
        back.await;
        assert!(timeout(MOMENT, slots.take()).await.is_err());
    }

    #[tokio::test]
    async fn a_talk_that_takes_long_gives_up_its_place_and_goes_on() {
        let slots = Slots::new(1);
        let talker = slots.take().await;
        let talk = talker.leniently(async {
            tokio::time::sleep(BRIEF * 2).await;
            "answer"
        });
        let other = async { timeout(BRIEF + MOMENT, slots.take()).await.is_ok() };
        assert_eq!(tokio::join!(talk, other), ("answer", true));
        assert!(timeout(MOMENT, slots.take()).await.is_err(), "two are at work in one place");
        talker.leniently(ready(())).await;
    }
}
