//! What the operator's tests share: etcd and a Kubernetes API server as plain processes, the operator as a process of
//! its own, a proxy that puts faults between the two, the audit log, and a puppet that plays the controllers which
//! would run pods.
//!
//! There is no kubelet, no scheduler and no controller manager: what they would do is Kubernetes' part, and a test that
//! needs it lets the [`Cluster`]'s puppet write the statuses they would write.
//!
//! Nothing here returns errors: a test without its servers has failed, and says why.

mod audit;
mod cluster;
mod control_plane;
mod leash;
mod operator;
mod proxy;
mod puppet;
mod space;
mod state;

pub use audit::{Audit, Lives, Mark, Write};
pub use cluster::{Cluster, Setup};
pub use control_plane::{ControlPlane, Identity, Server};
pub use operator::{Launch, Operator};
pub use proxy::{Crash, Faults, Proxy, Refusal};
pub use space::Space;
pub use state::State;
pub use waitkit::{DEADLINE, eventually, wait_until};
