//! etcd and a Kubernetes API server on free loopback ports, in a folder of their own.

pub(crate) mod flags;
mod folder;
mod pki;
mod program;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use axum::http::{HeaderValue, Uri, header::AUTHORIZATION};
use kube::{Client, Config};
use waitkit::wait_until;

use self::{folder::Folder, program::Program};
use crate::audit::Audit;

/// On a machine that compiles at the same time the API server takes a while.
const READY_DEADLINE: Duration = Duration::from_mins(2);
/// Another process may take a port between its being found free and its use.
const TRIES: usize = 3;

/// Who asks the API server: each has a token, and its name stands in the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub(crate) user: String,
    pub(crate) token: String,
}

impl Identity {
    pub(crate) fn of(user: &str) -> Self {
        Self { user: user.to_owned(), token: format!("token-of-{user}") }
    }

    /// Its name in the audit log.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&format!("Bearer {}", self.token)).expect("a token is plain text")
    }
}

/// One of the two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// kube-apiserver.
    ApiServer,
    /// etcd.
    Etcd,
}

/// A running control plane. It ends with the value, or with this process.
#[derive(Debug)]
pub struct ControlPlane {
    url: String,
    /// The certificate authority, in DER.
    authority: Vec<u8>,
    audit: Audit,
    // Ended in this order; the folder goes last.
    api_server: Program,
    etcd: Program,
    folder: Folder,
}

impl ControlPlane {
    /// Starts etcd and the API server. Returns once the API server is ready.
    ///
    /// # Panics
    ///
    /// When the programs have not been built, or do not start; the message says what to do.
    pub async fn start() -> Self {
        let tools = Tools::find();
        for _ in 1..TRIES {
            if let Ok(running) = Self::try_start(&tools).await {
                return running;
            }
        }
        Self::try_start(&tools).await.unwrap_or_else(|why| give_up(&why))
    }

    async fn try_start(tools: &Tools) -> Result<Self, String> {
        let folder = Folder::new();
        let ports = flags::Ports::free();
        let cannot_write = |error| format!("cannot write the configuration: {error}");
        flags::write_config(folder.path()).map_err(cannot_write)?;
        let authority = pki::write(folder.path()).map_err(cannot_write)?;
        let run = |path: &Path, arguments| {
            let program = Program::start(path, arguments, folder.path());
            program.map_err(|error| format!("cannot run setpriv: {error}"))
        };
        let etcd = run(&tools.etcd, flags::etcd(folder.path(), &ports))?;
        let api_server = run(&tools.api_server, flags::api_server(folder.path(), &ports))?;
        let audit = Audit::new(&folder.path().join(flags::AUDIT_LOG));
        let running = Self { url: ports.url(), authority, audit, folder, api_server, etcd };
        running.ready().await.map(|()| running)
    }

    async fn ready(&self) -> Result<(), String> {
        let client = self.client(&Identity::of(flags::ADMIN));
        let what = "the API server to become ready";
        wait_until(READY_DEADLINE, what, || async {
            for process in [&self.etcd, &self.api_server] {
                if let Some(last_words) = process.has_ended() {
                    return Some(Err(format!("a part of the control plane ended:\n{last_words}")));
                }
            }
            let request = axum::http::Request::get("/readyz").body(Vec::new()).expect("the request is well formed");
            client.request_text(request).await.is_ok().then_some(Ok(()))
        })
        .await
    }

    /// Kills a server, as a crash of its machine would.
    pub fn kill(&self, server: Server) {
        self.program(server).kill();
    }

    /// Starts a server that was killed, with the data it had. Returns once the API server is ready.
    ///
    /// # Panics
    ///
    /// When it does not start; the message says why.
    pub async fn restart(&self, server: Server) {
        self.program(server).restart();
        self.ready().await.unwrap_or_else(|why| give_up(&why));
    }

    fn program(&self, server: Server) -> &Program {
        match server {
            Server::ApiServer => &self.api_server,
            Server::Etcd => &self.etcd,
        }
    }

    /// Where the API server listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Who may do everything.
    #[must_use]
    pub fn admin() -> Identity {
        Identity::of(flags::ADMIN)
    }

    /// Who plays the controllers.
    pub(crate) fn puppet() -> Identity {
        Identity::of(flags::PUPPET)
    }

    /// How to reach the API server. Without an identity the caller's own headers say who asks.
    ///
    /// # Panics
    ///
    /// When the address is malformed, which cannot be.
    #[must_use]
    pub fn config(&self, identity: Option<&Identity>) -> Config {
        let url: Uri = self.url.parse().expect("the address is well formed");
        let mut config = Config::new(url);
        config.root_cert = Some(vec![self.authority.clone()]);
        // Every answer is seen, also one that asks for patience.
        config.default_retry = false;
        config.headers.extend(identity.map(|identity| (AUTHORIZATION, identity.header())));
        config
    }

    /// A client for one runtime: its connections live there.
    ///
    /// # Panics
    ///
    /// When TLS cannot be set up, which cannot be.
    #[must_use]
    pub fn client(&self, identity: &Identity) -> Client {
        let mut config = self.config(Some(identity));
        // The API server asks for patience while it takes up a changed definition.
        config.default_retry = true;
        Client::try_from(config).expect("a client can be made")
    }

    /// A kubeconfig for somebody who reaches the API server at `url`.
    #[must_use]
    pub fn kubeconfig(&self, url: &str, identity: &Identity) -> String {
        let authority = self.folder.path().join(pki::AUTHORITY);
        serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": authority}}],
            "users": [{"name": "test", "user": {"token": identity.token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        })
        .to_string()
    }

    /// What was written, and by whom.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// A folder that goes with the control plane.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// The programs, as `cargo xtask tools` links them.
struct Tools {
    etcd: PathBuf,
    api_server: PathBuf,
}

impl Tools {
    fn find() -> Self {
        let dir = devenv::paths::tools_dir();
        let tools = Self { etcd: dir.join("etcd"), api_server: dir.join("kube-apiserver") };
        let built = tools.etcd.is_file() && tools.api_server.is_file();
        assert!(built, "etcd and kube-apiserver are not in {}: run `cargo xtask tools`", dir.display());
        tools
    }
}

#[expect(clippy::panic, reason = "a test without its control plane has failed; the whole story says why")]
fn give_up(why: &str) -> ! {
    panic!("the control plane does not start: {why}")
}
