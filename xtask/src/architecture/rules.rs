//! The invariants of absence, each a function that lists what breaks it.

use super::Workspace;
use crate::packages::Package;

/// One invariant.
pub(super) struct Rule {
    /// What ARCHITECTURE.md calls it.
    pub(super) name: &'static str,
    /// What breaks it.
    pub(super) check: fn(&Workspace) -> Vec<String>,
}

/// All of them, in the order of the document.
pub(super) const ALL: [Rule; 12] = [
    Rule { name: "folder-is-package", check: folder_is_package },
    Rule { name: "services-stand-alone", check: services_stand_alone },
    Rule { name: "crates-know-no-service", check: crates_know_no_service },
    Rule { name: "operator-knows-no-service", check: operator_knows_no_service },
    Rule { name: "plugin-is-a-client", check: plugin_is_a_client },
    Rule { name: "api-is-plain-data", check: api_is_plain_data },
    Rule { name: "types-and-events-are-plain-data", check: types_and_events_are_plain_data },
    Rule { name: "domain-is-pure", check: domain_is_pure },
    Rule { name: "sql-in-store-only", check: sql_in_store_only },
    Rule { name: "e2e-is-a-black-box", check: e2e_is_a_black_box },
    Rule { name: "test-code-stays-out", check: test_code_stays_out },
    Rule { name: "one-crypto-provider", check: one_crypto_provider },
];

/// What does input or output, or waits for it.
const IO: &[&str] = &[
    "std::fs",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "std::process",
    "std::env",
    "tokio::",
    "reqwest::",
    "rdkafka::",
    "redis::",
];
/// The edges of a service.
const EDGES: &[&str] = &["sqlx::", "axum::", "tonic::", "db::", "kit::"];
/// Packages that do input or output, or wait for it.
const IO_PACKAGES: &[&str] = &[
    "tokio",
    "tokio-util",
    "tokio-stream",
    "hyper",
    "hyper-util",
    "axum",
    "tonic",
    "reqwest",
    "ureq",
    "rdkafka",
    "redis",
];
/// What sqlx's statements begin with.
const SQL: &[&str] =
    &["query!", "query_as!", "query_scalar!", "query_file!", "query_file_as!", "sqlx::query", "sqlx::raw_sql"];
const BANNED: &[&str] = &["ring", "openssl", "openssl-sys", "native-tls"];

fn folder_is_package(workspace: &Workspace) -> Vec<String> {
    let differs = |package: &&Package| package.folder.rsplit('/').next() != Some(&package.name);
    workspace
        .packages
        .iter()
        .filter(differs)
        .map(|package| format!("{}/ holds {}", package.folder, package.name))
        .collect()
}

fn services_stand_alone(workspace: &Workspace) -> Vec<String> {
    let service = |package: &Package| package.folder.starts_with("services/") && package.name != "greencommerce";
    forbidden_dependencies(workspace, service, |dependency| !dependency.folder.starts_with("crates/"))
}

fn crates_know_no_service(workspace: &Workspace) -> Vec<String> {
    let shared = |package: &Package| package.folder.starts_with("crates/");
    forbidden_dependencies(workspace, shared, |dependency| !dependency.folder.starts_with("crates/"))
}

fn operator_knows_no_service(workspace: &Workspace) -> Vec<String> {
    let operator = |package: &Package| package.folder.starts_with("operator");
    forbidden_dependencies(workspace, operator, |dependency| dependency.name != "api")
}

fn plugin_is_a_client(workspace: &Workspace) -> Vec<String> {
    let plugin = |package: &Package| package.folder == "plugin";
    forbidden_dependencies(workspace, plugin, |dependency| dependency.name != "api")
}

fn e2e_is_a_black_box(workspace: &Workspace) -> Vec<String> {
    let e2e = workspace.packages.iter().filter(|package| package.folder == "e2e");
    let named = e2e.flat_map(|package| &package.dependencies).map(|dependency| dependency.name.as_str());
    let inside = |name: &&str| workspace.packages.iter().any(|package| package.name == *name && is_inside(package));
    named.filter(inside).map(|name| format!("e2e depends on {name}")).collect()
}

