//! The pure steps together: from a manifest and what was read, to children and status.

mod logins;
mod tls;

use std::time::Duration;

use api::{ConditionType, Reason, StoreDatabase, StoreDatabaseStatus};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    ByteString,
    api::{
        apps::v1::StatefulSet,
        core::v1::{PersistentVolumeClaim, Pod, Secret},
        networking::v1::NetworkPolicy,
    },
};
use kube::runtime::controller::Action;
use serde_json::{Value, json};

use super::{
    CLASS_POLL, build,
    credential::Credential,
    dereference::{AdminReads, ManagedReads, Reads, ServerReads},
    error::ValidateError,
    names::Names,
    next_look,
    rotate::Progress,
    sql::{Conflict, Found, Identifier, Mark, Outcome, Password, Seat, Spare, Tenancy},
    status::{ServerState, status},
    validate::{Mode, Validated, removal, validate},
};
use crate::{framework::Finding, storage};

type Labels = std::collections::BTreeMap<String, String>;

const MANAGED: &str = include_str!("build/fixtures/managed.yaml");
const EXTERNAL: &str = include_str!("build/fixtures/external.yaml");

fn database(manifest: &str) -> StoreDatabase {
    serde_yaml::from_str(manifest).unwrap()
}

fn password(text: &str) -> Password {
    Password::from_secret(text).unwrap()
}

fn secret(entries: &[(&str, &str)]) -> Secret {
    let data = entries.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())));
    Secret { data: Some(data.collect()), ..Secret::default() }
}

fn claim(size: &str) -> PersistentVolumeClaim {
    serde_json::from_value(json!({
        "spec": { "storageClassName": "fast", "resources": { "requests": { "storage": size } } },
        "status": { "phase": "Bound", "capacity": { "storage": size } },
    }))
    .unwrap()
}

fn reads(database: &StoreDatabase, server: ServerReads) -> Reads {
    let names = Names::of(database);
    let names = database.spec.databases.iter().map(|named| names.on_server(&named.name).unwrap());
    let (operator, users) =
        ("greencommerce-system".to_owned(), vec!["recycled-goods-auth".to_owned(), "loyalty".to_owned()]);
    Reads {
        operator,
        users,
        credentials: names.map(|name| (name, Credential::new(password("kept"), None))).collect(),
        server,
    }
}

fn managed_reads(superuser: Option<Secret>, claim: Option<PersistentVolumeClaim>) -> ServerReads {
    ServerReads::Managed(Box::new(ManagedReads {
        superuser,
        storage: storage::Observed { claim, class: None },
        new_password: password("new"),
    }))
}

fn admin_reads(secret: Option<Secret>) -> ServerReads {
    ServerReads::External(Box::new(AdminReads { name: "postgres-admin".to_owned(), secret, authorities: None }))
}

fn validated(manifest: &str, server: ServerReads) -> Result<Validated, ValidateError> {
    let database = database(manifest);
    let reads = reads(&database, server);
    validate(&database, reads)
}

fn new_managed() -> Validated {
    validated(MANAGED, managed_reads(None, None)).unwrap()
}

fn running() -> Validated {
    validated(MANAGED, managed_reads(Some(secret(&[("password", "old")])), Some(claim("2Gi")))).unwrap()
}

fn superuser(validated: &Validated) -> &str {
    match &validated.mode {
        Mode::Managed(managed) => managed.superuser.expose(),
        Mode::External(admin) => admin.password.expose(),
    }
}

/// Name and labels of the server's pod, and its policy, where `user` uses a database; for the test that looks at all
/// policies of a store.
pub(crate) fn network_of(database: &StoreDatabase, user: &str) -> Option<(String, Labels, NetworkPolicy)> {
    database.spec.managed.as_ref()?;
    let reads = Reads { users: vec![user.to_owned()], ..reads(database, managed_reads(None, None)) };
    let validated = validate(database, reads).unwrap();
    let Mode::Managed(managed) = &validated.mode else { return None };
    let server = build::server(&validated, managed);
    let labels = server.stateful_set.spec.template.metadata.unwrap().labels.unwrap();
    Some(("database".to_owned(), labels, server.policy))
}

/// Secrets show their data in base64; readers of a snapshot want the text.
fn readable(secret: &Secret) -> Value {
    let text = |(key, value): (&String, &ByteString)| (key.clone(), json!(String::from_utf8_lossy(&value.0)));
    let data: serde_json::Map<String, Value> = secret.data.iter().flatten().map(text).collect();
    json!({ "metadata": secret.metadata, "type": secret.type_, "data (decoded)": data })
}

