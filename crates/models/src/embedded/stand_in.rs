//! Workers for tests, in this process: they keep the protocol, or break it in one way each.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kora_ir::{CheckedGraph, Limits, Message, ModelParameters, Privacy, Role};
use model_store::NoHome;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, split};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::process::{Launch, Launched, Life, Order};
use super::protocol::{
    Done, Failed, FromWorker, GenerateRequest, HEARTBEAT, PROTOCOL, Piece, Ready, Started, Timing, ToWorker,
    WorkerFinish,
};
use super::{EmbeddedAdapter, EmbeddedConfig, EmbeddedLimits, EmbeddedModel, WeightsSource};
use crate::{AdapterErrorKind, ModelId, ModelRequest};

/// How a worker behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Manner {
    /// Answers `{"a":1}` in four tokens.
    Good,
    /// The same, a token a second.
    Slow,
    /// Takes so many milliseconds to get ready.
    Late(u64),
    NeverReady,
    OtherVersion,
    FatalAtOnce,
    NoProgram,
    AnswersBeforeReady,
    /// Ends in the middle of a line of its answer.
    CrashesMidPiece,
    Garbage,
    HugeLine,
    WrongId,
    /// Goes silent, heartbeat and all, in the middle of an answer.
    HangsMidPiece,
    /// Sends tokens without end.
    Overruns,
    /// Works on when it is told to stop.
    IgnoresCancel,
    /// Says the same all over.
    Floods,
    WrongSum,
    Refuses,
    /// Answers, and talks on unasked.
    Chatters,
    /// Answers, and ends.
    Leaves,
}

/// An adapter over workers of a manner, and what became of them.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) adapter: EmbeddedAdapter,
    pub(super) troupe: Arc<Troupe>,
    _folder: tempfile::TempDir,
}

/// The workers of a stage.
#[derive(Debug)]
pub(super) struct Troupe {
    manners: Mutex<VecDeque<Manner>>,
    launched: AtomicU32,
    living: Arc<AtomicU32>,
}

impl Stage {
    pub(super) fn of(manner: Manner) -> Self {
        Self::with(&[manner], 1, EmbeddedLimits::default())
    }

    /// Workers that behave one after the other as said, the last manner forever. Models `m0` to `m2`.
    pub(super) fn with(manners: &[Manner], workers: u32, limits: EmbeddedLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let models = (0..3).map(|nth| {
            let path = folder.path().join(format!("m{nth}.gguf"));
            std::fs::write(&path, "weights").unwrap();
            EmbeddedModel {
                id: ModelId::from(format!("m{nth}").as_str()),
                tier: None,
                weights: Some(WeightsSource::Path(path)),
                sha256: None,
                context_tokens: None,
            }
        });
        let config = EmbeddedConfig {
            models: models.collect(),
            worker: Some(std::env::current_exe().unwrap()),
            workers: NonZeroU32::new(workers).unwrap(),
            limits,
            ..EmbeddedConfig::default()
        };
        let troupe = Arc::new(Troupe {
            manners: Mutex::new(manners.iter().copied().collect()),
            launched: AtomicU32::new(0),
            living: Arc::default(),
        });
        let adapter = EmbeddedAdapter::with(config, Err(NoHome), Box::new(Arc::clone(&troupe))).unwrap();
        Self { adapter, troupe, _folder: folder }
    }

    /// A request to model `m{model}`.
    pub(super) fn request(&self, model: u32, cap: u64, deadline: Duration) -> ModelRequest {
        let graph = json!({
            "kora_version": "1.0.0", "graph_id": "g", "root": "ask", "tasks": [{
                "version": "1.0", "id": "ask", "type": "model", "dependencies": [], "input": {},
                "schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
                "budget": {"max_tokens": 10, "max_time_ms": 1000, "max_retries": 0},
                "run": {"model": "tiny", "prompt": "?"},
            }],
        });
        let graph = CheckedGraph::parse(&graph.to_string(), &Limits::default()).unwrap();
        let task = graph.task(graph.root());
        ModelRequest {
            model: ModelId::from(format!("m{model}").as_str()),
            messages: vec![Message { role: Role::User, content: String::from("a secret prompt") }],
            schema: Arc::clone(&task.schema),
            max_output_tokens: cap,
            deadline,
            parameters: ModelParameters::default(),
            privacy: Privacy::LocalOnly,
            task_id: task.id.clone(),
            attempt: 0,
        }
    }

