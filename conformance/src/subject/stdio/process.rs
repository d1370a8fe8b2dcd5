//! A backend's process: started, listened to, and gone in any case.

use std::collections::BTreeSet;
use std::fmt;
use std::process::Stdio as Stream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Map;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};

use super::conversation::Conversation;
use super::lines::{Line, Lines};
use super::log_tail::LogTail;
use crate::subject::{Mishap, shortened};

/// How long a process that is killed, or has closed its output, may take to be gone.
const PARTING: Duration = Duration::from_millis(500);
/// How many lines of the log are told with an end that nobody asked for.
const LAST_WORDS: usize = 3;

/// A process and the conversation with it. Dropping it kills it.
pub(super) struct Process {
    conversation: Arc<Conversation>,
    log: Arc<LogTail>,
    exit: watch::Receiver<Exit>,
    // Dropping it kills as well.
    kill: Option<oneshot::Sender<()>>,
    // `true` when everything that was logged has been read.
    logged: watch::Receiver<bool>,
}

/// Whether it has ended, and how.
#[derive(Clone, Debug)]
enum Exit {
    Running,
    Gone(String),
}

impl Process {
    /// Starts `command`. Everything about it lives on the runtime of the caller.
    pub(super) fn start(
        command: &[String],
        living: &Arc<Living>,
        max_line_bytes: usize,
    ) -> Result<Self, Mishap> {
        let program = command.first().map_or("", String::as_str);
        let unreachable = |what: String| Mishap::Unreachable { detail: format!("`{program}`: {what}") };
        let mut starting = Command::new(program);
        starting.args(command.get(1..).unwrap_or_default());
        starting.stdin(Stream::piped()).stdout(Stream::piped()).stderr(Stream::piped()).kill_on_drop(true);
        // A group of its own, so that what it starts in turn can be ended with it.
        #[cfg(unix)]
        starting.process_group(0);
        let mut child =
            starting.spawn().map_err(|error| unreachable(format!("it cannot be started: {error}")))?;
        let (input, output, error) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let held = Held { group: child.id(), child, living: Arc::clone(living) };
        living.add(held.group);
        let (Some(input), Some(output), Some(error)) = (input, output, error) else {
            return Err(unreachable(String::from("it has no standard streams")));
        };
        let (sender, requests) = mpsc::unbounded_channel();
        let conversation = Conversation::new(sender);
        let log = Arc::new(LogTail::default());
        let (exit_sender, exit) = watch::channel(Exit::Running);
        let (logged_sender, logged) = watch::channel(false);
        let (kill, killed) = oneshot::channel();
        tokio::spawn(write(input, requests));
        tokio::spawn(keep_log(error, Arc::clone(&log), logged_sender));
        tokio::spawn(attend(held, killed, exit_sender));
        let listener = Listener {
            conversation: Arc::clone(&conversation),
            log: Arc::clone(&log),
            exit: exit.clone(),
            logged: logged.clone(),
        };
        tokio::spawn(listener.listen(Lines::new(output, max_line_bytes), max_line_bytes));
        Ok(Self { conversation, log, exit, kill: Some(kill), logged })
    }

    pub(super) fn conversation(&self) -> &Arc<Conversation> {
        &self.conversation
    }

    /// Asks it to end, and kills it if it does not within `grace`; gives the last of what it logged.
    pub(super) async fn end(mut self, grace: Duration) -> Option<String> {
        let ending = async {
            // Whatever it answers: what counts is that it ends.
            drop(self.conversation.ask("shutdown", Map::new(), grace).await);
            self.conversation.say_no_more();
            drop(self.exit.wait_for(|exit| matches!(exit, Exit::Gone(_))).await);
        };
        let ended = tokio::time::timeout(grace, ending).await;
        if ended.is_err() {
            self.kill().await;
        }
        drop(tokio::time::timeout(PARTING, self.logged.wait_for(|logged| *logged)).await);
        self.log.all()
    }

    /// Kills it, and waits until it is gone.
    pub(super) async fn kill(&mut self) {
        drop(self.kill.take());
        let gone = self.exit.wait_for(|exit| matches!(exit, Exit::Gone(_)));
        drop(tokio::time::timeout(PARTING, gone).await);
    }
}

/// A child that has not been waited for.
struct Held {
    child: Child,
    group: Option<u32>,
    living: Arc<Living>,
}