#[test]
fn a_managed_server_is_a_stateful_set_with_a_volume_that_nobody_owns() {
    let validated = new_managed();
    let Mode::Managed(managed) = &validated.mode else { panic!("the manifest is of a managed server") };
    let server = build::server(&validated, managed);
    insta::assert_yaml_snapshot!(json!([
        readable(&server.superuser),
        server.volume,
        server.policy,
        server.service,
        server.stateful_set
    ]));
}

#[test]
fn each_database_has_a_secret_with_all_a_service_needs() {
    let logins: Vec<Value> = build::logins(&new_managed()).iter().map(readable).collect();
    insta::assert_yaml_snapshot!(logins);
}

#[test]
fn on_an_external_server_the_administrator_comes_from_his_secret_and_roles_are_marked() {
    let admin = secret(&[("username", "dba"), ("password", "admin")]);
    let validated = validated(EXTERNAL, admin_reads(Some(admin))).unwrap();
    let server = validated.server();
    assert_eq!((server.host.as_str(), server.port, server.username.as_str()), ("db.example.com", 5432, "dba"));
    assert_eq!(superuser(&validated), "admin");
    assert_eq!(validated.tenancy(), Tenancy::Shared(Mark::new("shop", "emporium", "5a1d3c0f")));
    let login = readable(&build::logins(&validated)[0]);
    let uri = "postgres://eco_orders:kept@db.example.com:5432/eco_orders";
    assert_eq!(
        (&login["data (decoded)"]["uri"], &login["metadata"]["name"]),
        (&json!(uri), &json!("emporium-orders-database"))
    );
    let (status, _) = status(&validated, &ServerState::Ready, None, &Progress::default());
    assert_eq!(status.databases[0].name, "orders");
}

#[test]
fn what_a_store_has_on_an_external_server_is_marked_as_the_stores_and_taken_up_when_the_store_says_so() {
    let mut database = database(EXTERNAL);
    let owner = json!([{"apiVersion": "v1", "kind": "Store", "name": "emporium", "uid": "of the store"}]);
    database.metadata.owner_references = serde_json::from_value(owner).unwrap();
    database.spec.adopt_retained_data = true;
    let admin = || AdminReads {
        name: "postgres-admin".to_owned(),
        secret: Some(secret(&[("username", "dba"), ("password", "admin")])),
        authorities: None,
    };
    let mark = Mark::new("shop", "emporium", "of the store");
    let removal = removal(&database, &admin()).unwrap();
    assert_eq!(removal.tenancy, Tenancy::Shared(mark.clone()));
    let reads = reads(&database, ServerReads::External(Box::new(admin())));
    assert_eq!(validate(&database, reads).unwrap().tenancy(), Tenancy::Shared(mark.adopting(true)));
}

#[test]
fn which_database_it_is_does_not_get_lost_while_its_server_is_away() {
    let validated = running();
    let identities = |status: &StoreDatabaseStatus| -> Vec<Option<String>> {
        status.databases.iter().map(|database| database.identity.clone()).collect()
    };
    let (first, _) = status(&validated, &ServerState::Ready, Some(&outcome(&validated, false)), &Progress::default());
    assert_eq!(identities(&first), [Some("7/16384".to_owned()), Some("7/16384".to_owned())]);
    let database = StoreDatabase { status: Some(first.clone()), ..database(MANAGED) };
    let reads = reads(&database, managed_reads(Some(secret(&[("password", "old")])), Some(claim("2Gi"))));
    let (later, _) = status(&validate(&database, reads).unwrap(), &ServerState::Ready, None, &Progress::default());
    assert_eq!(identities(&later), identities(&first));
}

#[test]
fn a_prefix_is_taken_off_once() {
    let names = Names::of(&database(EXTERNAL));
    for name in ["orders", "eco_orders", "eco"] {
        assert_eq!(names.in_spec(&names.on_server(name).unwrap()), name);
    }
    assert!(names.on_server(&"a".repeat(60)).is_err());
}

#[test]
fn an_administrators_secret_that_is_missing_or_incomplete_is_named() {
    let message = |secret| validated(EXTERNAL, admin_reads(secret)).unwrap_err().to_string();
    assert!(message(None).starts_with("Secret postgres-admin does not exist: create it"));
    let incomplete = message(Some(secret(&[("username", "dba"), ("password", "")])));
    assert_eq!(incomplete, "Secret postgres-admin has no key password, or an empty one");
}

