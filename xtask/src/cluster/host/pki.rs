//! The cluster's certificates: one authority, one certificate per component, made once and kept.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use super::layout::{Layout, Node};

/// Who a certificate is for.
pub(super) struct Subject<'a> {
    /// The name of its files.
    name: &'a str,
    common_name: &'a str,
    /// The Kubernetes group, where it has one.
    organization: Option<&'a str>,
    /// DNS names and addresses.
    names: Vec<String>,
}

/// Makes what is missing: the authority, the service accounts' key, a certificate per component of the control plane.
pub(super) fn ensure_control_plane(layout: &Layout) -> Result<()> {
    fs::create_dir_all(layout.pki()).with_context(|| format!("cannot create {}", layout.pki().display()))?;
    let service_accounts = layout.key("service-accounts");
    if !service_accounts.exists() {
        let key = KeyPair::generate()?;
        write_public(&layout.pki().join("service-accounts.pub"), &key.public_key_pem())?;
        write_secret(&service_accounts, &key.serialize_pem())?;
    }
    let api_server = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "127.0.0.1",
        "10.96.0.1",
        "10.244.0.1",
    ];
    let plain = |name, common_name| Subject { name, common_name, organization: None, names: vec![] };
    for subject in [
        Subject { names: api_server.map(str::to_owned).to_vec(), ..plain("apiserver", "kube-apiserver") },
        Subject { names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()], ..plain("etcd", "etcd") },
        plain("etcd-client", "kube-apiserver"),
        Subject { organization: Some("system:masters"), ..plain("admin", "admin") },
        Subject { organization: Some("system:masters"), ..plain("kubelet-client", "kube-apiserver-kubelet-client") },
        plain("controller-manager", "system:kube-controller-manager"),
        plain("scheduler", "system:kube-scheduler"),
        plain("proxy", "system:kube-proxy"),
        plain("front-proxy", "front-proxy"),
    ] {
        ensure(layout, &subject)?;
    }
    Ok(())
}

/// Makes the node's certificate, for its kubelet as a server and as a client.
pub(super) fn ensure_node(layout: &Layout, node: &Node) -> Result<()> {
    let name = node.name();
    ensure(
        layout,
        &Subject {
            name: &name,
            common_name: &format!("system:node:{name}"),
            organization: Some("system:nodes"),
            names: vec![name.clone(), node.address(), "127.0.0.1".to_owned()],
        },
    )
}

fn ensure(layout: &Layout, subject: &Subject<'_>) -> Result<()> {
    let issuer = authority(layout)?;
    let (certificate, key) = (layout.certificate(subject.name), layout.key(subject.name));
    if certificate.exists() && key.exists() {
        return Ok(());
    }
    let pair = KeyPair::generate()?;
    let mut params = valid_long(CertificateParams::new(subject.names.clone())?);
    params.distinguished_name = distinguished_name(subject.common_name, subject.organization);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let signed = params.signed_by(&pair, &issuer)?;
    write_secret(&key, &pair.serialize_pem())?;
    write_public(&certificate, &signed.pem())
}

/// The authority's key and name; made at the first call.
fn authority(layout: &Layout) -> Result<Issuer<'static, KeyPair>> {
    let (certificate, key) = (layout.certificate("ca"), layout.key("ca"));
    let mut params = valid_long(CertificateParams::default());
    params.distinguished_name = distinguished_name("greencommerce-local", None);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    if certificate.exists() && key.exists() {
        let pem = fs::read_to_string(&key).with_context(|| format!("cannot read {}", key.display()))?;
        return Ok(Issuer::new(params, KeyPair::from_pem(&pem)?));
    }
    let pair = KeyPair::generate()?;
    write_secret(&key, &pair.serialize_pem())?;
    write_public(&certificate, &params.self_signed(&pair)?.pem())?;
    Ok(Issuer::new(params, pair))
}

/// Fixed dates: a cluster that lives on one machine is thrown away, not renewed.
fn valid_long(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2055, 1, 1);
    params
}

fn distinguished_name(common_name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    name
}

fn write_public(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Readable by root alone from the first byte on.
pub(super) fn write_secret(path: &Path, text: &str) -> Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}
