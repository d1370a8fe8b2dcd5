//! LocalBackend, judged in this process: each case is a test.

use std::process::ExitCode;
use std::sync::Arc;

use backend_local::{LocalBackend, LocalConfig};
use backend_server::BackendService;
use conformance::model::BookAdapter;
use conformance::registry::Profile;
use conformance::{InProcess, Introduction, harness};
use models::ModelRouter;

fn main() -> ExitCode {
    let introduction = Introduction {
        name: String::from("backend-local"),
        version: String::from(env!("CARGO_PKG_VERSION")),
        backend_mode: String::from("local"),
    };
    let plug = InProcess::new(introduction, |endpoint| {
        let adapter = Arc::new(BookAdapter::new(Arc::clone(&endpoint.book)));
        let models = ModelRouter::new(vec![adapter]).unwrap_or_default();
        Arc::new(BackendService::new(Arc::new(LocalBackend::new(LocalConfig {
            models,
            ..LocalConfig::default()
        }))))
    });
    harness(Arc::new(plug), Profile::Local)
}
