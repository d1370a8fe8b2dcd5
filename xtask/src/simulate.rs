//! `cargo xtask simulate`: the fabric and its callers on a simulated network, by seeds.

use anyhow::Context as _;

use crate::metadata::cargo;
use crate::workspace;

/// Seeds that every change lives through.
const SEEDS: u64 = 1_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// This seed alone; its plan is printed
    #[arg(long, value_name = "N", conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// How many seeds
    #[arg(long, value_name = "N", default_value_t = SEEDS)]
    seeds: u64,
    /// The first of them
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    from: u64,
}

impl Args {
    /// Every seed that `cargo xtask ci` runs.
    pub(crate) fn of_every_change() -> Self {
        Self { seed: None, seeds: SEEDS, from: 0 }
    }

    fn range(&self) -> (u64, u64) {
        self.seed.map_or((self.from, self.seeds), |seed| (seed, 1))
    }
}

/// Lives through the seeds, on as many threads as there are processors.
///
/// # Errors
///
/// Returns an error if a seed fails. What failed, and the command that repeats it, was printed.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (from, seeds) = args.range();
    let mut command = cargo();
    // Of the whole workspace, so that it is built with the features that all other tests are built with, and once.
    command.args(["test", "--locked", "--quiet", "--workspace", "--test", "simulation"]);
    let status = command
        .args(["--", "--ignored", "--exact", "--nocapture", "search_as_told"])
        .env("KORA_SIMULATE_FROM", from.to_string())
        .env("KORA_SIMULATE_SEEDS", seeds.to_string())
        .current_dir(workspace::root())
        .status()
        .context("cannot start cargo")?;
    anyhow::ensure!(
        status.success(),
        "seeds {from} to {} do not all pass: {status}",
        from + seeds.max(1) - 1
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Alone {
        #[command(flatten)]
        args: Args,
    }

    fn range(line: &[&str]) -> Option<(u64, u64)> {
        let line = std::iter::once(&"simulate").chain(line);
        Alone::try_parse_from(line).ok().map(|parsed| parsed.args.range())
    }

    #[test]
    fn a_seed_alone_is_a_range_of_one() {
        assert_eq!(range(&[]), Some((0, SEEDS)));
        assert_eq!(range(&["--seeds", "5", "--from", "7"]), Some((7, 5)));
        assert_eq!(range(&["--seed", "49"]), Some((49, 1)));
        assert_eq!(range(&["--seed", "49", "--from", "7"]), None);
    }
}
