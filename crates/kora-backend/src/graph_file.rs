//! Reading a graph from a file or from standard input, never more of it than a graph may have.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use kora_ir::{CheckedGraph, Limits};

use crate::document::Document;
use crate::refused::{CommandError, RefusedGraph};

/// Reads and checks the graph in the file `path`; `-` is standard input.
///
/// # Errors
///
/// [`CommandError::Unreadable`], or [`CommandError::Graph`] with everything that is wrong.
pub(crate) fn load(path: &Path, limits: &Limits) -> Result<CheckedGraph, CommandError> {
    let bytes = read(path, "graph", limits.max_graph_bytes)?;
    CheckedGraph::parse_bytes(&bytes, limits).map_err(|invalid| {
        let document = Document::new(name(path), bytes);
        CommandError::Graph(Box::new(RefusedGraph { document, invalid }))
    })
}

/// What the graph in the file `path` is called in messages.
pub(crate) fn name(path: &Path) -> String {
    if is_stdin(path) { String::from("<stdin>") } else { path.display().to_string() }
}

/// Reads the file `path`, up to one byte more than `max_bytes`, so that whoever checks the size sees that it is over.
///
/// # Errors
///
/// [`CommandError::Unreadable`].
pub(crate) fn read(path: &Path, what: &'static str, max_bytes: usize) -> Result<Vec<u8>, CommandError> {
    let most = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let outcome = if is_stdin(path) {
        io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    match outcome {
        Ok(_) => Ok(bytes),
        Err(source) => Err(CommandError::Unreadable { what, path: path.to_owned(), source }),
    }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}
