//! `kora-backend conformance self-test`: why one should believe the suite.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use backend_server::{HelloModels, Identity, Served, StdioLimits, serve_stdio};
use clap::ValueEnum;
use conformance::model::ModelClient;
use conformance::own::{Behaviour, Plain};
use conformance::self_test::{Over, Tested, self_test};
use conformance::{Conformance, Suite, Transport};
use indicatif::ProgressBar;

use super::run::{bar, reference};
use crate::exit::Exit;
use crate::refused::CommandError;
use crate::screen::{self, BAD, FAINT, GOOD};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How the suite's own backends are reached; may be repeated
    #[arg(long, value_enum, default_value = "in-process")]
    over: Vec<OverChoice>,
    /// Backends at one time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    /// Print what came of each as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct OwnArgs {
    /// One of the suite's own backends: `plain`, an odd one, or a mutant
    name: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OverChoice {
    /// In this process: every case, and the exact set that each mutant fails
    InProcess,
    /// As processes: each mutant fails the case that is most about it, the others pass all
    Stdio,
    /// Behind URLs, in the same way
    Http,
    /// All three
    All,
}

impl OverChoice {
    fn transports(self) -> Vec<Over> {
        let stdio = || {
            // Whoever runs this is one of its own processes.
            let this = std::env::current_exe()
                .map_or_else(|_| env!("CARGO_PKG_NAME").into(), |path| path.display().to_string());
            Over::Stdio(["conformance", "own-backend"].into_iter().fold(vec![this], |mut command, word| {
                command.push(word.to_owned());
                command
            }))
        };
        match self {
            Self::InProcess => vec![Over::InProcess],
            Self::Stdio => vec![stdio()],
            Self::Http => vec![Over::Http],
            Self::All => vec![Over::InProcess, stdio(), Over::Http],
        }
    }
}

/// Judges the reference and all of the suite's own backends, and tells whether the suite is to be believed.
///
/// # Errors
///
/// A suite that cannot be read, or an output that cannot be written.
pub(super) fn run(args: &Args) -> Result<Exit, CommandError> {
    let suite = Suite::embedded().map_err(|error| CommandError::Suite(error.to_string()))?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or(processors, usize::from);
    let verdict = reference(&suite).conformance;
    let bar = bar(args.json);
    let mut all: Vec<(Transport, Vec<Tested>)> = Vec::new();
    for over in args.over.iter().flat_map(|choice| choice.transports()) {
        let tested = self_test(&suite, &over, jobs, &|tested| told(bar.as_ref(), tested));
        all.push((over.transport(), tested));
    }
    if let Some(bar) = &bar {
        bar.finish_and_clear();
    }
    let surprised = all.iter().flat_map(|(_, tested)| tested).any(|tested| tested.surprise.is_some());
    if args.json {
        screen::print_json(&document(verdict, &all))?;
    } else {
        screen::print(&in_words(verdict, &all))?;
    }
    let is_well = !surprised && verdict == Conformance::Conformant;
    Ok(if is_well { Exit::Success } else { Exit::NotConformant })
}

/// Serves one of the suite's own backends over standard input and output.
///
/// # Errors
///
/// A name of none, or a conversation that broke off.
pub(super) fn serve(args: &OwnArgs) -> Result<Exit, CommandError> {
    let Some(does) = Behaviour::named(&args.name) else {
        return Err(CommandError::Usage(format!("`{}` is none of the suite's own backends", args.name)));
    };
    let make = |models: Option<&HelloModels>| {
        let base_url = &models.ok_or("`hello` names no models")?.base_url;
        let client = ModelClient::at(base_url).map_err(|error| error.to_string())?;
        let identity = Identity {
            name: args.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            backend_mode: backend_api::BackendMode::Local,
        };
        Ok(Served { identity, service: Arc::new(Plain::asking(does, client)) })
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::Runtime)?;
    let served =
        runtime.block_on(serve_stdio(tokio::io::stdin(), tokio::io::stdout(), StdioLimits::default(), make));
    // Not waited for: reading standard input cannot be interrupted.
    runtime.shutdown_background();
    served?;
    Ok(Exit::Success)
}

fn told(bar: Option<&ProgressBar>, tested: &Tested) {
    let Some(bar) = bar else { return };
    bar.inc(1);
    bar.set_message(tested.does.name().to_owned());
}

fn is_mutant(tested: &Tested) -> bool {
    matches!(tested.does, Behaviour::Defective(_))
}

/// How many, of how many.
fn score(tested: &[Tested], of: impl Fn(&Tested) -> bool) -> (usize, usize) {
    let all = tested.iter().filter(|tested| of(tested));
    (all.clone().filter(|tested| tested.surprise.is_none()).count(), all.count())
}

fn in_words(reference: Conformance, all: &[(Transport, Vec<Tested>)]) -> String {
    let mut said = String::new();
    for (transport, tested) in all {
        let _ = writeln!(said, "{} {FAINT}mutant: the cases that it fails{FAINT:#}", transport.as_str());
        for mutant in tested.iter().filter(|tested| is_mutant(tested)) {
            let _ = writeln!(said, "  {:<42} {FAINT}{}{FAINT:#}", mutant.does.name(), listed(&mutant.failed));
        }
    }
    for (_, tested) in all {
        for surprise in tested.iter().filter_map(|tested| tested.surprise.as_ref()) {
            let _ = writeln!(said, "{BAD}wrong{BAD:#}  {}", screen::visible(surprise));
        }
    }
    let _ = writeln!(said, "\nreference backend {}", reference.as_str());
    for (transport, tested) in all {
        let (killed, mutants) = score(tested, is_mutant);
        let (passed, odd) = score(tested, |tested| !is_mutant(tested));
        let colour = if killed == mutants && passed == odd { GOOD } else { BAD };
        let _ = writeln!(
            said,
            "{:<11} {colour}mutants killed {killed}/{mutants}, odd passed {passed}/{odd}{colour:#}",
            transport.as_str()
        );
    }
    said
}

fn listed(cases: &BTreeSet<String>) -> String {
    let first: Vec<&str> = cases.iter().take(3).map(String::as_str).collect();
    match cases.len().saturating_sub(first.len()) {
        0 => first.join(", "),
        more => format!("{}, and {more} more", first.join(", ")),
    }
}

fn document(reference: Conformance, all: &[(Transport, Vec<Tested>)]) -> serde_json::Value {
    let transports: Vec<_> = all
        .iter()
        .map(|(transport, tested)| {
            let (killed, mutants) = score(tested, is_mutant);
            let (passed, odd) = score(tested, |tested| !is_mutant(tested));
            let backends: Vec<_> = tested
                .iter()
                .map(|tested| {
                    serde_json::json!({
                        "name": tested.does.name(), "mutant": is_mutant(tested),
                        "failed": tested.failed, "surprise": tested.surprise,
                    })
                })
                .collect();
            serde_json::json!({
                "transport": transport.as_str(), "mutants": mutants, "killed": killed,
                "odd": odd, "passed": passed, "backends": backends,
            })
        })
        .collect();
    serde_json::json!({"reference": reference.as_str(), "transports": transports})
}