fn api_is_plain_data(workspace: &Workspace) -> Vec<String> {
    plain_data(workspace, &["operator/api"], &["kube::Client", "kube::Api", "kube::runtime", "kube::client"])
}

fn types_and_events_are_plain_data(workspace: &Workspace) -> Vec<String> {
    plain_data(workspace, &["crates/types", "crates/events"], &["sqlx::query", "sqlx::PgPool", "PgConnection"])
}

fn domain_is_pure(workspace: &Workspace) -> Vec<String> {
    let domain = workspace.sources(|path| path.starts_with("services/") && path.contains("/src/domain/"));
    domain.flat_map(|source| source.find(&[IO, EDGES].concat())).collect()
}

fn sql_in_store_only(workspace: &Workspace) -> Vec<String> {
    let elsewhere = workspace.sources(|path| {
        path.starts_with("services/")
            && !path.starts_with("services/greencommerce/")
            && path.contains("/src/")
            && !path.contains("/src/store/")
            && !path.ends_with("/src/store.rs")
    });
    elsewhere.flat_map(|source| source.find(SQL)).collect()
}

fn test_code_stays_out(workspace: &Workspace) -> Vec<String> {
    let production = workspace
        .packages
        .iter()
        .filter(|package| !["testkit", "kubekit", "waitkit", "xtask", "e2e"].contains(&package.name.as_str()));
    let edges = production.flat_map(|package| package.dependencies.iter().map(move |dependency| (package, dependency)));
    edges
        .filter(|(_, dependency)| {
            !dependency.is_dev() && ["devenv", "testkit", "kubekit", "waitkit"].contains(&dependency.name.as_str())
        })
        .map(|(package, dependency)| format!("{} depends on {}", package.name, dependency.name))
        .collect()
}

fn one_crypto_provider(workspace: &Workspace) -> Vec<String> {
    let compiled = BANNED.iter().filter(|name| workspace.compiled.contains(**name));
    compiled.map(|name| format!("{name} is compiled")).collect()
}

/// What runs in the cluster, as opposed to what describes it or serves tests.
fn is_inside(package: &Package) -> bool {
    package.folder == "operator" || package.folder.starts_with("services/")
}

/// Dependencies within the workspace that `from` must not have. Tests may have any.
fn forbidden_dependencies(
    workspace: &Workspace,
    from: impl Fn(&Package) -> bool,
    is_forbidden: impl Fn(&Package) -> bool,
) -> Vec<String> {
    let mut found = Vec::new();
    for package in workspace.packages.iter().filter(|package| from(package)) {
        let needs = |name: &str| package.dependencies.iter().any(|to| to.name == name && !to.is_dev());
        let others = workspace.packages.iter().filter(|other| needs(&other.name) && is_forbidden(other));
        found.extend(others.map(|other| format!("{} depends on {}", package.name, other.name)));
    }
    found
}

