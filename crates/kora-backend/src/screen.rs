//! Writing to people and to pipes: colours only where they are wanted, and a reader who goes away is no error.

use std::io::{self, ErrorKind, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::refused::CommandError;

/// Headings, names.
pub(crate) const STRONG: Style = Style::new().bold();
/// What went well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What went wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What needs a look.
pub(crate) const ODD: Style = AnsiColor::Yellow.on_default();
/// What can be overlooked.
pub(crate) const FAINT: Style = Style::new().dimmed();

/// Prints `text` as it is.
///
/// # Errors
///
/// [`CommandError::Output`] unless it was written, or whoever reads has had enough.
pub(crate) fn print(text: &str) -> Result<(), CommandError> {
    // It takes the styles out again where they are not wanted: `NO_COLOR`, a pipe, a file.
    let mut out = anstream::stdout().lock();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Prints `value` as JSON with line breaks.
///
/// # Errors
///
/// As of [`print()`].
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), CommandError> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let outcome = serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from);
    written(outcome.and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()))
}

/// Tells people something beside the result. Nobody there to read it is no error.
pub(crate) fn tell(text: &str) {
    let mut err = anstream::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// Whether standard error is a terminal whose lines may be rewritten.
pub(crate) fn shows_progress() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether what is printed to `stream` keeps its colours.
pub(crate) fn is_coloured(stream: Stream) -> bool {
    let choice = match stream {
        Stream::Out => anstream::AutoStream::choice(&io::stdout()),
        Stream::Err => anstream::AutoStream::choice(&io::stderr()),
    };
    match choice {
        anstream::ColorChoice::Never => false,
        anstream::ColorChoice::Auto | anstream::ColorChoice::AlwaysAnsi | anstream::ColorChoice::Always => {
            true
        }
    }
}

/// Where to print.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// Whether a character is not seen but does something: commands of terminals, changes of direction.
pub(crate) fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What a message holds of others' words, with nothing hidden in it.
pub(crate) fn visible(text: &str) -> String {
    text.chars().map(|char| if is_hidden(char) && char != '\n' { '?' } else { char }).collect()
}

/// A number of things: `1 task`, `2 tasks`.
pub(crate) fn counted(count: impl TryInto<u64>, what: &str) -> String {
    let count: u64 = count.try_into().unwrap_or(u64::MAX);
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn written(outcome: io::Result<()>) -> Result<(), CommandError> {
    match outcome {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CommandError::Output(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
