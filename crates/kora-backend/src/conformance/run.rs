//! `kora-backend conformance run`: a verdict.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use conformance::registry::Profile;
use conformance::{
    CaseInfo, Conformance, KnownFailures, Plug, Progress, Report, RunOptions, Suite, run_suite,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::reports;
use super::subject::{self, SubjectArgs};
use crate::exit::Exit;
use crate::refused::CommandError;
use crate::screen::{self, ODD};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    subject: SubjectArgs,
    /// As what it is judged; `local` for a backend of this build, otherwise `core`
    #[arg(long, value_enum)]
    profile: Option<ProfileChoice>,
    /// Only this case, or the cases of this clause; the verdict is `incomplete` then
    #[arg(long, value_name = "CASE|CLAUSE")]
    only: Option<String>,
    /// From which ids and graphs are drawn; the same seed draws the same
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Random graphs for each family of generated cases; 0 leaves them out
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    graphs: u32,
    /// Cases at one time; by default as many as there are processors, and more over the wire, where they wait
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Failures that are known, TOML: they stay failures, and are told apart from new ones
    #[arg(long, value_name = "FILE")]
    known: Option<PathBuf>,
    /// Cases of your own in this folder, in place of the suite's; none of them is scored
    #[arg(long, value_name = "FOLDER")]
    cases: Option<PathBuf>,
    /// Write report.json, report.html, junit.xml and summary.md into this folder
    #[arg(long, value_name = "FOLDER")]
    report: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProfileChoice {
    /// What every backend owes
    Core,
    /// That, and §4 of the contract
    Local,
    /// That, and §5 of the contract
    Krako,
}

impl From<ProfileChoice> for Profile {
    fn from(choice: ProfileChoice) -> Self {
        match choice {
            ProfileChoice::Core => Self::Core,
            ProfileChoice::Local => Self::Local,
            ProfileChoice::Krako => Self::Krako,
        }
    }
}

/// Bytes of a file of known failures.
const MAX_KNOWN_BYTES: usize = 1 << 20;

/// Judges, and reports.
///
/// # Errors
///
/// What keeps it from a verdict, or the report from being written.
pub(super) fn run(args: &Args) -> Result<Exit, CommandError> {
    let suite = suite(args.cases.as_deref())?;
    if let Some(only) = &args.only
        && !CaseInfo::all(&suite).iter().any(|case| case.id == *only || case.clauses.contains(only))
    {
        let fault = format!(
            "no case `{only}`, and none of a clause of that name: `kora-backend conformance list` shows all"
        );
        return Err(CommandError::Usage(fault));
    }
    let known = known(args.known.as_deref())?;
    if let Some(folder) = &args.report {
        std::fs::create_dir_all(folder)
            .map_err(|source| CommandError::Unsaved { path: folder.clone(), source })?;
    }
    let opened = args.subject.open()?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let waits = if opened.plug.clock() == conformance::Clock::Real { 6 } else { 1 };
    let started_at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let bar = bar(args.json);
    let options = RunOptions {
        profile: args.profile.map_or_else(|| args.subject.profile(), Profile::from),
        only: args.only.clone(),
        seed: args.seed,
        graphs: args.graphs,
        jobs: args.jobs.map_or(processors * waits, usize::from),
        answer_deadline: args.subject.answer_deadline(),
        watchdog: Duration::from_secs(600),
        model: opened.model.clone(),
        repeat: format!("kora-backend conformance run {}", args.subject.in_words()),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        started_at: started_at.clone(),
        progress: &|progress| draw(bar.as_ref(), progress),
    };
    let mut report = run_suite(&suite, &opened.plug, &options);
    if let Some(bar) = &bar {
        bar.finish_and_clear();
    }
    for fault in known.apply(&mut report, reports::today()?) {
        screen::tell(&format!("{ODD}known failures{ODD:#}: {}\n", screen::visible(&fault.to_string())));
    }
    if let Some(folder) = &args.report {
        save(&report, folder)?;
    }
    if args.json {
        screen::print_json(&report)?;
    } else {
        screen::print(&report.to_terminal())?;
    }
    Ok(match report.conformance {
        Conformance::Conformant => Exit::Success,
        Conformance::NotConformant => Exit::NotConformant,
        Conformance::Incomplete => Exit::Incomplete,
    })
}

fn suite(folder: Option<&Path>) -> Result<Suite, CommandError> {
    match folder {
        None => Suite::embedded().map_err(|error| CommandError::Suite(error.to_string())),
        Some(folder) => Suite::in_folder(folder).map_err(|error| CommandError::Unusable {
            path: folder.to_owned(),
            what: "cases",
            fault: error.to_string(),
        }),
    }
}

fn known(path: Option<&Path>) -> Result<KnownFailures, CommandError> {
    let Some(path) = path else { return Ok(KnownFailures::default()) };
    let text = reports::text(path, "known failures", MAX_KNOWN_BYTES)?;
    KnownFailures::parse(&text).map_err(|faults| reports::unusable(path, "known failures", &faults))
}

/// What the suite says of this build's own backend, in this process.
pub(super) fn reference(suite: &Suite) -> Report {
    let plug: Arc<dyn Plug> = Arc::new(subject::in_process());
    run_suite(suite, &plug, &RunOptions { profile: Profile::Local, ..RunOptions::default() })
}

pub(super) fn bar(json: bool) -> Option<ProgressBar> {
    if json || !screen::shows_progress() {
        return None;
    }
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
    // A line without its pattern is still a line.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} {wide_msg}") {
        bar.set_style(style);
    }
    Some(bar)
}

fn draw(bar: Option<&ProgressBar>, progress: &Progress<'_>) {
    let Some(bar) = bar else { return };
    bar.set_length(progress.total as u64);
    bar.set_position(progress.done as u64);
    bar.set_message(progress.case.to_owned());
    if progress.failed {
        bar.suspend(|| screen::tell(&format!("failed: {}\n", progress.case)));
    }
}

/// Writes the report in every form.
fn save(report: &Report, folder: &Path) -> Result<(), CommandError> {
    let json = serde_json::to_string_pretty(report)
        .map_err(|error| CommandError::Suite(format!("the report is no JSON: {error}")))?;
    let forms = [
        ("report.json", json + "\n"),
        ("report.html", report.to_html()),
        ("junit.xml", report.to_junit()),
        ("summary.md", report.to_markdown()),
    ];
    for (name, text) in forms {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|source| CommandError::Unsaved { path, source })?;
    }
    Ok(())
}
