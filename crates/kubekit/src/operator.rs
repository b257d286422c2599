//! The operator as a process of its own.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::RangeInclusive,
    path::PathBuf,
    process::ExitStatus,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use axum::http::Request;
use kube::{Client, Config};
use nix::sys::signal::Signal;
use tokio::sync::OnceCell;
use waitkit::{DEADLINE, wait_until};

use crate::{
    Cluster, Identity,
    leash::{self, Leashed},
};

/// Ports for the operators' health and figures.
const PORTS: RangeInclusive<u16> = 21_000..=24_999;

/// How an operator is started.
#[derive(Debug, Clone)]
pub struct Launch {
    program: PathBuf,
    server: Option<String>,
    environment: BTreeMap<String, String>,
}

impl Launch {
    /// By this program, directly at the API server, for all namespaces, and as if it were the only one: it takes part in
    /// no election, so that one that is killed holds up nobody.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let environment = [("LOG_LEVEL", "info,kube_runtime=error"), ("LOG_FORMAT", "text"), ("LEADER_ELECT", "false")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { program: program.into(), server: None, environment }
    }

    /// Looking after one namespace only.
    #[must_use]
    pub fn namespace(self, namespace: &str) -> Self {
        self.variable("WATCH_NAMESPACE", namespace)
    }

    /// As one of several, of which the one leads that holds the lease in this namespace.
    #[must_use]
    pub fn candidate(self, namespace: &str) -> Self {
        self.variable("LEADER_ELECT", "true").variable("LEASE_NAMESPACE", namespace)
    }

    /// At another address than the API server's own: a proxy's.
    #[must_use]
    pub fn server(mut self, url: &str) -> Self {
        self.server = Some(url.to_owned());
        self
    }

    /// With a further environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Starts it, under a name of its own in the audit log.
    ///
    /// # Panics
    ///
    /// When it cannot be run.
    #[must_use]
    pub fn start(&self, cluster: &Cluster) -> Operator {
        let identity = cluster.next_operator();
        let folder = cluster.control_plane().folder();
        let server = self.server.as_deref().unwrap_or(cluster.control_plane().url());
        let kubeconfig = folder.join(format!("{}.kubeconfig", identity.user));
        fs::write(&kubeconfig, cluster.control_plane().kubeconfig(server, &identity)).expect("a file can be written");
        let ops = free_address();
        let mut command = leash::command(&self.program);
        command
            .arg("run")
            .env("KUBECONFIG", &kubeconfig)
            .env("OPS_ADDR", ops.to_string())
            .env("POD_NAME", &identity.user)
            .envs(&self.environment);
        let log = folder.join(format!("{}.log", identity.user));
        let process = leash::spawn(command, &log).expect("the operator can be run");
        Operator { process, identity, ops, client: OnceCell::new() }
    }
}

/// A running operator. It is killed with the value.
pub struct Operator {
    process: Leashed,
    identity: Identity,
    ops: SocketAddr,
    client: OnceCell<Client>,
}

impl Operator {
    /// Waits until it has listed everything it watches.
    ///
    /// # Panics
    ///
    /// When it ends instead, with its last words.
    pub async fn ready(&self) {
        wait_until(DEADLINE, &format!("{} to be ready", self.identity.user), || async {
            let answer = self.ask("/readyz").await;
            // Also where something answers: that would be another one.
            let ended = self.process.ended();
            assert!(ended.is_none(), "the operator ended: {ended:?}\n{}", self.process.last_words());
            answer
        })
        .await;
    }

    /// A figure it tells, summed over its labels of which the line must hold `label`; 0 if it does not tell it.
    pub async fn figure(&self, name: &str, label: &str) -> f64 {
        let text = self.ask("/metrics").await.unwrap_or_default();
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Its name in the audit log.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.identity.user
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Where it answers for its health and tells its figures.
    #[must_use]
    pub fn ops(&self) -> SocketAddr {
        self.ops
    }

    /// Stops it in the middle of whatever it does, as a machine that swaps or a debugger would.
    pub fn freeze(&self) {
        self.process.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.process.signal(Signal::SIGCONT);
    }

    /// Asks it to end, as the kubelet would, and returns at once.
    pub fn terminate(&self) {
        self.process.signal(Signal::SIGTERM);
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<ExitStatus> {
        self.process.ended()
    }

    /// The CPU time it has used up to now; that of one that has ended is not known.
    #[must_use]
    pub fn cpu_time(&self) -> Option<Duration> {
        self.process.cpu_time()
    }

    /// Kills it, as a crash would, and waits until it is gone.
    pub fn kill(&self) {
        self.process.kill();
    }

    async fn ask(&self, path: &str) -> Option<String> {
        let client = self.client.get_or_init(async || self.connect()).await;
        let request = Request::get(path).body(Vec::new()).expect("the request is well formed");
        client.request_text(request).await.ok()
    }

    fn connect(&self) -> Client {
        let url = format!("http://{}", self.ops).parse().expect("the address is well formed");
        let mut config = Config::new(url);
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(2));
        // Nothing is encrypted here, and to take up the certificates of the system takes long.
        config.root_cert = Some(Vec::new());
        Client::try_from(config).expect("a client can be made")
    }
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { process, identity, ops, client: _ } = self;
        let mut shown = f.debug_struct("Operator");
        shown.field("process", process).field("identity", identity).field("ops", ops).finish_non_exhaustive()
    }
}

/// An address nobody listens on, and nobody else is given while the operator starts: below the ports that the kernel gives to
/// whoever asks for any, and none of them twice before all others.
fn free_address() -> SocketAddr {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    loop {
        // Another process of tests begins elsewhere.
        let number = std::process::id().wrapping_mul(97).wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start()
            + u16::try_from(number % u32::from(PORTS.end() - PORTS.start() + 1)).expect("it is less than their number");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
