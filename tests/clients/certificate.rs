//! An authority made on the spot, and a certificate for `localhost` by it: clients want TLS.

use std::path::{Path, PathBuf};

use crate::support::Failure;
use crate::support::process::find_program;
use crate::support::server::Certificate;

/// The authority whose certificates the clients take.
#[derive(Debug)]
pub(crate) struct Authority {
    /// Its own certificate.
    pub(crate) file: PathBuf,
    /// What the server proves itself with.
    pub(crate) server: Certificate,
}

impl Authority {
    /// Makes both in `folder`; they are valid for two days.
    pub(crate) fn make(folder: &Path) -> Result<Self, Failure> {
        let authority = Self {
            file: folder.join("authority.pem"),
            server: Certificate {
                public: folder.join("server.pem"),
                private: folder.join("server.key"),
            },
        };
        let file = |path: &Path| path.display().to_string();
        let (own_key, request) = (folder.join("authority.key"), folder.join("server.csr"));
        let extensions = folder.join("server.ext");
        // The server name stands in both forms that RFC 6120 §13.7.1.2 knows.
        let text = "subjectAltName=DNS:localhost,otherName:1.3.6.1.5.5.7.8.5;UTF8:localhost\n\
                    basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n";
        std::fs::write(&extensions, text)
            .map_err(|error| Failure::new(format!("cannot write {extensions:?}: {error}")))?;
        let new_key = |key: &Path| {
            ["-newkey", "rsa:2048", "-nodes", "-keyout", &file(key)].map(str::to_owned)
        };
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        openssl(
            [
                words("req -x509 -days 2 -subj /CN=Test"),
                words("-addext basicConstraints=critical,CA:TRUE"),
                words("-addext keyUsage=critical,keyCertSign"),
                new_key(&own_key).to_vec(),
                vec!["-out".to_owned(), file(&authority.file)],
            ]
            .concat(),
        )?;
        openssl(
            [
                words("req -subj /CN=localhost"),
                new_key(&authority.server.private).to_vec(),
                vec!["-out".to_owned(), file(&request)],
            ]
            .concat(),
        )?;
        openssl(
            [
                words("x509 -req -days 2 -CAcreateserial"),
                vec!["-in".to_owned(), file(&request)],
                vec!["-CA".to_owned(), file(&authority.file)],
                vec!["-CAkey".to_owned(), file(&own_key)],
                vec!["-extfile".to_owned(), file(&extensions)],
                vec!["-out".to_owned(), file(&authority.server.public)],
            ]
            .concat(),
        )?;
        Ok(authority)
    }
}

fn openssl(arguments: Vec<String>) -> Result<(), Failure> {
    let program = find_program("openssl").ok_or_else(|| crate::confined::missing("openssl"))?;
    let output = std::process::Command::new(program)
        .args(&arguments)
        .output()
        .map_err(|error| Failure::new(format!("cannot start openssl: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "openssl {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    )))
}
