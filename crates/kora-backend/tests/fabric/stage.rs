//! A folder of its own, in which commands are run as a person would, and a fabric on this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) use crate::output::{code, err, json_of, out};
use crate::part::Part;

/// What could change what a command does.
const ENVIRONMENT: [&str; 10] = [
    "KORA_BACKEND_CA",
    "KORA_BACKEND_CONFIG",
    "KORA_BACKEND_ENDPOINT",
    "KORA_BACKEND_FABRIC",
    "KORA_BACKEND_NO_EMBEDDED",
    "KORA_BACKEND_OFFLINE",
    "KORA_BACKEND_TOKEN",
    "KORA_BACKEND_TOKEN_FILE",
    "CLICOLOR_FORCE",
    "NO_COLOR",
];

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// Names of all graphs of a folder of fixtures, in order.
pub(crate) fn graphs(folder: &str) -> Vec<String> {
    let files = std::fs::read_dir(fixtures().join(folder)).unwrap();
    let mut names: Vec<String> = files
        .filter_map(|file| file.unwrap().file_name().to_str()?.strip_suffix(".json").map(str::to_owned))
        .filter(|name| !name.contains('.'))
        .collect();
    names.sort();
    names
}

/// Where commands are run.
pub(crate) struct Stage(TempDir);

impl Stage {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Puts a file there in one step: whoever looks at it meanwhile sees what was before.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        let unnamed = path.with_extension("new");
        std::fs::write(&unnamed, text).unwrap();
        std::fs::rename(unnamed, path).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// A text without the name of this folder.
    pub(crate) fn without_folder(&self, text: &str) -> String {
        text.replace(self.0.path().to_str().unwrap(), "[folder]").replace("/private[folder]", "[folder]")
    }

    /// `kora-backend` with these arguments, in this folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kora-backend"));
        for name in ENVIRONMENT {
            command.env_remove(name);
        }
        command.args(args).current_dir(self.0.path()).env("KORA_BACKEND_NO_EMBEDDED", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        Part::start(&mut self.command(args)).output()
    }

    /// A part that serves until it is told to stop, and says where as a line of JSON.
    pub(crate) fn part(&self, args: &[&str]) -> Part {
        Part::start(&mut self.command(&[&["fabric"], args, &["--json"]].concat()))
    }

    /// A whole fabric, in its own directory.
    pub(crate) fn up(&self, more: &[&str]) -> Fabric<'_> {
        let mut part = self.part(&[&["up", "--listen", "127.0.0.1:0"], more].concat());
        let at = At::of(&part.said());
        Fabric { stage: self, part, at }
    }

    /// Runs `kora-backend` against a fabric.
    pub(crate) fn on(&self, at: &At, args: &[&str]) -> Output {
        Part::start(&mut self.asking(at, args)).output()
    }

    /// `kora-backend` against a fabric.
    pub(crate) fn asking(&self, at: &At, args: &[&str]) -> Command {
        let At { endpoint, ca, token } = at;
        let place = ["--backend", "krako", "--endpoint", endpoint, "--ca", ca, "--token-file", token];
        self.command(&[args, &place].concat())
    }
}

/// Where a fabric is, and what opens it.
#[derive(Clone)]
pub(crate) struct At {
    pub(crate) endpoint: String,
    pub(crate) ca: String,
    pub(crate) token: String,
}

impl At {
    /// What `fabric up` says.
    pub(crate) fn of(said: &Value) -> Self {
        let [endpoint, ca, token] = ["endpoint", "ca_file", "token_file"].map(|field| text(said, field));
        Self { endpoint, ca, token }
    }

    /// The same place, for whoever has this token.
    pub(crate) fn with_token(&self, file: &str) -> Self {
        Self { token: file.to_owned(), ..self.clone() }
    }
}

/// A whole fabric in one process.
pub(crate) struct Fabric<'s> {
    stage: &'s Stage,
    pub(crate) part: Part,
    pub(crate) at: At,
}

impl Fabric<'_> {
    /// Runs `kora-backend` against it.
    pub(crate) fn on(&self, args: &[&str]) -> Output {
        self.stage.on(&self.at, args)
    }
}

pub(crate) fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no `{field}` in {value}")).to_owned()
}
