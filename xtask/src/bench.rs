//! `cargo xtask bench`: a benchmark by its name, wherever it lives.

use anyhow::Context as _;

use crate::metadata::{Metadata, cargo};
use crate::workspace;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which one; all of them if absent
    name: Option<String>,
    /// Print the names and run nothing
    #[arg(long)]
    list: bool,
    /// Features of its package to build it with, such as `llamacpp` for `models`; before the name
    #[arg(long, value_name = "FEATURES")]
    features: Option<String>,
    /// Handed to the benchmark as they are, such as `--contended` to `models`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Runs the benchmark that is asked for, or all in the order of their names.
///
/// # Errors
///
/// Returns an error if there is no such benchmark or if one fails.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = workspace::root();
    let known = benches(&Metadata::load(&root)?);
    if args.list {
        for (bench, package) in &known {
            println!("{bench}  ({package})");
        }
        return Ok(());
    }
    for (bench, package) in chosen(&known, args.name.as_deref())? {
        let status = cargo()
            .args(["bench", "--package", package, "--bench", bench])
            .args(args.features.iter().flat_map(|features| ["--features", features.as_str()]))
            .arg("--")
            .args(&args.rest)
            .current_dir(&root)
            .status()
            .context("cannot start cargo")?;
        anyhow::ensure!(status.success(), "benchmark `{bench}` of `{package}` failed: {status}");
    }
    Ok(())
}

/// Every benchmark target: (its name, its package), in order.
fn benches(metadata: &Metadata) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for package in metadata.members().values() {
        for target in package.targets.iter().filter(|target| target.kind.iter().any(|kind| kind == "bench")) {
            found.push((target.name.clone(), package.name.clone()));
        }
    }
    found.sort();
    found
}

fn chosen<'a>(
    known: &'a [(String, String)],
    name: Option<&str>,
) -> anyhow::Result<Vec<&'a (String, String)>> {
    let chosen: Vec<_> = known.iter().filter(|(bench, _)| name.is_none_or(|name| name == bench)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = known.iter().map(|(bench, _)| bench.as_str()).collect();
        let names = if names.is_empty() { "none yet".to_owned() } else { names.join(", ") };
        match name {
            Some(name) => anyhow::bail!("there is no benchmark `{name}`; there are: {names}"),
            None => anyhow::bail!("there is no benchmark yet"),
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn a_benchmark_is_told_its_own_options_as_they_are() {
        #[derive(clap::Parser)]
        struct Cli {
            #[command(flatten)]
            args: Args,
        }
        for line in [&["", "models", "--contended"][..], &["", "models", "--", "--contended"]] {
            let args = Cli::parse_from(line).args;
            assert_eq!((args.name.as_deref(), args.list), (Some("models"), false));
            assert_eq!(args.rest, ["--contended"]);
        }
        assert!(Cli::parse_from(["", "--list"]).args.list);
        let args = Cli::parse_from(["", "--features", "llamacpp", "models", "--repeats", "1"]).args;
        assert_eq!((args.features.as_deref(), args.name.as_deref()), (Some("llamacpp"), Some("models")));
        assert_eq!(args.rest, ["--repeats", "1"]);
    }

    #[test]
    fn a_benchmark_is_found_by_name_and_an_unknown_name_lists_the_known() {
        let known =
            [("engine".to_owned(), "backend-local".to_owned()), ("parse".to_owned(), "kora-ir".to_owned())];
        assert_eq!(chosen(&known, Some("parse")).unwrap(), [&known[1]]);
        assert_eq!(chosen(&known, None).unwrap().len(), 2);
        let error = chosen(&known, Some("pars")).unwrap_err().to_string();
        assert_eq!(error, "there is no benchmark `pars`; there are: engine, parse");
    }
}
