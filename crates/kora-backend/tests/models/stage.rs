//! A store of its own, and a package client that does as it is told.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

pub(crate) use crate::output::{code, err, json_of, out};

/// The model that comes along.
pub(crate) const MODEL: &str = "smollm2-135m-instruct";
/// Far more than any of these takes, so that a command that hangs is a failed test.
const PATIENCE: Duration = Duration::from_secs(120);

/// A store of its own, and a package client that does as it is told.
pub(crate) struct Stage(pub(crate) tempfile::TempDir);

impl Stage {
    pub(crate) fn new() -> Self {
        let stage = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(stage.path("bin")).unwrap();
        // What scripts need, and no clients: which of those there are differs from machine to machine.
        let path = std::env::var_os("PATH").unwrap();
        for tool in ["sleep", "touch"] {
            let found =
                std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|tool| tool.exists());
            std::os::unix::fs::symlink(found.unwrap(), stage.path("bin").join(tool)).unwrap();
        }
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A client that does this, in `sh`, when it is asked to download to `$dest`.
    pub(crate) fn client(self, does: &str) -> Self {
        let program = self.path("bin/python3");
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *--version) exit 0;; esac\n\
             while [ \"$1\" != --dest ]; do shift; done\ndest=\"$2\"\necho $$ > '{}'\n{does}\n",
            self.path("client").display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// The client's process, once it downloads.
    pub(crate) fn client_process(&self) -> Pid {
        let mut process = None;
        wait_until("the client began", || {
            let said = std::fs::read_to_string(self.path("client")).unwrap_or_default();
            process = said.trim().parse().ok().and_then(Pid::from_raw);
            process.is_some()
        });
        process.unwrap()
    }

    /// `kora-backend models` with these arguments.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program(&["models"]);
        command.args(args).env("KORA_BACKEND_NO_EMBEDDED", "1");
        command
    }

    /// `kora-backend` with these arguments.
    pub(crate) fn program(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kora-backend"));
        command
            .args(args)
            .env("KORA_BACKEND_HOME", self.path("home"))
            .env("PATH", self.path("bin"))
            .env_remove("KORA_BACKEND_CONFIG")
            .env_remove("KORA_BACKEND_NO_EMBEDDED")
            .env_remove("KORA_BACKEND_OFFLINE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// A small GGUF.
    pub(crate) fn weights(&self) -> String {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(0_u64.to_le_bytes());
        bytes.extend(1_u64.to_le_bytes());
        bytes.extend(20_u64.to_le_bytes());
        bytes.extend(b"general.architecture");
        bytes.extend(8_u32.to_le_bytes());
        bytes.extend(5_u64.to_le_bytes());
        bytes.extend(b"llama");
        let path = self.path("given.gguf");
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// What it says, without what differs from run to run.
    pub(crate) fn said(&self, output: &Output) -> String {
        let said = out(output) + &err(output);
        said.replace(self.0.path().to_str().unwrap(), "[folder]").replace("/private[folder]", "[folder]")
    }
}

pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn is_gone(process: Pid) -> bool {
    test_kill_process(process).is_err()
}

/// Ctrl-C, and the end that it brings.
pub(crate) fn interrupt(child: &mut Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
