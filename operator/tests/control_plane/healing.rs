//! Resources that the schema lets pass and that cannot work: each says why within two seconds, and works within two seconds
//! of the cause being gone, also where nothing tells the operator that it is.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use devenv::{Authority, Backing};
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kubekit::{DEADLINE, Space, eventually, wait_until};
use serde_json::{Value, json};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time::timeout,
};

use crate::{
    database::{Tenants, administrator, postgres},
    own_server::OwnServer,
    setup::{cluster, program},
    story::{END, named_service, rest, service},
};

/// Two seconds are promised. A machine that builds and tests at the same time may take three times as long.
pub(crate) const SOON: Duration = Duration::from_secs(6);

/// After failing for so long, waits that double from half a second would have their fifth try 11.6 to 15.5 seconds behind and
/// the next, which comes after 23.6 at the earliest, further ahead than [`SOON`].
const LONG: Duration = Duration::from_secs(17);

/// Once a failure has been told for so long, everything that follows from telling it is over.
const SETTLED: Duration = Duration::from_secs(2);

/// Objects on a server that keeps silent: far more than there are places.
const CROWD: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_server_that_was_away_is_used_once_it_is_there() {
    let tenants = Tenants::default();
    let space = cluster().await.space().await;
    let operator = space.operator(program(), None).await;
    let mut door = Door::closed().await;
    space.apply(&administrator()).await;
    space.apply(&database(&tenants, &space, "green", door.address)).await;
    says(&space, "StoreDatabase", "green", "DatabaseUnreachable").await;
    silent_for(&space, LONG).await;
    door.open(format!("127.0.0.1:{}", postgres().port())).await;
    heals(&space, "StoreDatabase", "green").await;
    operator.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_who_is_let_in_later_is_enough_wherever_that_is_done() {
    let tenants = Tenants::default();
    let space = cluster().await.space().await;
    let operator = space.operator(program(), None).await;
    let role = format!("{}_dba", space.identifier());
    space.apply(&login_of(&role)).await;
    space.apply(&database(&tenants, &space, "green", ([127, 0, 0, 1], postgres().port()).into())).await;
    says(&space, "StoreDatabase", "green", "DatabaseLoginRefused").await;
    silent_for(&space, LONG).await;
    postgres().query("postgres", &format!("CREATE ROLE {role} LOGIN CREATEDB CREATEROLE")).unwrap();
    heals(&space, "StoreDatabase", "green").await;

    space.apply(&login_of("nobody_at_all")).await;
    says(&space, "StoreDatabase", "green", "DatabaseLoginRefused").await;
    space.apply(&login_of("postgres")).await;
    heals(&space, "StoreDatabase", "green").await;
    operator.kill();
    drop_role(&role);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_who_may_make_nothing_is_told_and_is_enough_once_he_may() {
    let tenants = Tenants::default();
    let space = cluster().await.space().await;
    let operator = space.operator(program(), None).await;
    let role = format!("{}_dba", space.identifier());
    postgres().query("postgres", &format!("CREATE ROLE {role} LOGIN")).unwrap();
    space.apply(&login_of(&role)).await;
    space.apply(&database(&tenants, &space, "green", ([127, 0, 0, 1], postgres().port()).into())).await;
    says(&space, "StoreDatabase", "green", "DatabaseStatementFailed").await;
    silent_for(&space, LONG).await;
    postgres().query("postgres", &format!("ALTER ROLE {role} CREATEDB CREATEROLE")).unwrap();
    heals(&space, "StoreDatabase", "green").await;
    operator.kill();
    drop_role(&role);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_brokers_refuse_is_told_and_made_once_it_is_corrected() {
    let space = cluster().await.space().await;
    let _operator = space.operator(program(), None).await;
    let brokers = Backing::of_checkout().kafka().expect("Kafka starts").bootstrap_servers().parse().unwrap();
    let wanted = |name: &str, with: &Value| {
        let mut topic = topic(&space, brokers);
        topic["metadata"]["name"] = json!(name);
        topic["spec"]["topicName"] = json!(format!("{}.{name}", space.identifier()));
        topic["spec"].as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        topic
    };
    let unknown = json!({"config": [{"name": "retention.weeks", "value": "1"}]});
    for (name, wrong) in [("one", &unknown), ("other", &json!({"replicas": 3}))] {
        space.apply(&wanted(name, wrong)).await;
        says(&space, "StoreTopic", name, "TopicRefused").await;
        silent_for(&space, SOON).await;
        space.apply(&wanted(name, &json!({}))).await;
        heals(&space, "StoreTopic", name).await;
    }

    // Of a setting of a topic that is there brokers say nothing: they are given time to show it.
    space.apply(&wanted("one", &unknown)).await;
    eventually("a refused setting to be told of", || is_unready(&space, "StoreTopic", "one", "TopicRefused")).await;
    silent_for(&space, LONG).await;
    space.apply(&wanted("one", &json!({}))).await;
    space.ready("StoreTopic", "one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_accept_a_connection_and_say_nothing_are_told_of_too() {
    let tenants = Tenants::default();
    let space = cluster().await.space().await;
    let _operator = space.operator(program(), None).await;
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap();
    space.apply(&administrator()).await;
    space.apply(&database(&tenants, &space, "green", address)).await;
    says(&space, "StoreDatabase", "green", "DatabaseUnreachable").await;
    space.apply(&topic(&space, address)).await;
    says(&space, "StoreTopic", "own", "BrokerUnreachable").await;
    silent_for(&space, LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_were_away_are_used_once_they_are_there() {
    let space = cluster().await.space().await;
    let _operator = space.operator(program(), None).await;
    let mut door = Door::closed().await;
    space.apply(&topic(&space, door.address)).await;
    says(&space, "StoreTopic", "own", "BrokerUnreachable").await;
    silent_for(&space, LONG).await;
    door.open(Backing::of_checkout().kafka().expect("Kafka starts").bootstrap_servers()).await;
    heals(&space, "StoreTopic", "own").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_missing_is_used_once_it_is_there() {
    let tenants = Tenants::default();
    let space = cluster().await.space().await;
    let operator = space.operator(program(), None).await;
    space.apply(&service(&json!({"database": {"secretRef": {"name": "own"}}}))).await;
    space.apply(&database(&tenants, &space, "green", ([127, 0, 0, 1], postgres().port()).into())).await;
    says(&space, "StoreService", "green-catalog", "SecretMissing").await;
    says(&space, "StoreDatabase", "green", "SecretMissing").await;
    silent_for(&space, LONG).await;
    let own = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "own"}, "stringData": {"uri": "postgres://x"},
    });
    space.apply(&own).await;
    heals(&space, "StoreService", "green-catalog").await;
    space.apply(&administrator()).await;
    heals(&space, "StoreDatabase", "green").await;
    operator.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_server_is_used_once_the_authorities_that_vouch_for_it_are_there() {
    let (tenants, server) = (Tenants::default(), OwnServer::start("verified", 25790));
    let (ours, foreign) = (Authority::new("ours"), Authority::new("foreign"));
    server.postgres.speak_tls(&ours.certify(&["127.0.0.1"])).unwrap();
    let space = cluster().await.space().await;
    let operator = space.operator(program(), None).await;
    let mut database = database(&tenants, &space, "green", ([127, 0, 0, 1], server.postgres.port()).into());
    database["spec"]["external"]["tls"] = json!({"caSecretRef": {"name": "authorities"}});
    space.apply(&administrator()).await;
    space.apply(&database).await;
    says(&space, "StoreDatabase", "green", "SecretMissing").await;
    let secret = |authority: &Authority| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "authorities"},
            "stringData": {"ca.crt": authority.pem()},
        })
    };
    space.apply(&secret(&foreign)).await;
    says(&space, "StoreDatabase", "green", "DatabaseUnreachable").await;
    silent_for(&space, LONG).await;
    space.apply(&secret(&ours)).await;
    heals(&space, "StoreDatabase", "green").await;
    operator.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_on_the_server_that_somebody_else_had_is_taken_once_it_is_free() {
    let tenants = Tenants::default();
    let space = cluster().await.space().await;
    let _operator = space.operator(program(), None).await;
    let role = format!("{}_green", space.identifier());
    postgres().query("postgres", &format!("CREATE ROLE {role}")).unwrap();
    space.apply(&administrator()).await;
    space.apply(&database(&tenants, &space, "green", ([127, 0, 0, 1], postgres().port()).into())).await;
    says(&space, "StoreDatabase", "green", "NameTaken").await;
    silent_for(&space, LONG).await;
    postgres().query("postgres", &format!("DROP ROLE {role}")).unwrap();
    heals(&space, "StoreDatabase", "green").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_go_later_are_told_of_and_used_again_although_nothing_else_happens() {
    let tenants = Tenants::default();
    let space = cluster().await.space().await;
    let _operator = space.operator(program(), None).await;
    let (mut server, mut brokers) = (Door::closed().await, Door::closed().await);
    let kafka = Backing::of_checkout().kafka().expect("Kafka starts").bootstrap_servers();
    space.apply(&administrator()).await;
    server.open(format!("127.0.0.1:{}", postgres().port())).await;
    brokers.open(kafka.clone()).await;
    space.apply(&database(&tenants, &space, "green", server.address)).await;
    space.apply(&topic(&space, brokers.address)).await;
    for (kind, name) in [("StoreDatabase", "green"), ("StoreTopic", "own")] {
        space.ready(kind, name).await;
    }
    // Else a look under way may be cut off in the middle, which is told in other words.
    rest(&space, END).await;

    server.close().await;
    says(&space, "StoreDatabase", "green", "DatabaseUnreachable").await;
    brokers.close().await;
    says(&space, "StoreTopic", "own", "BrokerUnreachable").await;
    rest(&space, END).await;
    server.open(format!("127.0.0.1:{}", postgres().port())).await;
    heals(&space, "StoreDatabase", "green").await;
    brokers.open(kafka).await;
    heals(&space, "StoreTopic", "own").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_somebody_else_had_is_taken_once_it_is_free() {
    let space = cluster().await.space().await;
    let _operator = space.operator(program(), None).await;
    let holder = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "holder"},
        "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30063}]},
    });
    space.apply(&holder).await;
    space.apply(&service(&json!({"exposure": {"nodePort": {"port": 30063}}}))).await;
    says(&space, "StoreService", "green-catalog", "ApplyFailed").await;
    silent_for(&space, LONG).await;
    space.delete("Service", "holder").await;
    heals(&space, "StoreService", "green-catalog").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_keep_silent_hold_up_no_other() {
    let hole = BlackHole::dig().await;
    no_other_is_held_up_by(hole.address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_accept_connections_and_say_nothing_hold_up_no_other() {
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap();
    let mut host = JoinSet::new();
    host.spawn(async move {
        let mut guests = JoinSet::new();
        while let Ok((mut guest, _)) = mute.accept().await {
            guests.spawn(async move { tokio::io::copy(&mut guest, &mut tokio::io::sink()).await });
        }
    });
    no_other_is_held_up_by(address).await;
}

async fn no_other_is_held_up_by(address: SocketAddr) {
    let tenants = Tenants::default();
    let space = cluster().await.space().await;
    space.apply(&administrator()).await;
    for number in 0..CROWD {
        space.apply(&database(&tenants, &space, &format!("silent-{number}"), address)).await;
        space.apply(&silent_topic(number, address)).await;
    }
    let operator = space.operator(program(), None).await;
    let begun = Instant::now();
    for number in 0..CROWD {
        let name = format!("silent-{number}");
        eventually("a silent server to be told of", || {
            is_unready(&space, "StoreDatabase", &name, "DatabaseUnreachable")
        })
        .await;
        eventually("silent brokers to be told of", || is_unready(&space, "StoreTopic", &name, "BrokerUnreachable"))
            .await;
    }
    println!("{CROWD} silent servers and as many brokers: {} ms", begun.elapsed().as_millis());
    silent_for(&space, LONG).await;
    let server: SocketAddr = ([127, 0, 0, 1], postgres().port()).into();
    for round in 0..3 {
        space.apply(&database(&tenants, &space, &format!("green-{round}"), server)).await;
        heals(&space, "StoreDatabase", &format!("green-{round}")).await;
        space.apply(&named_service(&format!("green-{round}"), &json!({}))).await;
        heals(&space, "StoreService", &format!("green-{round}")).await;
    }
    operator.kill();
}

/// Waits until the object says that it is not ready, as it is described now, and why.
pub(crate) async fn says(space: &Space<'_>, kind: &str, name: &str, reason: &str) {
    let what = format!("{kind} {name} to say {reason}");
    soon(&what, || async { is_unready(space, kind, name, reason).await.then_some(()) }).await;
}

async fn is_unready(space: &Space<'_>, kind: &str, name: &str, reason: &str) -> bool {
    let object = space.get(kind, name).await.unwrap_or_default();
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
    ready.is_some_and(|ready| {
        let is_of_now = ready["observedGeneration"] == object["metadata"]["generation"];
        is_of_now && ready["status"] == "False" && ready["reason"] == reason
    })
}

/// Waits until the object is ready.
pub(crate) async fn heals(space: &Space<'_>, kind: &str, name: &str) {
    soon(&format!("{kind} {name} to heal"), || async { space.is_ready(kind, name).await.then_some(()) }).await;
}

/// Waits for what is promised to be soon.
pub(crate) async fn soon<F: Future<Output = Option<()>>>(what: &str, probe: impl FnMut() -> F) {
    let begun = Instant::now();
    wait_until(DEADLINE, what, probe).await;
    let took = begun.elapsed();
    println!("{what}: {} ms", took.as_millis());
    assert!(took < SOON, "{what} took {took:?}");
}

/// As long as the cause is there, it is told once.
async fn silent_for(space: &Space<'_>, time: Duration) {
    tokio::time::sleep(SETTLED).await;
    let mark = space.cluster().audit().mark();
    tokio::time::sleep(time.saturating_sub(SETTLED)).await;
    let mut writes = space.writes(mark);
    writes.retain(|write| write.code < 400);
    assert!(writes.is_empty(), "the operator wrote although nothing changed: {writes:#?}\n{:#?}", told(space).await);
}

/// What events tell.
async fn told(space: &Space<'_>) -> Vec<String> {
    let events = space.api::<Event>().list(&ListParams::default()).await.unwrap();
    let line = |event: &Event| {
        let object = event.regarding.as_ref().and_then(|object| object.name.as_deref());
        format!("{:?} {object:?} {:?} {:?}", event.event_time, event.reason, event.note)
    };
    events.iter().map(line).collect()
}

fn database(tenants: &Tenants, space: &Space<'_>, name: &str, server: SocketAddr) -> Value {
    let mut external = tenants.external(space);
    external["host"] = json!(server.ip().to_string());
    external["port"] = json!(server.port());
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase", "metadata": {"name": name},
        "spec": {"external": external, "databases": [{"name": name.replace('-', "_")}], "deletionPolicy": "Retain"},
    })
}

/// The secret of an administrator of this name.
pub(crate) fn login_of(username: &str) -> Value {
    let mut secret = administrator();
    secret["stringData"]["username"] = json!(username);
    secret
}

/// Removes an administrator who made databases.
fn drop_role(role: &str) {
    postgres().query("postgres", &format!("DROP OWNED BY {role}")).unwrap();
    postgres().query("postgres", &format!("DROP ROLE {role}")).unwrap();
}

fn topic(space: &Space<'_>, brokers: SocketAddr) -> Value {
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreTopic", "metadata": {"name": "own"},
        "spec": {"bootstrapServers": brokers.to_string(), "topicName": format!("{}.own", space.identifier())},
    })
}

