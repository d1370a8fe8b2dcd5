//! Whoever answers: our own worker, or llama.cpp's server, each as a process.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use models::protocol::{FromWorker, GenerateRequest, ToWorker, WorkerFinish};
use serde_json::{Value, json};

use crate::child::Lines;
use crate::question::{HeldTo, Question};

/// What has to be installed for a comparison, relative to the workspace.
const PEERS: &str = "target/peers";
/// Tokens of prompt and reply together.
const CONTEXT: &str = "2048";

/// A loaded model that answers.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) threads: usize,
    pub(crate) load: Duration,
    kind: Kind,
    lines: Lines,
    asked: u64,
}

#[derive(Clone, Copy)]
enum Kind {
    Own,
    Peer,
}

/// What came of a question.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// Tokens of the prompt that were computed for it.
    pub(crate) tokens_in: u64,
    pub(crate) tokens_out: u64,
    pub(crate) prompt: Duration,
    /// Masks included.
    pub(crate) decode: Duration,
    /// `None` where it is not told.
    pub(crate) mask: Option<Duration>,
    /// From the question to the end of the answer.
    pub(crate) wall: Duration,
    /// Time that all threads computed.
    pub(crate) computed: Option<Duration>,
    /// The longest time without a piece of the reply, once there was one.
    pub(crate) longest_pause: Duration,
    /// Whether its deadline ended it.
    pub(crate) late: bool,
}

impl Contestant {
    /// Our own worker: this very program, started as one that computes by `runtime`.
    pub(crate) fn own(runtime: &'static str, weights: &Path, threads: usize) -> anyhow::Result<Self> {
        let began = Instant::now();
        let count = threads.to_string();
        let lines = Lines::start(
            "the worker",
            Command::new(std::env::current_exe()?)
                .args(["model-worker", "--runtime", runtime, "--context-tokens", CONTEXT, "--weights"])
                .arg(weights)
                .env("RAYON_NUM_THREADS", &count)
                .env("CANDLE_NUM_THREADS", &count),
        )?;
        loop {
            match FromWorker::from_line(lines.hear()?.as_bytes())? {
                FromWorker::Alive => {}
                FromWorker::Ready(_) => break,
                FromWorker::Fatal { message } => anyhow::bail!("the worker: {message}"),
                other @ (FromWorker::Started(_)
                | FromWorker::Piece(_)
                | FromWorker::Done(_)
                | FromWorker::Failed(_)) => anyhow::bail!("the worker was asked nothing and says {other:?}"),
            }
        }
        Ok(Self { name: runtime, threads, load: began.elapsed(), kind: Kind::Own, lines, asked: 0 })
    }

    /// The llama.cpp server of `cargo xtask peers`.
    pub(crate) fn peer(workspace: &Path, weights: &Path, threads: usize) -> anyhow::Result<Self> {
        let peers = workspace.join(PEERS);
        let python = std::fs::read_to_string(peers.join("python"))
            .context("llama.cpp's server is not installed: run `cargo xtask peers`, or pass `--no-peer`")?;
        let lines = Lines::start(
            "llama.cpp's server",
            Command::new(python)
                .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/models/peer.py"))
                .arg(weights)
                .args([&threads.to_string(), CONTEXT])
                .env("PYTHONPATH", &peers)
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .stderr(std::fs::File::create(
                    Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-models-peer.log"),
                )?),
        )?;
        let ready: Value = serde_json::from_str(&lines.hear()?)?;
        let load = milliseconds(&ready, "load_ms")?;
        Ok(Self { name: "server", threads, load, kind: Kind::Peer, lines, asked: 0 })
    }

    pub(crate) fn is_peer(&self) -> bool {
        matches!(self.kind, Kind::Peer)
    }

    pub(crate) fn resident(&self) -> Option<(u64, u64)> {
        self.lines.resident()
    }

    pub(crate) fn ask(&mut self, question: &Question) -> anyhow::Result<Answer> {
        self.asked += 1;
        let before = self.lines.computed();
        let began = Instant::now();
        let mut answer = match self.kind {
            Kind::Own => self.ask_worker(question)?,
            Kind::Peer => self.ask_peer(question)?,
        };
        answer.wall = began.elapsed();
        answer.computed =
            self.lines.computed().zip(before).map(|(after, before)| after.saturating_sub(before));
        Ok(answer)
    }

    fn ask_worker(&mut self, question: &Question) -> anyhow::Result<Answer> {
        let request = GenerateRequest {
            id: self.asked,
            messages: question.messages(self.asked),
            schema: question.schema(),
            max_tokens: question.reply,
            deadline_ms: question.deadline_ms,
            seed: None,
            temperature: None,
            top_p: None,
        };
        self.lines.tell(&ToWorker::Generate(request).to_line()?)?;
        let mut answer = Answer::default();
        let mut last_piece: Option<Instant> = None;
        loop {
            match FromWorker::from_line(self.lines.hear()?.as_bytes())? {
                FromWorker::Alive => {}
                FromWorker::Started(started) => answer.tokens_in = started.tokens_in,
                FromWorker::Piece(_) => {
                    let now = Instant::now();
                    if let Some(last) = last_piece.replace(now) {
                        answer.longest_pause = answer.longest_pause.max(now - last);
                    }
                }
                FromWorker::Done(done) => {
                    let mask = Duration::from_micros(done.timing.mask_us);
                    answer.tokens_in -= done.timing.cached_tokens;
                    answer.tokens_out = done.tokens_out;
                    answer.prompt = Duration::from_micros(done.timing.prompt_us);
                    answer.decode = Duration::from_micros(done.timing.decode_us) + mask;
                    answer.mask = Some(mask);
                    answer.late = done.finish == WorkerFinish::Deadline;
                    return Ok(answer);
                }
                FromWorker::Failed(failed) => anyhow::bail!("the worker failed: {}", failed.message),
                FromWorker::Fatal { message } => anyhow::bail!("the worker: {message}"),
                FromWorker::Ready(_) => anyhow::bail!("the worker is ready twice"),
            }
        }
    }

    fn ask_peer(&mut self, question: &Question) -> anyhow::Result<Answer> {
        let mut body = json!({
            "messages": question.messages(self.asked), "max_tokens": question.reply, "temperature": 0,
            "cache_prompt": false,
        });
        match question.held_to {
            HeldTo::Length => body["ignore_eos"] = json!(true),
            HeldTo::Schema => {
                body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "reply", "schema": question.schema()}});
            }
        }
        self.lines.tell(format!("{body}\n").as_bytes())?;
        let said: Value = serde_json::from_str(&self.lines.hear()?)?;
        let timings = &said["timings"];
        let count = |name: &str| {
            timings[name]
                .as_u64()
                .with_context(|| format!("llama.cpp's server does not tell `{name}`: {said}"))
        };
        Ok(Answer {
            tokens_in: count("prompt_n")?,
            tokens_out: count("predicted_n")?,
            prompt: milliseconds(timings, "prompt_ms")?,
            decode: milliseconds(timings, "predicted_ms")?,
            ..Answer::default()
        })
    }
}

fn milliseconds(told: &Value, name: &str) -> anyhow::Result<Duration> {
    let milliseconds = told[name].as_f64().with_context(|| format!("`{name}` is not told"))?;
    Ok(Duration::try_from_secs_f64(milliseconds / 1000.0)?)
}