    pub(super) fn living(&self) -> u32 {
        self.troupe.living()
    }

    pub(super) fn launched(&self) -> u32 {
        self.troupe.launched.load(Ordering::Relaxed)
    }

    /// How many workers are left once everything that was begun is over.
    pub(super) async fn quiet(&self) -> u32 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.living()
    }
}

impl Troupe {
    pub(super) fn living(&self) -> u32 {
        self.living.load(Ordering::Relaxed)
    }
}

impl Launch for Arc<Troupe> {
    fn launch(&self, _: &Order) -> io::Result<Launched> {
        self.launched.fetch_add(1, Ordering::Relaxed);
        let manner = {
            let mut manners = self.manners.lock().unwrap();
            if manners.len() > 1 { manners.pop_front() } else { manners.front().copied() }.unwrap()
        };
        if manner == Manner::NoProgram {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let (ours, theirs) = tokio::io::duplex(256 << 10);
        self.living.fetch_add(1, Ordering::Relaxed);
        let living = Counted(Arc::clone(&self.living));
        let task = tokio::spawn(async move {
            let _living = living;
            play(manner, theirs).await;
        });
        let (output, input) = split(ours);
        let life = Box::new(Actor(task.abort_handle()));
        Ok(Launched { output: Box::new(output), input: Box::new(input), life })
    }
}

/// One of the living.
struct Counted(Arc<AtomicU32>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Actor(AbortHandle);

impl Drop for Actor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[async_trait]
impl Life for Actor {
    async fn end(&mut self, patience: Duration) -> String {
        tokio::time::sleep(patience.min(Duration::from_millis(1))).await;
        let how = if self.0.is_finished() { "it ended by itself" } else { "it was killed" };
        self.0.abort();
        String::from(how)
    }

    fn withhold(&mut self) {}
}

/// What is left to be said, and when.
type Part = VecDeque<(Duration, Vec<u8>)>;

async fn play(manner: Manner, pipe: DuplexStream) {
    let (input, mut output) = split(pipe);
    let mut lines = BufReader::new(input).split(b'\n');
    if let Some(opening) = opening(manner) {
        for (wait, line) in opening {
            tokio::time::sleep(wait).await;
            let _ = output.write_all(&line).await;
        }
    } else {
        std::future::pending().await
    }
    let mut part = Part::new();
    let mut at_work = None;
    let mut due = Instant::now();
    let mut beat = tokio::time::interval(HEARTBEAT);
    loop {
        tokio::select! {
            line = lines.next_segment() => match line {
                Ok(Some(mut line)) => {
                    line.push(b'\n');
                    match ToWorker::read(&mut &line[..]).unwrap().unwrap() {
                        ToWorker::Generate(request) => {
                            at_work = Some(request.id);
                            part = answer(manner, &request);
                        }
                        ToWorker::Cancel { id } if at_work == Some(id) && manner != Manner::IgnoresCancel => {
                            part = Part::from([(Duration::ZERO, said(&done(id, WorkerFinish::Cancelled, 0)))]);
                        }
                        ToWorker::Cancel { .. } => {}
                    }
                    due = Instant::now() + part.front().map_or(Duration::ZERO, |(wait, _)| *wait);
                }
                Ok(None) | Err(_) => return,
            },
            _ = beat.tick(), if manner != Manner::HangsMidPiece => {
                let _ = output.write_all(&said(&FromWorker::Alive)).await;
            }
            () = tokio::time::sleep_until(due), if !part.is_empty() => {
                let Some((_, line)) = part.pop_front() else { continue };
                if output.write_all(&line).await.is_err() {
                    return;
                }
                match (manner, part.front()) {
                    (Manner::CrashesMidPiece | Manner::Leaves, None) => return,
                    (Manner::Overruns | Manner::Floods, None) => part.push_back((Duration::ZERO, line)),
                    (_, Some((wait, _))) => due = Instant::now() + *wait,
                    (_, None) => at_work = None,
                }
            }
        }
    }
}

/// What is said before any request. `None`: nothing, ever.
fn opening(manner: Manner) -> Option<Part> {
    let ready = |protocol| {
        said(&FromWorker::Ready(Ready {
            protocol,
            version: String::from("0.0.0"),
            architecture: String::from("none"),
            context_tokens: 100,
            parameters: 0,
            threads: 1,
        }))
    };
    let first = match manner {
        Manner::NeverReady => return None,
        Manner::OtherVersion => ready(PROTOCOL + 1),
        Manner::FatalAtOnce => {
            said(&FromWorker::Fatal { message: String::from("the file is no GGUF; fetch it again") })
        }
        Manner::AnswersBeforeReady => piece(0, "{", 1),
        Manner::Late(ms) => return Some(Part::from([(Duration::from_millis(ms), ready(PROTOCOL))])),
        Manner::Good
        | Manner::Slow
        | Manner::NoProgram
        | Manner::CrashesMidPiece
        | Manner::Garbage
        | Manner::HugeLine
        | Manner::WrongId
        | Manner::HangsMidPiece
        | Manner::Overruns
        | Manner::IgnoresCancel
        | Manner::Floods
        | Manner::WrongSum
        | Manner::Refuses
        | Manner::Chatters
        | Manner::Leaves => ready(PROTOCOL),
    };
    Some(Part::from([(Duration::ZERO, first)]))
}

fn answer(manner: Manner, request: &GenerateRequest) -> Part {
    let id = request.id;
    let started = said(&FromWorker::Started(Started { id, tokens_in: 5 }));
    let good = || vec![started.clone(), piece(id, "{\"a\"", 2), piece(id, ":1}", 2)];
    let stop = |sum| said(&done(id, WorkerFinish::Stop, sum));
    let lines = match manner {
        Manner::CrashesMidPiece => {
            let whole = piece(id, "}", 1);
            vec![started, piece(id, "{", 1), whole[..whole.len() / 2].to_vec()]
        }
        Manner::Garbage => vec![started, b"a secret reply\n".to_vec()],
        Manner::HugeLine => vec![started, vec![b'x'; FromWorker::MAX_BYTES]],
        Manner::WrongId => vec![started, piece(id + 1, "{", 1)],
        Manner::HangsMidPiece | Manner::IgnoresCancel => vec![started, piece(id, "{", 1)],
        Manner::Overruns => vec![started, piece(id, "x", 1)],
        Manner::Floods => vec![started, said(&FromWorker::Alive)],
        Manner::WrongSum => [good(), vec![stop(3)]].concat(),
        Manner::Refuses => vec![said(&FromWorker::Failed(Failed {
            id,
            kind: AdapterErrorKind::ContextOverflow,
            transient: false,
            message: String::from("the prompt is 200 tokens and the window 100"),
        }))],
        Manner::Chatters => [good(), vec![stop(4), piece(id, "more", 1)]].concat(),
        Manner::Good
        | Manner::Slow
        | Manner::Late(_)
        | Manner::NeverReady
        | Manner::OtherVersion
        | Manner::FatalAtOnce
        | Manner::NoProgram
        | Manner::AnswersBeforeReady
        | Manner::Leaves => [good(), vec![stop(4)]].concat(),
    };
    let wait = if manner == Manner::Slow { Duration::from_secs(1) } else { Duration::ZERO };
    lines.into_iter().map(|line| (wait, line)).collect()
}

fn piece(id: u64, text: &str, tokens: u64) -> Vec<u8> {
    said(&FromWorker::Piece(Piece { id, text: text.to_owned(), tokens }))
}

fn done(id: u64, finish: WorkerFinish, tokens_out: u64) -> FromWorker {
    FromWorker::Done(Done { id, finish, tokens_out, timing: Timing::default() })
}

fn said(message: &FromWorker) -> Vec<u8> {
    let mut line = Vec::new();
    message.write(&mut line).unwrap();
    line
}
