//! The certificates and keys of a control plane that lives as long as one process.

use std::{fs, io, path::Path};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// What is written into the folder.
pub(super) const AUTHORITY: &str = "ca.crt";
/// One certificate serves both servers, and the API server as a client of etcd.
pub(super) const CERTIFICATE: &str = "server.crt";
pub(super) const KEY: &str = "server.key";
pub(super) const SERVICE_ACCOUNTS: &str = "service-accounts.key";
pub(super) const SERVICE_ACCOUNTS_PUBLIC: &str = "service-accounts.pub";

/// Makes everything anew. Returns the authority's certificate in DER.
pub(super) fn write(dir: &Path) -> io::Result<Vec<u8>> {
    let (authority, certified) = authority().map_err(io::Error::other)?;
    fs::write(dir.join(AUTHORITY), certified.pem())?;
    let (certificate, key) = server(&authority).map_err(io::Error::other)?;
    fs::write(dir.join(CERTIFICATE), certificate)?;
    fs::write(dir.join(KEY), key)?;
    let accounts = KeyPair::generate().map_err(io::Error::other)?;
    fs::write(dir.join(SERVICE_ACCOUNTS), accounts.serialize_pem())?;
    fs::write(dir.join(SERVICE_ACCOUNTS_PUBLIC), accounts.public_key_pem())?;
    Ok(certified.der().to_vec())
}

fn authority() -> Result<(Issuer<'static, KeyPair>, Certificate), rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "kubekit");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let pair = KeyPair::generate()?;
    let certified = params.self_signed(&pair)?;
    Ok((Issuer::new(params, pair), certified))
}

fn server(authority: &Issuer<'_, KeyPair>) -> Result<(String, String), rcgen::Error> {
    let mut params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, "control-plane");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let pair = KeyPair::generate()?;
    let signed = params.signed_by(&pair, authority)?;
    Ok((signed.pem(), pair.serialize_pem()))
}
