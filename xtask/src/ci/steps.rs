//! The steps, cheapest first; the tests are last, so that their count ends the output.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::tally::{self, Tally};
use crate::metadata::cargo;
use crate::{bless, coverage, crash, layers, peers, simulate, tidy};

/// One thing that must hold.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) says: &'static str,
    pub(super) run: fn(&Path, &mut Tally) -> anyhow::Result<Outcome>,
}

/// Steps that run only where `--only` names them: they check what nobody gets who does not ask for it, and take long.
pub(super) const ONLY_IF_NAMED: &[&str] = &["llamacpp", "crash"];

/// How a step ended that did not fail.
pub(super) enum Outcome {
    Passed,
    /// The tool is not on this machine; what is missing, and how to get it.
    Skipped(String),
}

/// Every step, in the order in which they run.
pub(super) const STEPS: &[Step] = &[
    Step { name: "fmt", says: "rustfmt would change nothing", run: fmt },
    Step { name: "tidy", says: "conventions that no compiler checks", run: |_, _| check(tidy::run()) },
    Step { name: "layers", says: "who may depend on whom", run: |_, _| check(layers::run()) },
    Step { name: "generated", says: "generated files are up to date", run: |_, _| check(bless::check()) },
    Step {
        name: "coverage",
        says: "every clause has a place and a test",
        run: |_, _| check(coverage::check()),
    },
    Step { name: "clippy", says: "no warnings, in any target", run: clippy },
    Step { name: "docs", says: "rustdoc has no warnings, private items included", run: docs },
    Step { name: "deny", says: "licences, sources and banned crates", run: deny },
    Step {
        name: "adapters",
        says: "the TypeScript backend compiles, to be judged by the tests",
        run: adapters,
    },
    Step { name: "model", says: "the weights that tests ask, fetched or here and right", run: model },
    Step {
        name: "peers",
        says: "foreign model servers are installed, for the tests to talk to",
        run: foreign,
    },
    Step { name: "doctest", says: "examples in the docs", run: doctest },
    Step {
        name: "llamacpp",
        says: "the worker with llama.cpp built in; only if `--only` names it",
        run: llama_cpp,
    },
    Step {
        name: "simulate",
        says: "a thousand seeds of the fabric on a simulated network",
        run: |_, _| check(simulate::run(&simulate::Args::of_every_change())),
    },
    Step {
        name: "crash",
        says: "a fabric lives through 200 kills; only if `--only` names it",
        run: |_, _| check(crash::run(&crash::Args::default())),
    },
    Step { name: "test", says: "unit and integration tests", run: test },
];

/// The names of all steps, for the command line.
pub(super) fn names() -> Vec<&'static str> {
    STEPS.iter().map(|step| step.name).collect()
}

fn check(done: anyhow::Result<()>) -> anyhow::Result<Outcome> {
    done.map(|()| Outcome::Passed)
}

fn fmt(root: &Path, _: &mut Tally) -> anyhow::Result<Outcome> {
    if !has("fmt") {
        return Ok(missing("rustfmt", "rustup component add rustfmt"));
    }
    passes(cargo().args(["fmt", "--all", "--check"]).current_dir(root))
}

fn clippy(root: &Path, _: &mut Tally) -> anyhow::Result<Outcome> {
    if !has("clippy") {
        return Ok(missing("clippy", "rustup component add clippy"));
    }
    passes(
        cargo()
            .args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
            .current_dir(root),
    )
}

fn docs(root: &Path, _: &mut Tally) -> anyhow::Result<Outcome> {
    passes(
        cargo()
            .args(["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"])
            .env("RUSTDOCFLAGS", "-D warnings")
            .current_dir(root),
    )
}

