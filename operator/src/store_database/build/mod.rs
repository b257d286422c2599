//! The children of a database resource. Pure.

mod labels;
mod secrets;
mod server;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Capabilities, PersistentVolumeClaim, Secret, SecurityContext, Service},
};

pub use self::server::PORT;
use super::validate::{Managed, Validated};

/// The superuser of a managed server.
pub const SUPERUSER: &str = "postgres";

/// A managed server's objects, in the order in which they are applied: nothing refers to what is not there yet.
#[derive(Clone, Debug)]
pub struct Server {
    /// The superuser's password.
    pub superuser: Secret,
    /// Where the data lies.
    pub volume: PersistentVolumeClaim,
    /// The name and address under which the server is reached.
    pub service: Service,
    /// The server.
    pub stateful_set: StatefulSet,
}

/// The objects of a managed server.
pub fn server(of: &Validated, managed: &Managed) -> Server {
    Server {
        superuser: secrets::superuser(of, managed),
        volume: server::volume(of, managed),
        service: server::service(of),
        stateful_set: server::stateful_set(of, managed),
    }
}

/// One Secret for each database, with everything a service needs to connect.
pub fn logins(of: &Validated) -> Vec<Secret> {
    of.logins.iter().map(|login| secrets::login(of, login)).collect()
}

/// What Pod Security "restricted" asks of a container, and a root file system that nobody writes to.
fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
        ..SecurityContext::default()
    }
}
