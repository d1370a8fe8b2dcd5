//! KrakoBackend before a fabric, judged in this process: each case is a test.

use std::process::ExitCode;
use std::sync::Arc;

use conformance::registry::Profile;
use conformance::{Carrier, FabricPlug, harness};

fn main() -> ExitCode {
    match FabricPlug::new(Carrier::Memory) {
        Ok(plug) => harness(Arc::new(plug), Profile::Krako),
        Err(error) => {
            eprintln!("no keys for a fabric: {error}");
            ExitCode::FAILURE
        }
    }
}
