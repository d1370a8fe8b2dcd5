//! What reads reports: `verify`, `diff`, `gate`.

use std::path::{Path, PathBuf};

use conformance::registry::Registry;
use conformance::{CaseInfo, Day, Decision, Policy, Suite, VerifiedReport};

use crate::exit::Exit;
use crate::graph_file;
use crate::refused::CommandError;
use crate::screen::{self, BAD, GOOD};

/// Bytes of a report.
const MAX_REPORT_BYTES: usize = 256 << 20;
/// Bytes of a file that a person wrote.
const MAX_POLICY_BYTES: usize = 1 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// The report, `report.json`; `-` reads standard input
    report: PathBuf,
    /// Print what is wrong as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct DiffArgs {
    /// The earlier report
    old: PathBuf,
    /// The later one
    new: PathBuf,
    /// Print the comparison as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct GateArgs {
    /// What a merge needs, TOML
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// A report of what is merged already, for guards against growth
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Reports of the backend, one for each profile
    #[arg(required = true)]
    reports: Vec<PathBuf>,
    /// Write the decision as Markdown into this file as well, at its end
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Print the decision as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Tells whether a report is whole and unedited.
///
/// # Errors
///
/// A file that cannot be read, or an output that cannot be written.
pub(super) fn verify(args: &VerifyArgs) -> Result<Exit, CommandError> {
    let faults = match checked(&args.report)? {
        Ok(_) => Vec::new(),
        Err(faults) => faults,
    };
    if args.json {
        screen::print_json(&serde_json::json!({"whole": faults.is_empty(), "faults": faults}))?;
    } else if faults.is_empty() {
        screen::print(&format!(
            "{GOOD}whole{GOOD:#}: nothing is missing, added or edited, and it adds up\n"
        ))?;
    } else {
        screen::print(&listed("not whole", &faults))?;
    }
    Ok(if faults.is_empty() { Exit::Success } else { Exit::NotConformant })
}

/// Compares two reports.
///
/// # Errors
///
/// A report that cannot be read or is not whole, or an output that cannot be written.
pub(super) fn diff(args: &DiffArgs) -> Result<Exit, CommandError> {
    let (old, new) = (parsed(&args.old)?, parsed(&args.new)?);
    let diff = conformance::diff(&old, &new);
    if args.json {
        screen::print_json(&diff)?;
    } else {
        screen::print(&diff.to_terminal())?;
    }
    Ok(if diff.is_worse() { Exit::NotConformant } else { Exit::Success })
}

/// Decides on a merge.
///
/// # Errors
///
/// A file that cannot be read, a report that is not whole, or an output that cannot be written.
pub(super) fn gate(args: &GateArgs) -> Result<Exit, CommandError> {
    let policy = Policy::parse(&text(&args.policy, "policy", MAX_POLICY_BYTES)?);
    let policy = policy.map_err(|faults| unusable(&args.policy, "policy", &faults))?;
    let reports = args.reports.iter().map(|path| whole(path)).collect::<Result<Vec<_>, _>>()?;
    let baseline = args.baseline.as_deref().map(whole).transpose()?;
    let reports: Vec<&VerifiedReport> = reports.iter().collect();
    let result = conformance::gate(&reports, &policy, baseline.as_ref(), today()?);
    if let Some(path) = &args.summary {
        append(path, &result.to_markdown())?;
    }
    if args.json {
        screen::print_json(&result)?;
    } else {
        screen::print(&result.to_terminal())?;
    }
    Ok(match result.decision {
        Decision::Open => Exit::Success,
        Decision::Blocked => Exit::NotConformant,
        Decision::Incomplete => Exit::Incomplete,
    })
}

/// The day on which this runs, UTC.
pub(super) fn today() -> Result<Day, CommandError> {
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    let day = now.split('T').next().unwrap_or_default().parse();
    day.map_err(|error: conformance::NotADay| CommandError::Usage(format!("this machine's clock: {error}")))
}

/// A text file.
pub(super) fn text(path: &Path, what: &'static str, max_bytes: usize) -> Result<String, CommandError> {
    let bytes = graph_file::read(path, what, max_bytes)?;
    if bytes.len() > max_bytes {
        return Err(unusable(path, what, &[format!("more than {max_bytes} bytes: this is another file")]));
    }
    String::from_utf8(bytes).map_err(|error| unusable(path, what, &[error.to_string()]))
}

/// A file with faults, each on a line of its own.
pub(super) fn unusable(path: &Path, what: &'static str, faults: &[impl ToString]) -> CommandError {
    let fault = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    CommandError::Unusable { what, path: path.to_owned(), fault }
}

fn checked(path: &Path) -> Result<Result<VerifiedReport, Vec<String>>, CommandError> {
    let suite = Suite::embedded().map_err(|error| CommandError::Suite(error.to_string()))?;
    let registry = Registry::load();
    let text = text(path, "report", MAX_REPORT_BYTES)?;
    let verified = conformance::verify(text.as_bytes(), &suite.identity(), registry, &CaseInfo::all(&suite));
    Ok(verified.map_err(|faults| faults.iter().map(ToString::to_string).collect()))
}

fn whole(path: &Path) -> Result<VerifiedReport, CommandError> {
    checked(path)?.map_err(|faults| unusable(path, "report", &faults))
}

/// A report of whichever suite: comparisons look back.
fn parsed(path: &Path) -> Result<conformance::Report, CommandError> {
    let text = text(path, "report", MAX_REPORT_BYTES)?;
    serde_json::from_str(&text).map_err(|error| unusable(path, "report", &[error.to_string()]))
}

fn listed(title: &str, faults: &[String]) -> String {
    let lines: String = faults.iter().map(|fault| format!("  {}\n", screen::visible(fault))).collect();
    format!("{BAD}{title}{BAD:#}\n{lines}")
}

fn append(path: &Path, text: &str) -> Result<(), CommandError> {
    use std::io::Write as _;
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| CommandError::Unsaved { path: path.to_owned(), source })
}
