//! The children of a database resource. Pure.

mod labels;
mod network;
mod secrets;
mod server;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Secret, Service},
    networking::v1::NetworkPolicy,
};

pub(crate) use self::server::PORT;
use super::{
    credential::Credential,
    sql::Login,
    validate::{Managed, Validated},
};

/// The superuser of a managed server.
pub(crate) const SUPERUSER: &str = "postgres";

/// A managed server's objects, in the order in which they are applied: nothing refers to what is not there yet.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// Who may reach the server.
    pub(crate) policy: NetworkPolicy,
    /// The superuser's password.
    pub(crate) superuser: Secret,
    /// Where the data lies.
    pub(crate) volume: PersistentVolumeClaim,
    /// The name and address under which the server is reached.
    pub(crate) service: Service,
    /// The server.
    pub(crate) stateful_set: StatefulSet,
}

/// The objects of a managed server.
pub(crate) fn server(of: &Validated, managed: &Managed) -> Server {
    Server {
        policy: network::policy_of(of),
        superuser: secrets::superuser(of, managed),
        volume: server::volume(of, managed),
        service: server::service(of),
        stateful_set: server::stateful_set(of, managed),
    }
}

/// One Secret for each database, with everything a service needs to connect.
pub(crate) fn logins(of: &Validated) -> Vec<Secret> {
    let held = of.logins.iter().filter_map(|login| Some((login, of.credentials.get(&login.name)?)));
    held.map(|(login, held)| secrets::login(of, login, held)).collect()
}

/// The Secret of one database, with this login.
pub(crate) fn login(of: &Validated, login: &Login, held: &Credential) -> Secret {
    secrets::login(of, login, held)
}
