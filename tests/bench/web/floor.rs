//! The floor: axum with one handler that answers a constant, of the size of the answer it stands beside.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;

/// About as long as the status of a user.
const ANSWER: &str = r#"{"success":true,"data":{"jid":"u0@localhost","show":"away","status":"in the office until five","custom":null,"since":"2026-11-25T08:00:00Z","level":"public","rights":[{"name":"see"},{"name":"open-url","confirm":true},{"name":"leave-message"}]}}"#;

/// A running floor.
pub(crate) struct Floor {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Floor {
    /// This program again, in a process of its own.
    pub(crate) fn start(program: &Path, address: SocketAddr) -> Self {
        let child = Command::new(program)
            .arg(format!("--floor={address}"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { address, child }
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Answers until it is killed.
pub(crate) fn run(address: SocketAddr) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let headers = [
            (CONTENT_TYPE, "application/json"),
            (CACHE_CONTROL, "no-store"),
        ];
        let router = Router::new().route("/", get(move || async move { (headers, ANSWER) }));
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        axum::serve(listener, router).await.unwrap();
    });
}
