//! The decision for people: what blocks, what was lifted by whom, and until when.

use std::fmt::Write as _;

use super::{Decision, GateResult};
use crate::report::outline::counted;
use crate::report::terminal::{BAD, FAINT, GOOD, ODD, STRONG};
use crate::report::{markdown, plain};

/// Blocks that are shown. The JSON has them all.
const SHOWN: usize = 100;

impl GateResult {
    /// What a shell is told: 0 open, 1 blocked, 3 incomplete.
    pub fn exit_code(&self) -> u8 {
        self.decision.exit_code()
    }

    /// The decision for a terminal, with its colours.
    pub fn to_terminal(&self) -> String {
        let style = match self.decision {
            Decision::Open => GOOD,
            Decision::Blocked => BAD,
            Decision::Incomplete => ODD,
        };
        let mut text = format!("{STRONG}gate{STRONG:#}  {style}{}{style:#}\n", self.decision.as_str());
        for block in self.blocks.iter().take(SHOWN) {
            let (word, style) = match (&block.lifted_by, block.open) {
                (Some(_), _) => ("lifted", ODD),
                (None, true) => ("open", ODD),
                (None, false) => ("blocks", BAD),
            };
            let id = plain::line(&block.id, plain::NAME);
            let _ = writeln!(text, "  {style}{word:<7}{style:#} {STRONG}{id}{STRONG:#}  {}", block.what);
            if let Some(lifted) = &block.lifted_by {
                let reviewer = plain::line(&lifted.reviewer, plain::NAME);
                let reason = plain::line(&lifted.reason, plain::TEXT);
                let _ = writeln!(
                    text,
                    "          {FAINT}by {reviewer} until {}: {reason}{FAINT:#}",
                    lifted.expires
                );
            }
        }
        if self.blocks.len() > SHOWN {
            let _ =
                writeln!(text, "  {FAINT}and {}{FAINT:#}", counted(self.blocks.len() - SHOWN, "more block"));
        }
        if !self.known.is_empty() {
            let known: Vec<String> =
                self.known.iter().take(20).map(|id| plain::line(id, plain::NAME)).collect();
            let more = self.known.len() - known.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let _ = writeln!(text, "  {FAINT}known{FAINT:#}   {}{more}", known.join(", "));
        }
        text
    }

    /// The decision as Markdown, for the summary page of a CI job.
    pub fn to_markdown(&self) -> String {
        let sign = match self.decision {
            Decision::Open => '✓',
            Decision::Blocked => '✗',
            Decision::Incomplete => '?',
        };
        let mut text = format!("## {sign} Gate: {}\n\n", self.decision.as_str());
        if !self.blocks.is_empty() {
            text.push_str("| | What | Why | Lifted |\n|---|---|---|---|\n");
        }
        for block in self.blocks.iter().take(SHOWN) {
            let lifted = block.lifted_by.as_ref().map_or_else(String::new, |by| {
                let (reviewer, reason) = (markdown::inline(&by.reviewer), markdown::inline(&by.reason));
                format!("by {reviewer} until {}: {reason}", by.expires)
            });
            let sign = match (&block.lifted_by, block.open) {
                (Some(_), _) => '↷',
                (None, true) => '?',
                (None, false) => '✗',
            };
            let (id, what) = (markdown::inline(&block.id), markdown::inline(&block.what));
            let _ = writeln!(text, "| {sign} | {id} | {what} | {lifted} |");
        }
        if self.blocks.len() > SHOWN {
            let _ = writeln!(text, "\nAnd {}.", counted(self.blocks.len() - SHOWN, "more block"));
        }
        if !self.known.is_empty() {
            let _ = writeln!(text, "\n{} accepted.", counted(self.known.len(), "known failure"));
        }
        text
    }
}
