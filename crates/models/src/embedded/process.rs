//! A worker as a process of the system: how it is started, what it may know, what it leaves behind.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fmt::Debug;
use std::io;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;

use super::EmbeddedRuntime;
use super::call::plain;
use super::weights::Weights;

/// What a worker may know of this process's environment: where things are, and no secret.
const INHERITED: &[&str] = &[
    "DYLD_LIBRARY_PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "PATH",
    "RUST_BACKTRACE",
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "TMPDIR",
    "USERPROFILE",
    "WINDIR",
];
/// How long the last words of a process that is gone may take to be read.
const LAST_MOMENT: Duration = Duration::from_millis(200);
/// Bytes of a worker's last words that are kept.
const LAST_WORDS: usize = 2048;

/// How to start a worker.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) program: PathBuf,
    pub(super) weights: Weights,
    pub(super) context_tokens: Option<u64>,
    pub(super) runtime: Option<EmbeddedRuntime>,
    pub(super) threads: NonZeroU32,
}

/// Starts workers. The system does, or a test.
pub(super) trait Launch: Debug + Send + Sync + 'static {
    fn launch(&self, order: &Order) -> io::Result<Launched>;
}

/// A worker that was started, and has said nothing yet.
pub(super) struct Launched {
    pub(super) output: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) input: Box<dyn AsyncWrite + Send + Unpin>,
    pub(super) life: Box<dyn Life>,
}

/// The life of a worker's process. Dropping it kills the process.
#[async_trait]
pub(super) trait Life: Debug + Send + Sync {
    /// Waits for the end, and brings it about after `patience`. Tells how it came.
    async fn end(&mut self, patience: Duration) -> String;

    /// From now on it may write content where its last words are kept, so they are not (I9).
    fn withhold(&mut self);
}

/// Starts processes of the system.
#[derive(Debug)]
pub(super) struct System;

impl Launch for System {
    fn launch(&self, order: &Order) -> io::Result<Launched> {
        let mut command = Command::new(&order.program);
        command.arg("model-worker").arg("--weights").arg(std::path::absolute(&order.weights.path)?);
        if let Some(sha256) = order.weights.sha256 {
            command.arg("--sha256").arg(sha256.to_string());
        }
        if let Some(tokens) = order.context_tokens {
            command.arg("--context-tokens").arg(tokens.to_string());
        }
        if let Some(runtime) = order.runtime {
            command.arg("--runtime").arg(runtime.name());
        }
        command.env_clear();
        for name in INHERITED {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let threads = order.threads.to_string();
        // Libraries read these once, and threads that wait for each other are better asleep than spinning.
        for (name, value) in [
            ("CANDLE_NUM_THREADS", threads.as_str()),
            ("RAYON_NUM_THREADS", &threads),
            ("OMP_NUM_THREADS", &threads),
            ("OMP_WAIT_POLICY", "passive"),
            ("GOMP_SPINCOUNT", "0"),
        ] {
            command.env(name, OsStr::new(value));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let (Some(input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("the process has no pipes"));
        };
        let last_words = Arc::new(Mutex::new(LastWords { kept: VecDeque::new(), withheld: false }));
        let listener = tokio::spawn(listen(errors, Arc::clone(&last_words)));
        let life = Box::new(Process { child, last_words, listener });
        Ok(Launched { output: Box::new(output), input: Box::new(input), life })
    }
}

#[derive(Debug)]
struct Process {
    child: Child,
    last_words: Arc<Mutex<LastWords>>,
    listener: JoinHandle<()>,
}

/// The end of what a process wrote to its stderr.
struct LastWords {
    kept: VecDeque<u8>,
    withheld: bool,
}

impl Debug for LastWords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.kept.len())
    }
}

#[async_trait]
impl Life for Process {
    async fn end(&mut self, patience: Duration) -> String {
        let how = match tokio::time::timeout(patience, self.child.wait()).await {
            Ok(Ok(status)) => format!("ended by itself with {status}"),
            Ok(Err(_)) => String::from("cannot be found any more"),
            Err(_) => {
                // It fails only if the process is gone already.
                let _ = self.child.kill().await;
                String::from("was killed")
            }
        };
        // What it wrote is in the pipe already, and read in a moment, unless a child of its own keeps the pipe open.
        let _ = tokio::time::timeout(LAST_MOMENT, &mut self.listener).await;
        let said = {
            let words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
            let bytes: Vec<u8> = words.kept.iter().copied().collect();
            plain(&String::from_utf8_lossy(&bytes))
        };
        if said.is_empty() { how } else { format!("{how}; its last words: {said}") }
    }

    fn withhold(&mut self) {
        let mut words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        words.withheld = true;
        words.kept = VecDeque::new();
    }
}

async fn listen(mut errors: ChildStderr, last_words: Arc<Mutex<LastWords>>) {
    let mut piece = vec![0; LAST_WORDS];
    loop {
        let Ok(read @ 1..) = errors.read(&mut piece).await else { return };
        let mut words = last_words.lock().unwrap_or_else(PoisonError::into_inner);
        if !words.withheld {
            words.kept.extend(&piece[..read]);
            let beyond = words.kept.len().saturating_sub(LAST_WORDS);
            words.kept.drain(..beyond);
        }
    }
}
