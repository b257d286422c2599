//! A certificate authority that nobody trusts unless told to.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// An authority that lives as long as the value.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

/// What a server shows, in PEM.
#[derive(Debug, Clone)]
pub struct Certified {
    /// Its certificate.
    pub certificate: String,
    /// The key that belongs to it.
    pub key: String,
}

impl Authority {
    /// A new one, with a key unlike every other's.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).expect("an authority signs its own certificate");
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// Its certificate, in PEM with the line ends of Unix.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem().replace("\r\n", "\n")
    }

    /// A certificate for a server with these names or addresses.
    #[must_use]
    pub fn certify(&self, names: &[&str]) -> Certified {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("the names are names or addresses");
        params.distinguished_name.push(DnType::CommonName, "server");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.issuer).expect("an authority signs");
        Certified { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}
