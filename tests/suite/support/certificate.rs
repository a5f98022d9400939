//! Certificates made on the spot: an authority, and what it signs for a server of the tests.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};

use super::Failure;
use super::server::Certificate;

/// An authority, whom those trust who are to, and a certificate by it for `name`; all as files in `folder`,
/// which must have none of them yet.
pub(crate) fn certificate(folder: &Path, name: &str) -> Result<(PathBuf, Certificate), Failure> {
    let make = || -> Result<_, rcgen::Error> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let (own, key) = (KeyPair::generate()?, KeyPair::generate()?);
        let public = authority.self_signed(&own)?.pem();
        let mut server = CertificateParams::new(vec![name.to_owned()])?;
        // ejabberd takes none that ends in the year 4096, which is what it would be by itself.
        server.not_after = (SystemTime::now() + Duration::from_secs(30 * 86_400)).into();
        // Both names have to be others than the authority's.
        server.distinguished_name = DistinguishedName::new();
        server.distinguished_name.push(DnType::CommonName, name);
        let certificate = server.signed_by(&key, &Issuer::new(authority, own))?;
        Ok((public, certificate.pem(), key.serialize_pem()))
    };
    let (authority, public, private) = make().map_err(|error| Failure::new(error.to_string()))?;
    let file = |name: &str, text: &str| -> Result<PathBuf, Failure> {
        let path = folder.join(name);
        let written = std::fs::write(&path, text)
            .and_then(|()| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)));
        written.map_err(|error| Failure::new(error.to_string()))?;
        Ok(path)
    };
    let certificate = Certificate {
        public: file("cert.pem", &public)?,
        private: file("key.pem", &private)?,
    };
    Ok((file("authority.pem", &authority)?, certificate))
}