impl Held {
    fn kill(&mut self) {
        if let Some(group) = self.group {
            kill_group(group);
        }
        // Without groups at least the process itself. If it is gone already, so much the better.
        drop(self.child.start_kill());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Nothing is held back if it was waited for already.
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.kill();
            // A runtime that ends waits for nobody, so it is done here; the killed are gone at once.
            for _ in 0..50 {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.living.remove(self.group);
    }
}

#[cfg(unix)]
fn kill_group(group: u32) {
    use rustix::process::{Pid, Signal, kill_process_group};

    if let Some(group) = i32::try_from(group).ok().and_then(Pid::from_raw) {
        // Nobody is left in it, or nothing can be done about it.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

#[cfg(not(unix))]
fn kill_group(_group: u32) {}

async fn attend(mut held: Held, killed: oneshot::Receiver<()>, exit: watch::Sender<Exit>) {
    let status = tokio::select! {
        status = held.child.wait() => status,
        _ = killed => {
            held.kill();
            held.child.wait().await
        }
    };
    drop(held);
    let how =
        status.map_or_else(|error| format!("it cannot be waited for: {error}"), |status| status.to_string());
    drop(exit.send(Exit::Gone(how)));
}

/// Writes what is asked, until nothing more is, and ends the process's input with it.
async fn write(mut input: impl AsyncWrite + Unpin, mut requests: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(line) = requests.recv().await {
        let written = async {
            input.write_all(&line).await?;
            input.flush().await
        };
        if written.await.is_err() {
            // It reads no more, so it has ended or will be found silent.
            return;
        }
    }
}

async fn keep_log(error: impl AsyncRead + Unpin, log: Arc<LogTail>, logged: watch::Sender<bool>) {
    let mut lines = Lines::new(error, LogTail::MAX_LINE_BYTES);
    while let Ok(Some(Line::Whole(line) | Line::Cut(line))) = lines.next().await {
        log.push(&line);
    }
    let _ = logged.send(true);
}

/// Hears what a process says.
struct Listener {
    conversation: Arc<Conversation>,
    log: Arc<LogTail>,
    exit: watch::Receiver<Exit>,
    logged: watch::Receiver<bool>,
}

impl Listener {
    async fn listen(mut self, mut output: Lines<impl AsyncRead + Unpin>, max_line_bytes: usize) {
        while let Ok(Some(line)) = output.next().await {
            let heard = match line {
                Line::Whole(line) if line.trim_ascii().is_empty() => Ok(()),
                Line::Whole(line) => self.conversation.hear(&line),
                Line::Cut(line) => {
                    let beginning = shortened(&String::from_utf8_lossy(&line));
                    let detail =
                        format!("a line of more than {max_line_bytes} bytes, beginning `{beginning}`");
                    Err(Mishap::Garbage { detail })
                }
            };
            if let Err(mishap) = heard {
                // Read on, lest it gets stuck in writing and cannot end.
                self.conversation.end(&mishap);
            }
        }
        let ended = self.how_it_ended().await;
        self.conversation.end(&ended);
    }

    async fn how_it_ended(&mut self) -> Mishap {
        let gone = self.exit.wait_for(|exit| matches!(exit, Exit::Gone(_)));
        let how = match tokio::time::timeout(PARTING, gone).await {
            Ok(Ok(exit)) => exit.to_string(),
            Ok(Err(_)) | Err(_) => String::from("it closed its standard output and is still there"),
        };
        drop(tokio::time::timeout(PARTING, self.logged.wait_for(|logged| *logged)).await);
        let detail = match self.log.last(LAST_WORDS) {
            Some(words) => format!("{how}; the last that it logged: {}", shortened(&words)),
            None => how,
        };
        Mishap::Ended { detail }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "it is still there",
            Self::Gone(how) => how,
        })
    }
}

/// The processes that are there, by their groups.
#[derive(Debug, Default)]
pub(super) struct Living(Mutex<BTreeSet<u32>>);

impl Living {
    /// Kills all of them.
    pub(super) fn kill_all(&self) {
        self.groups().iter().copied().for_each(kill_group);
    }

    fn add(&self, group: Option<u32>) {
        self.groups().extend(group);
    }

    fn remove(&self, group: Option<u32>) {
        if let Some(group) = group {
            self.groups().remove(&group);
        }
    }

    fn groups(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
