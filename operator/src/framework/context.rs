//! What a reconciliation may use.

use std::{sync::Arc, time::Duration};

use kube::Client;

use super::{
    Activity, Cache, Clock, Gate, converse::Turns, events::Events, slot::Slot, vigil::Vigil, written::Written,
};

/// The operator's name as a field manager, an event reporter and a user agent.
pub(crate) const OPERATOR: &str = "greencommerce-operator";

/// Handles to the cluster, shared by all controllers, and what belongs to one reconciliation.
#[derive(Clone)]
pub(crate) struct Context {
    /// Writes, and the few reads that no watch covers.
    pub(crate) client: Client,
    /// What the watches have seen.
    pub(crate) cache: Arc<Cache>,
    /// Tells users what happened.
    pub(crate) events: Events,
    /// Time for `lastTransitionTime`.
    pub(crate) clock: Clock,
    /// Whether this process may write; the client asks it too.
    pub(crate) gate: Gate,
    /// What the controllers are doing.
    pub(crate) activity: Activity,
    /// Which servers are there, and for whom.
    pub(crate) vigil: Vigil,
    /// What this reconciliation has written.
    pub(crate) written: Written,
    /// Whose turn it is to talk with servers outside.
    pub(super) turns: Turns,
    /// Where this reconciliation stands among those that run.
    pub(super) slot: Slot,
}

impl Context {
    pub(crate) fn new(client: Client, cache: Arc<Cache>, gate: Gate) -> Self {
        let events = Events::new(client.clone(), gate.clone());
        Self {
            client,
            cache,
            events,
            clock: Clock::system(),
            gate,
            activity: Activity::default(),
            vigil: Vigil::default(),
            written: Written::default(),
            turns: Turns::default(),
            slot: Slot::alone(),
        }
    }

    /// The same for one reconciliation.
    pub(super) fn of_one(&self, slot: Slot) -> Self {
        Self { written: Written::default(), slot, ..self.clone() }
    }

    /// Stands aside for a time, without a place among those that work.
    pub(crate) async fn pause(&self, time: Duration) {
        self.slot.outside(tokio::time::sleep(time)).await;
    }

    /// The operator's own namespace: that of its service account, or of the kubeconfig's context.
    pub(crate) fn own_namespace(&self) -> &str {
        self.client.default_namespace()
    }
}
