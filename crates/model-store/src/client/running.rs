//! A client that runs: its last words kept, its files watched, and never left behind.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often it is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long its last words are waited for, should somebody else still hold its output.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Lines that are kept of what it says, of each of its two outputs: neither pushes the other out.
const MAX_LINES: usize = 8;
/// Characters that are kept of a line.
const MAX_LINE: usize = 400;
/// Files that are looked at, and how deep, to see how far it is.
const MAX_FILES: usize = 256;
const MAX_DEPTH: usize = 4;

/// How watching ended.
#[derive(Debug)]
pub(super) enum Over {
    Ended(ExitStatus),
    Stopped,
    Stalled,
    TooLarge,
    Unwatched(io::Error),
}

/// A child process. Dropping it ends it, and those that it started.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    readers: Vec<JoinHandle<()>>,
    out: Arc<Mutex<Words>>,
    err: Arc<Mutex<Words>>,
    folder: PathBuf,
    patience: Duration,
}

impl Running {
    /// Starts `command`, which writes to `folder`.
    pub(super) fn start(mut command: Command, folder: &Path, patience: Duration) -> io::Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: Ctrl-C reaches this process alone, which ends all of that group in order.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        let (out, err) = (Arc::default(), Arc::default());
        let readers = [
            child.stdout.take().map(|from| listen(from, &out)),
            child.stderr.take().map(|from| listen(from, &err)),
        ];
        let readers = readers.into_iter().flatten().collect();
        Ok(Self { child, readers, out, err, folder: folder.to_owned(), patience })
    }

    /// Waits until it is over, telling `observe` how large the largest of its files is. It has ended when this returns.
    pub(super) fn watch(&mut self, most: u64, mut observe: impl FnMut(u64) -> ControlFlow<()>) -> Over {
        let mut seen = (0, 0);
        let mut since = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => {
                    self.hear_out();
                    return Over::Ended(status);
                }
                Ok(None) => {}
                Err(error) => return self.end(Over::Unwatched(error)),
            }
            let now = (
                largest(&self.folder, MAX_DEPTH, &mut MAX_FILES.clone()),
                heard(&self.out) + heard(&self.err),
            );
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
            if observe(now.0).is_break() {
                return self.end(Over::Stopped);
            }
            if now.0 > most {
                return self.end(Over::TooLarge);
            }
            if since.elapsed() >= self.patience {
                return self.end(Over::Stalled);
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// The last lines that it wrote, those of its errors last.
    pub(super) fn said(&self) -> Vec<String> {
        let both = [&self.out, &self.err];
        both.into_iter().flat_map(|words| lock(words).lines.clone()).collect()
    }

    fn end(&mut self, over: Over) -> Over {
        // Those first that it started; while it is not waited for, its id is nobody else's.
        #[cfg(unix)]
        let _ = rustix::process::kill_process_group(
            rustix::process::Pid::from_child(&self.child),
            rustix::process::Signal::KILL,
        );
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.hear_out();
        over
    }

    fn hear_out(&mut self) {
        let patience = Instant::now() + LAST_WORDS;
        while self.readers.iter().any(|reader| !reader.is_finished()) && Instant::now() < patience {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.end(Over::Stopped);
        }
    }
}

/// What it said: the last of it, and how much.
#[derive(Debug, Default)]
struct Words {
    lines: VecDeque<String>,
    heard: u64,
}

impl Words {
    fn line(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let line = without_credentials(line.trim_end());
        if line.is_empty() {
            return;
        }
        if self.lines.len() == MAX_LINES {
            self.lines.pop_front();
        }
        let shown = line.chars().take(MAX_LINE).map(|char| if char.is_control() { ' ' } else { char });
        self.lines.push_back(shown.collect());
    }
}

fn lock(words: &Mutex<Words>) -> MutexGuard<'_, Words> {
    words.lock().unwrap_or_else(PoisonError::into_inner)
}

fn heard(words: &Mutex<Words>) -> u64 {
    lock(words).heard
}

fn listen(mut from: impl Read + Send + 'static, words: &Arc<Mutex<Words>>) -> JoinHandle<()> {
    let words = Arc::clone(words);
    thread::spawn(move || {
        let (mut piece, mut line) = (vec![0; 4096], Vec::new());
        while let Ok(read @ 1..) = from.read(&mut piece) {
            let mut words = lock(&words);
            words.heard += read as u64;
            for &byte in &piece[..read] {
                if matches!(byte, b'\n' | b'\r') {
                    words.line(&line);
                    line.clear();
                } else if line.len() < 4 * MAX_LINE {
                    line.push(byte);
                }
            }
        }
        lock(&words).line(&line);
    })
}

/// A line without what stands before the `@` of addresses.
fn without_credentials(line: &str) -> String {
    let mut shown = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("://") {
        shown += before;
        shown += "://";
        let end = after.find(|char: char| char == '/' || char.is_whitespace()).unwrap_or(after.len());
        let at = after[..end].rfind('@').map_or(0, |at| at + 1);
        rest = &after[at..];
    }
    shown + rest
}

/// Bytes of the largest file below `folder`: a download in the making is the largest long before its end.
fn largest(folder: &Path, depth: usize, left: &mut usize) -> u64 {
    let mut most = 0;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if *left == 0 {
            break;
        }
        *left -= 1;
        // What is gone again by now was not it.
        let Ok(found) = entry.metadata() else { continue };
        let size = if !found.is_dir() {
            found.len()
        } else if depth > 0 {
            largest(&entry.path(), depth - 1, left)
        } else {
            0
        };
        most = most.max(size);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credentials_are_kept() {
        for (line, kept) in [
            (
                "Looking in indexes: https://me:secret@pypi.example/simple",
                "Looking in indexes: https://pypi.example/simple",
            ),
            ("a http://x:p@ss@h:1/ and https://t@k b@c", "a http://h:1/ and https://k b@c"),
            ("nothing@here", "nothing@here"),
            ("://", "://"),
        ] {
            assert_eq!(without_credentials(line), kept);
        }
    }

    #[test]
    fn only_last_words_are_kept() {
        let mut words = Words::default();
        for number in 0..100 {
            words.line(format!("{number} {}\u{1b}[2J", "x".repeat(1000)).as_bytes());
            words.line(b"  ");
        }
        assert_eq!(words.lines.len(), MAX_LINES);
        assert!(words.lines[MAX_LINES - 1].starts_with("99 x"));
        assert!(words.lines.iter().all(|line| line.chars().count() <= MAX_LINE && !line.contains('\u{1b}')));
    }
}