#[test]
fn the_superusers_password_is_made_once_and_never_again_over_data() {
    assert_eq!(superuser(&new_managed()), "new");
    assert_eq!(superuser(&running()), "old");
    for unusable in [None, Some(secret(&[])), Some(secret(&[("password", "")]))] {
        let lost = validated(MANAGED, managed_reads(unusable, Some(claim("2Gi")))).unwrap_err();
        assert!(matches!(&lost, ValidateError::CredentialsLost { .. }), "{lost}");
        assert!(lost.to_string().contains("data-recycled-goods-postgres-0"), "{lost}");
    }
}

fn stateful_set(status: &Value) -> StatefulSet {
    serde_json::from_value(json!({
        "metadata": { "name": "recycled-goods-postgres", "generation": 2 },
        "spec": { "selector": {}, "template": {} },
        "status": status,
    }))
    .unwrap()
}

fn serving(observed: i64, updated: bool) -> StatefulSet {
    stateful_set(&json!({
        "replicas": 1, "readyReplicas": 1, "observedGeneration": observed,
        "currentRevision": "a", "updateRevision": if updated { "a" } else { "b" },
    }))
}

#[test]
fn a_server_is_ready_only_at_its_own_generation() {
    let state = |set: Option<&StatefulSet>, changed| ServerState::of_managed(set, [], changed);
    assert_eq!(state(Some(&serving(2, true)), false), ServerState::Ready);
    for (set, changed) in [(serving(1, true), false), (serving(2, false), false), (serving(2, true), true)] {
        let state = state(Some(&set), changed);
        assert!(matches!(state, ServerState::Changing(_)) && state.serves(), "{state:?}");
    }
    assert!(matches!(state(None, false), ServerState::Down(Reason::ChildPending, _)));
    let starting = stateful_set(&json!({ "replicas": 1 }));
    assert!(matches!(state(Some(&starting), false), ServerState::Down(Reason::PodsStarting, _)));
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": { "name": "recycled-goods-postgres-0" },
        "status": { "containerStatuses": [{
            "name": "postgres", "image": "postgres:15", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": "ErrImagePull", "message": "no such host" } },
        }] },
    }))
    .unwrap();
    let state = ServerState::of_managed(Some(&stateful_set(&json!({ "replicas": 1 }))), [&pod], false);
    let (_, findings) = status(&running(), &state, None, &Progress::default());
    assert_eq!((findings[0].condition, findings[0].reason), (ConditionType::Ready, Reason::ImagePullFailed));
    assert!(findings[0].message.contains("postgres:15: no such host"), "{}", findings[0].message);
}

#[test]
fn a_server_whose_pod_is_refused_says_so_and_one_that_is_ill_says_that() {
    let podless = crate::refused::Podless { refused: Some("exceeded quota".to_owned()), ..Default::default() };
    let starting = ServerState::Down(Reason::PodsStarting, "the server is starting".to_owned());
    assert_eq!(starting.clone().unless_refused(None), starting);
    let ServerState::Down(reason, message) = starting.unless_refused(Some(&podless)) else {
        panic!("it does not serve")
    };
    assert_eq!(reason, Reason::PodsRefused);
    assert!(message.contains("exceeded quota"), "{message}");
    let ill = ServerState::Down(Reason::Unschedulable, "no node".to_owned());
    assert_eq!(ill.clone().unless_refused(Some(&podless)), ill);
}

fn found(spare: Spare) -> Found {
    Found { spare, identity: Some("7/16384".to_owned()) }
}

fn outcome(validated: &Validated, conflict: bool) -> Outcome {
    let taken = |name: &Identifier| conflict && name.as_str() == "auth";
    let result =
        |name: &Identifier| if taken(name) { Err(Conflict::Role(name.clone())) } else { Ok(found(Spare::Closed)) };
    validated.logins.iter().map(|login| (login.name.clone(), result(&login.name))).collect()
}

#[test]
fn a_database_is_ready_when_server_volume_and_every_database_are() {
    let validated = running();
    let (status, findings) =
        status(&validated, &ServerState::Ready, Some(&outcome(&validated, false)), &Progress::default());
    let of_readiness = |finding: &&Finding| finding.condition != ConditionType::Rotating;
    assert!(findings.iter().filter(of_readiness).all(|finding| finding.holds), "{findings:?}");
    let shown: Vec<_> =
        status.databases.iter().map(|seen| (seen.name.as_str(), seen.ready, seen.secret_name.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("auth", true, "recycled-goods-auth-database"),
            ("order_history", true, "recycled-goods-order-history-database")
        ],
    );
}