/// Packages that have neither the means nor the words for input and output. Their tests may.
fn plain_data(workspace: &Workspace, folders: &[&str], more: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for package in workspace.packages.iter().filter(|package| folders.contains(&package.folder.as_str())) {
        let declared = package.dependencies.iter().filter(|dependency| !dependency.is_dev());
        let io = declared.filter(|dependency| IO_PACKAGES.contains(&dependency.name.as_str()));
        found.extend(io.map(|dependency| format!("{} depends on {}", package.name, dependency.name)));
        let folder = format!("{}/src/", package.folder);
        let words = [IO, more].concat();
        found.extend(workspace.sources(|path| path.starts_with(&folder)).flat_map(|source| source.find(&words)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{architecture::source::Source, packages::Dependency};

    fn package(folder: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        Package {
            name: folder.rsplit('/').next().unwrap().to_owned(),
            dir: format!("/w/{folder}").into(),
            folder: folder.to_owned(),
            dependencies: dependencies.iter().map(|(name, kind)| Dependency::new(name, *kind)).collect(),
        }
    }

    fn workspace(packages: Vec<Package>, sources: Vec<Source>) -> Workspace {
        Workspace { packages, sources, compiled: ["aws-lc-rs".to_owned()].into() }
    }

    #[test]
    fn a_service_may_use_shared_crates_and_other_services_in_tests_only() {
        let cart =
            package("services/cart", &[("kit", None), ("catalog", None), ("auth", Some("dev")), ("serde", None)]);
        let others = ["crates/kit", "services/catalog", "services/auth"].map(|folder| package(folder, &[]));
        let packages = others.into_iter().chain([cart]).collect();
        assert_eq!(services_stand_alone(&workspace(packages, vec![])), ["cart depends on catalog"]);
    }

    #[test]
    fn the_test_kit_is_found_in_production_but_not_in_tests() {
        let packages = vec![
            package("services/cart", &[("testkit", Some("dev"))]),
            package("crates/kit", &[("devenv", None)]),
            package("crates/testkit", &[("devenv", None)]),
            package("crates/devenv", &[]),
        ];
        assert_eq!(test_code_stays_out(&workspace(packages, vec![])), ["kit depends on devenv"]);
    }

    #[test]
    fn a_black_box_test_that_looks_inside_is_found() {
        let packages = vec![
            package("e2e", &[("api", None), ("orders", Some("dev"))]),
            package("services/orders", &[]),
            package("operator/api", &[]),
        ];
        assert_eq!(e2e_is_a_black_box(&workspace(packages, vec![])), ["e2e depends on orders"]);
    }

    #[test]
    fn a_plugin_that_knows_more_than_the_api_is_found() {
        let packages = vec![
            package("plugin", &[("api", None), ("operator", None), ("kit", None), ("kube", None)]),
            package("operator", &[]),
            package("operator/api", &[]),
            package("crates/kit", &[]),
        ];
        let found = plugin_is_a_client(&workspace(packages, vec![]));
        assert_eq!(found, ["plugin depends on operator", "plugin depends on kit"]);
    }

    #[test]
    fn the_one_binary_may_use_every_service() {
        let all = package("services/greencommerce", &[("cart", None)]);
        assert!(services_stand_alone(&workspace(vec![package("services/cart", &[]), all], vec![])).is_empty());
    }

    #[test]
    fn a_folder_named_otherwise_than_its_package_is_found() {
        let odd = Package { name: "shopping-cart".to_owned(), ..package("services/cart", &[]) };
        assert_eq!(folder_is_package(&workspace(vec![odd], vec![])), ["services/cart/ holds shopping-cart"]);
    }

    #[test]
    fn input_and_output_in_plain_data_is_found_in_manifest_and_source() {
        let api = package("operator/api", &[("tokio", None), ("tokio", Some("dev")), ("serde", None)]);
        let source = Source::new("operator/api/src/lib.rs", "use kube::Client;\n");
        let found = api_is_plain_data(&workspace(vec![api], vec![source]));
        assert_eq!(found, ["api depends on tokio", "operator/api/src/lib.rs:1: kube::Client"]);
    }

    #[test]
    fn sql_is_found_outside_of_store_folders_only() {
        let sources =
            ["services/cart/src/http/get.rs", "services/cart/src/store/carts.rs", "services/cart/tests/cart.rs"];
        let sources = sources.map(|path| Source::new(path, "sqlx::query!(\"select 1\")"));
        let found = sql_in_store_only(&workspace(vec![], sources.into()));
        assert!(found.iter().all(|line| line.starts_with("services/cart/src/http/get.rs:1:")) && !found.is_empty());
    }

    #[test]
    fn the_edges_do_not_reach_into_a_domain() {
        let source = Source::new("services/cart/src/domain/cart.rs", "use axum::Json;\nuse types::Money;\n");
        assert_eq!(domain_is_pure(&workspace(vec![], vec![source])), ["services/cart/src/domain/cart.rs:1: axum::"]);
    }

    #[test]
    fn a_second_crypto_provider_is_found() {
        let mut workspace = workspace(vec![], vec![]);
        assert!(one_crypto_provider(&workspace).is_empty());
        workspace.compiled.insert("ring".to_owned());
        assert_eq!(one_crypto_provider(&workspace), ["ring is compiled"]);
    }
}
