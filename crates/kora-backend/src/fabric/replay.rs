//! `kora-backend fabric replay`: a session worked out again from the event log.

use krako_contract::{LineItem, LineItemKind, SessionId};
use krako_fabric::{Cut, FileReader, LogReader, ReplayOptions, Replayed, replay};
use serde_json::json;

use super::data::DataArgs;
use super::section::SectionArgs;
use crate::exit::Exit;
use crate::refused::CommandError;
use crate::screen::{self, GOOD, ODD, STRONG};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The session; without it, the sessions of the log are listed
    session: Option<String>,
    #[command(flatten)]
    section: SectionArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Print the session's report, its bill and its digest as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Reads the log, which may be in use, and changes nothing.
pub(super) async fn run(args: &Args) -> Result<Exit, CommandError> {
    let unusable = |error: &dyn std::fmt::Display| args.data.unusable(error);
    let section = args.section.read()?;
    if !args.data.log().is_dir() {
        return Err(unusable(
            &"there is no event log in it; `--data` names the directory that an orchestrator was started with",
        ));
    }
    let log = LogReader::open(FileReader::new(args.data.log())).await.map_err(|error| unusable(&error))?;
    if let Some(Cut { file, offset, bytes, what }) = log.unfinished() {
        screen::tell(&format!(
            "{ODD}the log ends in a record that is not finished{ODD:#}: {bytes} bytes of {file} from {offset} on ({what}); it \
             is being written now, or a crash left it, and nothing that was answered stands there\n"
        ));
    }
    let Some(session) = &args.session else { return list(args, &log) };
    let session = SessionId::new(session).map_err(|error| CommandError::Usage(error.to_string()))?;
    if !log.sessions().iter().any(|(known, _)| *known == session) {
        return Err(CommandError::Usage(format!(
            "the log in `{}` has no session `{session}`; `kora-backend fabric replay` lists those that it has",
            args.data.log().display()
        )));
    }
    let options = ReplayOptions { prices: section.prices(), ..ReplayOptions::default() };
    let replayed = replay(&log, &session, &options).await;
    let replayed = replayed.map_err(|error| unusable(&error))?;
    if args.json {
        screen::print_json(
            &json!({"report": replayed.report, "ledger": replayed.lines, "events": replayed.events}),
        )?;
    } else {
        screen::print(&page(&session, &replayed))?;
    }
    Ok(Exit::Success)
}

fn list(args: &Args, log: &LogReader) -> Result<Exit, CommandError> {
    let sessions = log.sessions();
    if args.json {
        let list: Vec<_> = sessions
            .iter()
            .map(|(session, ended)| json!({"execution_session_id": session, "ended": ended}))
            .collect();
        screen::print_json(&json!({"sessions": list}))?;
    } else {
        let mut text = String::new();
        for (session, ended) in &sessions {
            let (style, word) = if *ended { (GOOD, "ended") } else { (ODD, "open ") };
            text += &format!("{style}{word}{style:#}  {session}\n");
        }
        text += &format!(
            "{} in `{}`\n",
            screen::counted(sessions.len() as u64, "session"),
            args.data.log().display()
        );
        screen::print(&text)?;
    }
    Ok(Exit::Success)
}

fn page(session: &SessionId, replayed: &Replayed) -> String {
    let report = &replayed.report;
    let mut text = format!(
        "{STRONG}{session}{STRONG:#}  {}  {} of tenant {}, graph {}\n{} in the log, each as the engine makes it\n",
        report.status.as_str(),
        replayed.submitted.request_id,
        replayed.submitted.tenant,
        report.graph_id,
        screen::counted(replayed.events, "event"),
    );
    if let Some(failure) = &report.failure {
        text += &format!(
            "failure  {}  {}\n",
            failure.error_type.as_str(),
            screen::visible(failure.message.as_str())
        );
    }
    for line in &replayed.lines {
        text += &billed(line);
    }
    if let Some(digest) = &report.semantic_digest {
        text += &format!("semantic digest {digest}\n");
    }
    if let Some(output) = &report.final_output {
        let output = serde_json::to_string_pretty(output).unwrap_or_default();
        text += &format!("\nfinal output\n{}\n", screen::visible(&output));
    }
    text
}

fn billed(line: &LineItem) -> String {
    let what = match line.kind {
        LineItemKind::WorkunitCpu => screen::counted(line.units, "unit"),
        LineItemKind::LlmTokens => format!("{} tokens in, {} out", line.tokens_in, line.tokens_out),
    };
    format!("billed   {}  {}  {what}\n", line.kind.as_str(), line.work_unit_id)
}
