//! Connections that have changed their protocol, between a client and a service.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The tunnels of this process; they end with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tunnels {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Tunnels {
    /// Passes on what `client` and `service` send, once both have changed their protocol.
    pub(crate) fn open(&self, client: OnUpgrade, service: OnUpgrade) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let ended = stop.run_until_cancelled(pass_on(client, service)).await;
            if let Some(Err(error)) = ended {
                tracing::debug!(error = %kit::telemetry::Chain(&*error), "a tunnel ended early");
            }
        });
    }

    /// Works until `stop`, then ends every tunnel.
    pub(crate) async fn until(self, stop: CancellationToken) {
        stop.cancelled().await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn pass_on(client: OnUpgrade, service: OnUpgrade) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (mut client, mut service) = (TokioIo::new(client.await?), TokioIo::new(service.await?));
    tokio::io::copy_bidirectional(&mut client, &mut service).await?;
    Ok(())
}
