//! nginx in front of the web face, with the lines that docs/web.md gives its reader: only names, ports and
//! certificates are those of the test.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::support::Failure;
use crate::support::ports::Port;
use crate::support::process::{Process, find_program};

/// How long it may take to start: well below a second, and the machine may be busy.
const START: Duration = Duration::from_secs(30);

/// A running nginx. Dropping it kills it.
pub(crate) struct Nginx {
    // Before the folder, so that the process is gone before it is.
    process: Process,
    port: Port,
    _folder: TempDir,
}

impl Nginx {
    /// Starts it with a `server` block, in which `{listen}` stands for its address.
    pub(crate) async fn start(port: Port, block: &str) -> Result<Self, Failure> {
        let program = find_program("nginx").ok_or_else(|| {
            Failure::new(
                "nginx is not installed: run make test, or \
                 apt-get install --no-install-recommends nginx-light",
            )
        })?;
        let failure = |error: std::io::Error| Failure::new(format!("cannot start nginx: {error}"));
        let folder = tempfile::Builder::new()
            .prefix("vestibule-test-")
            .tempdir()
            .map_err(failure)?;
        let file = folder.path().join("nginx.conf");
        let block = block.replace("{listen}", &port.address().to_string());
        std::fs::write(&file, configuration(folder.path(), &block)).map_err(failure)?;
        let mut command = Process::command(&program);
        command
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .args(["-e", "stderr"]);
        let mut process = Process::spawn("nginx", command, &folder.path().join("nginx.log"))?;
        let end = Instant::now() + START;
        while TcpStream::connect(port.address()).await.is_err() {
            if process.ended().is_some() || Instant::now() > end {
                return Err(process.failure("does not answer"));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(Self {
            process,
            port,
            _folder: folder,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Ends it in order.
    pub(crate) async fn stop(&mut self) -> Result<(), Failure> {
        self.process.terminate(START).await.map(drop)
    }
}

/// What Debian's configuration has around a server, in one process without files elsewhere.
fn configuration(folder: &Path, block: &str) -> String {
    let folder = folder.display();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nevents {{}}\nhttp {{\n\
         access_log off;\nerror_log stderr;\nclient_body_temp_path {folder}/body;\n\
         proxy_temp_path {folder}/proxy;\nfastcgi_temp_path {folder}/fastcgi;\n\
         uwsgi_temp_path {folder}/uwsgi;\nscgi_temp_path {folder}/scgi;\n{block}\n}}\n"
    )
}