fn silent_topic(number: usize, brokers: SocketAddr) -> Value {
    json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreTopic", "metadata": {"name": format!("silent-{number}")},
        "spec": {"bootstrapServers": brokers.to_string(), "topicName": format!("silent-{number}")},
    })
}

/// An address at which nothing listens, except while what comes there is passed on to a server.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    passing: JoinSet<()>,
}

impl Door {
    pub(crate) async fn closed() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { address: listener.local_addr().unwrap(), passing: JoinSet::new() }
    }

    pub(crate) async fn open(&mut self, server: String) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.passing.spawn(async move {
            let mut guests = JoinSet::new();
            while let Ok((mut guest, _)) = listener.accept().await {
                let server = server.clone();
                guests.spawn(async move {
                    let mut host = TcpStream::connect(server).await.unwrap();
                    // Either may hang up at any time.
                    let _ = copy_bidirectional(&mut guest, &mut host).await;
                });
            }
        });
    }

    /// Whoever is in is thrown out.
    pub(crate) async fn close(&mut self) {
        self.passing.shutdown().await;
    }
}

/// An address that neither accepts nor refuses: its queue is full, so what comes there is dropped.
struct BlackHole {
    address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    async fn dig() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
            queue.push(stream.unwrap());
        }
        Self { address, _listener: listener, _queue: queue }
    }
}
