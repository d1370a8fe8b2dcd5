//! `cargo xtask crash`: a fabric of processes that are killed over and over, in full size.

use std::process::Command;

use anyhow::Context as _;

use crate::metadata::cargo;
use crate::workspace;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often a part is killed
    #[arg(long, default_value_t = KILLS, value_parser = clap::value_parser!(u64).range(1..))]
    kills: u64,
    /// How many sessions are run meanwhile
    #[arg(long, default_value_t = SESSIONS, value_parser = clap::value_parser!(u64).range(1..))]
    sessions: u64,
    /// Which parts are killed when; another one each time if absent. The output says which it was
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// As many as are worth a job of their own.
const KILLS: u64 = 200;
const SESSIONS: u64 = 2000;

impl Default for Args {
    fn default() -> Self {
        Self { kills: KILLS, sessions: SESSIONS, seed: None }
    }
}

/// Runs the test of that name in another size.
///
/// # Errors
///
/// Returns an error if what the test finds out is not so; its output says what, and under which seed.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let status = command(args).current_dir(workspace::root()).status().context("cannot start cargo")?;
    anyhow::ensure!(status.success(), "the fabric did not live through it: {status}");
    Ok(())
}

fn command(args: &Args) -> Command {
    let mut command = cargo();
    command
        // Optimised: an orchestrator that was killed reads all of its log again, which is most of the work.
        .args(["test", "--locked", "--release", "--package", "krako-fabric", "--test", "crash", "--"])
        .args(["--nocapture", "whatever_is_killed_"])
        .env("KORA_CRASH_KILLS", args.kills.to_string())
        .env("KORA_CRASH_SESSIONS", args.sessions.to_string())
        // One that is set already is not meant for this run.
        .env_remove("KORA_CRASH_SEED");
    if let Some(seed) = args.seed {
        command.env("KORA_CRASH_SEED", seed.to_string());
    }
    command
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    /// What the test is told.
    fn told(line: &[&str]) -> String {
        let command = command(&Cli::try_parse_from(line).unwrap().args);
        let mut told: Vec<String> = command
            .get_envs()
            .map(|(name, value)| (name.to_string_lossy(), value.map(|value| value.to_string_lossy())))
            .filter(|(name, _)| name.starts_with("KORA_CRASH_"))
            .map(|(name, value)| format!("{name}={}", value.unwrap_or_default()))
            .collect();
        told.sort();
        told.join(" ")
    }

    #[test]
    fn the_test_is_told_its_size_and_its_seed() {
        assert_eq!(told(&[""]), "KORA_CRASH_KILLS=200 KORA_CRASH_SEED= KORA_CRASH_SESSIONS=2000");
        let asked = told(&["", "--kills", "7", "--sessions", "9", "--seed", "3"]);
        assert_eq!(asked, "KORA_CRASH_KILLS=7 KORA_CRASH_SEED=3 KORA_CRASH_SESSIONS=9");
        assert!(Cli::try_parse_from(["", "--kills", "0"]).is_err());
    }
}