#[test]
fn a_name_that_is_taken_concerns_its_database_only_and_is_told() {
    let validated = running();
    let (status, findings) =
        status(&validated, &ServerState::Ready, Some(&outcome(&validated, true)), &Progress::default());
    assert_eq!((findings[0].holds, findings[0].reason), (false, Reason::NameTaken));
    assert_eq!(status.databases.iter().map(|seen| seen.ready).collect::<Vec<_>>(), [false, true]);
    // Nobody tells when it is free.
    let next = |unready| {
        let (outcome, now) = (outcome(&validated, true), Timestamp::UNIX_EPOCH);
        next_look(&validated, Some(&outcome), &Progress::default(), now, unready)
    };
    assert_eq!(next(Duration::ZERO), Action::requeue(Duration::from_millis(1500)));
    assert_eq!(next(Duration::from_mins(11)), Action::requeue(Duration::from_secs(10)));
}

#[test]
fn a_volume_that_cannot_grow_is_not_ready_and_keeps_its_size() {
    let small = Some(claim("1Gi"));
    let validated = validated(MANAGED, managed_reads(Some(secret(&[("password", "old")])), small)).unwrap();
    let Mode::Managed(managed) = &validated.mode else { panic!("the manifest is of a managed server") };
    assert_eq!(managed.claim.size.0, "1Gi");
    let (_, findings) =
        status(&validated, &ServerState::Ready, Some(&outcome(&validated, false)), &Progress::default());
    assert_eq!((findings[0].holds, findings[0].reason), (false, Reason::VolumeExpansionUnsupported));
    // Its class may be changed, and nobody tells.
    let next = |of: &Validated| {
        next_look(of, Some(&outcome(of, false)), &Progress::default(), Timestamp::UNIX_EPOCH, Duration::ZERO)
    };
    assert_eq!(next(&validated), Action::requeue(CLASS_POLL));
    assert_eq!(next(&running()), Action::await_change());
}

#[test]
fn a_password_that_gets_too_old_on_a_server_that_is_not_there_is_waited_for_in_peace() {
    let mut old = running();
    old.wish.interval = Some(SignedDuration::from_hours(1));
    for held in old.credentials.values_mut() {
        held.rotated = Some(Timestamp::UNIX_EPOCH);
    }
    let next = |outcome: Option<&Outcome>, at| next_look(&old, outcome, &Progress::default(), at, Duration::ZERO);
    let (soon, late) = (Timestamp::UNIX_EPOCH, "2026-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(next(Some(&outcome(&old, false)), soon), Action::requeue(Duration::from_hours(1)));
    assert_eq!(next(None, late), Action::await_change());
}

fn rotated() -> Validated {
    let database = database(MANAGED);
    let mut reads = reads(&database, managed_reads(Some(secret(&[("password", "old")])), Some(claim("2Gi"))));
    for held in reads.credentials.values_mut() {
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        *held = held.next(password("next"), Some("monday".to_owned()), at);
    }
    validate(&database, reads).unwrap()
}

#[test]
fn after_a_rotation_the_secret_has_the_other_role_the_new_password_and_what_it_was_made_for() {
    let secret = &build::logins(&rotated())[0];
    insta::assert_yaml_snapshot!(readable(secret));
    let read = Credential::of(&Identifier::parse("auth").unwrap(), secret).unwrap();
    assert_eq!((read.seat, read.password.expose(), read.request.as_deref()), (Seat::Second, "next", Some("monday")));
    assert_eq!(read.rotated.unwrap().to_string(), "2026-01-01T00:00:00Z");
}

#[test]
fn a_rotation_is_told_while_it_is_under_way_and_its_time_afterwards() {
    let (validated, ready) = (rotated(), ServerState::Ready);
    let told = |progress: &Progress| {
        let (status, findings) = status(&validated, &ready, Some(&outcome(&validated, false)), progress);
        let rotating = findings.into_iter().find(|finding| finding.condition == ConditionType::Rotating).unwrap();
        assert!(status.databases.iter().all(|database| database.password_rotated.is_some()));
        (rotating.holds, rotating.reason, rotating.message)
    };
    let (waits, blocked) = (vec!["auth: 2 pods are behind".to_owned()], vec!["a role is taken".to_owned()]);
    let (holds, reason, message) = told(&Progress { waits, ..Progress::default() });
    assert_eq!((holds, reason, message.as_str()), (true, Reason::RotatingPasswords, "auth: 2 pods are behind"));
    assert_eq!(told(&Progress { blocked, ..Progress::default() }).1, Reason::NameTaken);
    assert_eq!(told(&Progress::default()).1, Reason::Settled);
}

#[test]
fn the_age_of_passwords_is_read_from_the_spec() {
    let manifest = format!("{MANAGED}  passwordRotation: {{interval: 720h}}\n");
    let validated = validated(&manifest, managed_reads(None, None)).unwrap();
    assert_eq!(validated.wish.interval, Some(jiff::SignedDuration::from_hours(720)));
}