/// Advisories need a database from the network, and change without us: a job of their own checks them.
fn deny(root: &Path, _: &mut Tally) -> anyhow::Result<Outcome> {
    if !has("deny") {
        return Ok(missing("cargo-deny", "cargo install --locked cargo-deny"));
    }
    passes(
        cargo()
            .args(["deny", "--locked", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"])
            .current_dir(root),
    )
}

/// What the tests then judge by the contract.
fn adapters(root: &Path, _: &mut Tally) -> anyhow::Result<Outcome> {
    let folder = root.join("conformance/adapters/typescript");
    let npm = |arguments: &[&str]| {
        let mut command = Command::new("npm");
        command.args(arguments).current_dir(&folder);
        command
    };
    if !npm(&["--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        return Ok(missing("npm", "Node.js 20.3 or later, from nodejs.org"));
    }
    passes(&mut npm(&["ci", "--no-audit", "--no-fund"]))?;
    passes(&mut npm(&["run", "--silent", "build"]))
}

/// By the command itself, as a user would; what is here and right is left alone.
fn model(root: &Path, _: &mut Tally) -> anyhow::Result<Outcome> {
    let arguments = ["run", "--quiet", "--locked", "-p", "kora-backend", "--", "models", "pull", "--json"];
    let fetched = passes(cargo().args(arguments).current_dir(root));
    fetched.with_context(|| {
        format!("the tests need a model, and `cargo {}` could not bring it", arguments.join(" "))
    })
}

/// Servers that nobody here wrote.
fn foreign(root: &Path, _: &mut Tally) -> anyhow::Result<Outcome> {
    match peers::interpreter() {
        Some(python) => check(peers::install(root, &python)),
        None => Ok(Outcome::Skipped(peers::MISSING.to_owned())),
    }
}

/// The feature, its lints and its tests. Building llama.cpp is most of it: minutes.
fn llama_cpp(root: &Path, tally: &mut Tally) -> anyhow::Result<Outcome> {
    let cmake = Command::new("cmake").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !cmake.is_ok_and(|status| status.success()) {
        return Ok(missing("cmake", "apt-get install cmake libclang-dev g++, or what these are elsewhere"));
    }
    let feature = ["--locked", "-p", "model-worker", "--features", "llamacpp"];
    passes(
        cargo().arg("clippy").args(feature).args(["--all-targets", "--", "-D", "warnings"]).current_dir(root),
    )?;
    passes(
        cargo().args(["check", "--locked", "-p", "kora-backend", "--features", "llamacpp"]).current_dir(root),
    )?;
    let mut tests = cargo();
    if has("nextest") {
        tests.args(["nextest", "run", "--no-fail-fast"]);
    } else {
        tests.args(["test", "--tests", "--no-fail-fast"]);
    }
    counts(tests.args(feature).current_dir(root), tally)
}

fn doctest(root: &Path, tally: &mut Tally) -> anyhow::Result<Outcome> {
    counts(
        cargo().args(["test", "--workspace", "--locked", "--doc", "--no-fail-fast"]).current_dir(root),
        tally,
    )
}

/// `cargo nextest` where there is one, because it ends a test that hangs; else `cargo test`.
fn test(root: &Path, tally: &mut Tally) -> anyhow::Result<Outcome> {
    let mut command = cargo();
    if has("nextest") {
        command.args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]);
    } else {
        println!("cargo-nextest is not installed: running `cargo test`");
        command.args(["test", "--workspace", "--locked", "--tests", "--no-fail-fast"]);
    }
    counts(command.current_dir(root), tally)
}

fn has(subcommand: &str) -> bool {
    cargo()
        .args([subcommand, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn missing(tool: &str, install: &str) -> Outcome {
    Outcome::Skipped(format!("{tool} is not installed (`{install}`)"))
}

fn passes(command: &mut Command) -> anyhow::Result<Outcome> {
    let status = command.stdin(Stdio::null()).status().context("cannot start it")?;
    anyhow::ensure!(status.success(), "it ended with {status}");
    Ok(Outcome::Passed)
}

/// Runs tests, showing their output while counting them.
fn counts(command: &mut Command, tally: &mut Tally) -> anyhow::Result<Outcome> {
    let status = tally::watch(command.env("CARGO_TERM_COLOR", "never"), tally)?;
    anyhow::ensure!(status.success(), "the test runner ended with {status}");
    Ok(Outcome::Passed)
}
