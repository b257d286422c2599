//! Talking with a server of somebody else's, which may say nothing for as long as it likes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Context, NotLeading};

/// Objects that talk with one server at the same time: as many as a store has topics, and some more.
const AT_ONCE: usize = 8;

/// Whose turn it is to talk with which server.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<String, Weak<Semaphore>>>>);

impl Turns {
    async fn take(&self, server: &str) -> OwnedSemaphorePermit {
        self.of(server).acquire_owned().await.expect("turns are never closed")
    }

    fn of(&self, server: &str) -> Arc<Semaphore> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Of servers that nobody talks with nothing is kept.
        all.retain(|_, turns| turns.strong_count() > 0);
        if let Some(turns) = all.get(server).and_then(Weak::upgrade) {
            return turns;
        }
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        all.insert(server.to_owned(), Arc::downgrade(&turns));
        turns
    }
}

/// Talks with the server of this name, or the servers, when it is this object's turn. A server that keeps silent holds up
/// those alone who want something of it.
///
/// What changes something there passes the gate by itself. The rest of the talk holds up nobody who waits for the lease: it
/// is given up when this process is about to go.
pub(crate) async fn converse<F: Future>(context: &Context, server: &str, talk: F) -> Result<F::Output, NotLeading> {
    let in_turn = async {
        let _turn = context.turns.take(server).await;
        talk.await
    };
    context.gate.look(context.slot.leniently(in_turn)).await
}

#[cfg(test)]
mod tests {
    use std::{future::ready, time::Duration};

    use tokio::time::timeout;

    use super::*;
    use crate::framework::scenario::Scenario;

    const MOMENT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_server_that_keeps_silent_holds_up_its_own_alone() {
        let (_, context, _) = Scenario::of(vec![]);
        let mut silent: Vec<_> = Vec::new();
        for _ in 0..AT_ONCE {
            let mut talk = Box::pin(converse(&context, "mute:5432", std::future::pending::<()>()));
            assert!(timeout(MOMENT / 10, &mut talk).await.is_err());
            silent.push(talk);
        }
        assert!(timeout(MOMENT, converse(&context, "mute:5432", ready(()))).await.is_err(), "it is not its turn");
        assert_eq!(timeout(MOMENT, converse(&context, "lively:5432", ready(()))).await, Ok(Ok(())));
        drop(silent);
        assert_eq!(timeout(MOMENT, converse(&context, "mute:5432", ready(()))).await, Ok(Ok(())));
    }

    #[tokio::test]
    async fn of_servers_that_nobody_talks_with_nothing_is_kept() {
        let turns = Turns::default();
        for number in 0..100 {
            drop(turns.take(&number.to_string()).await);
        }
        let _turn = turns.take("another").await;
        assert_eq!(turns.0.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn who_is_about_to_go_waits_for_no_answer() {
        let (_, context, _) = Scenario::of(vec![]);
        let leave = async { context.gate.leave() };
        let talk = converse(&context, "mute:5432", std::future::pending::<()>());
        let (outcome, ()) = tokio::join!(timeout(MOMENT, talk), leave);
        assert_eq!(outcome, Ok(Err(NotLeading)));
    }
}
