//! The process: requests from stdin, one answered after the other, replies to stdout.

mod arguments;
mod inbox;
mod outbox;

use std::ffi::OsString;
use std::io::{self, BufReader, Write};
use std::process::ExitCode;
use std::sync::Arc;

use models::protocol::{Done, Failed, FromWorker, PROTOCOL, Piece, Ready, Started, Timing, WorkerFinish};

use self::arguments::{Arguments, RuntimeName};
use self::inbox::{Inbox, Request};
use self::outbox::Outbox;
use crate::generation::{Finish, GenerationError, Halt, Listener, Summary};
use crate::model::{Model, Refusal};
use crate::runtime::Runtime;
use crate::weights::WeightsError;

/// Runs a worker with these arguments, without the program's name, until its input ends.
///
/// `--weights PATH` names a GGUF file, `--sha256 HEX` what it must be, `--context-tokens N` narrows its context, and
/// `--runtime own` or, if it is built in, `llamacpp` says who computes. As many threads compute as `RAYON_NUM_THREADS`
/// says, one if it says nothing. The protocol is that of [`models::protocol`].
///
/// Must be called from the process' own main thread: the end of the input ends the process at once, also within a pass.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let outbox = Arc::new(Outbox::new(io::stdout()));
    // Loading takes its time, and a heart that does not beat is taken for a worker that hangs.
    outbox.beat();
    let arguments = match Arguments::read(args) {
        Ok(arguments) => arguments,
        Err(message) => return fatal(&outbox, message),
    };
    let Arguments { weights, sha256, context_tokens, threads, runtime } = arguments;
    match runtime {
        RuntimeName::Own => {
            let model = Model::load(&weights, sha256.as_deref(), context_tokens, threads);
            run(model, threads, &outbox)
        }
        #[cfg(feature = "llamacpp")]
        RuntimeName::LlamaCpp => {
            let model = Model::load_with_llama_cpp(&weights, sha256.as_deref(), context_tokens, threads);
            run(model, threads, &outbox)
        }
    }
}

/// Listens and answers, with the model that was loaded.
fn run<R: Runtime>(
    model: Result<Model<R>, WeightsError>,
    threads: usize,
    outbox: &Outbox<io::Stdout>,
) -> ExitCode {
    let mut model = match model {
        Ok(model) => model,
        Err(error) => return fatal(outbox, error.to_string()),
    };
    // Whatever is being computed, nobody waits for it any more.
    let inbox = Inbox::listen(BufReader::new(io::stdin()), || std::process::exit(0));
    serve(&mut model, threads, &inbox, outbox)
}

fn fatal<W: Write>(outbox: &Outbox<W>, message: String) -> ExitCode {
    // If it cannot be said there, nobody listens.
    let _ = outbox.say(&FromWorker::Fatal { message });
    ExitCode::FAILURE
}

/// Answers requests until there are no more.
fn serve<R: Runtime, W: Write>(
    model: &mut Model<R>,
    threads: usize,
    inbox: &Inbox,
    outbox: &Outbox<W>,
) -> ExitCode {
    let ready = FromWorker::Ready(Ready {
        protocol: PROTOCOL,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        architecture: model.architecture().to_owned(),
        context_tokens: model.context_tokens() as u64,
        parameters: model.parameters(),
        threads: u32::try_from(threads).unwrap_or(u32::MAX),
    });
    if outbox.say(&ready).is_err() {
        return ExitCode::FAILURE;
    }
    loop {
        match inbox.next() {
            Ok(None) => return ExitCode::SUCCESS,
            Ok(Some(request)) => {
                if answer(model, &request, inbox, outbox).is_err() {
                    return ExitCode::FAILURE;
                }
                inbox.close(request.generate.id);
            }
            Err(message) => return fatal(outbox, message),
        }
    }
}

fn answer<R: Runtime, W: Write>(
    model: &mut Model<R>,
    request: &Request,
    inbox: &Inbox,
    outbox: &Outbox<W>,
) -> io::Result<()> {
    let id = request.generate.id;
    let mut listener = Outgoing { request, inbox, outbox };
    let answered = match listener.halt() {
        // Taken back, or too late, before it began.
        Some(halt) => Ok(halted(halt)),
        None => model.prepare(&request.generate).and_then(|prepared| {
            let started = Started { id, tokens_in: prepared.tokens_in() };
            let told = outbox.say(&FromWorker::Started(started)).map_err(|_| GenerationError::Unheard);
            Ok(told.and_then(|()| model.answer(&prepared, &mut listener))?)
        }),
    };
    outbox.say(&match answered {
        Ok(summary) => FromWorker::Done(done(id, &summary)),
        Err(Refusal { kind, message }) => {
            FromWorker::Failed(Failed { id, kind, transient: kind.is_transient_by_nature(), message })
        }
    })
}

fn halted(halt: Halt) -> Summary {
    Summary { finish: Finish::Halted(halt), ..Summary::default() }
}

fn done(id: u64, summary: &Summary) -> Done {
    let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    Done {
        id,
        finish: match summary.finish {
            Finish::Stop => WorkerFinish::Stop,
            Finish::Length => WorkerFinish::Length,
            Finish::Halted(Halt::Deadline) => WorkerFinish::Deadline,
            Finish::Halted(Halt::Cancelled) => WorkerFinish::Cancelled,
        },
        tokens_out: summary.tokens_out,
        timing: Timing {
            prompt_us: micros(summary.prompt_time),
            decode_us: micros(summary.decode_time),
            mask_us: micros(summary.mask_time),
            cached_tokens: summary.cached_tokens as u64,
        },
    }
}

/// Tells the other side of one generation.
struct Outgoing<'a, W> {
    request: &'a Request,
    inbox: &'a Inbox,
    outbox: &'a Outbox<W>,
}

impl<W: Write> Listener for Outgoing<'_, W> {
    fn piece(&mut self, text: String, tokens: u64) -> Result<(), GenerationError> {
        let piece = Piece { id: self.request.generate.id, text, tokens };
        self.outbox.say(&FromWorker::Piece(piece)).map_err(|_| GenerationError::Unheard)
    }

    fn halt(&mut self) -> Option<Halt> {
        if self.inbox.is_cancelled(self.request.generate.id) {
            Some(Halt::Cancelled)
        } else if self.request.is_late() {
            Some(Halt::Deadline)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use serde_json::{Value, json};

    use super::*;
    use crate::sample;

    /// What the worker says to these lines, and how it ends.
    fn told(lines: &str) -> (Vec<FromWorker>, bool) {
        let outbox = Outbox::new(Vec::new());
        let inbox = Inbox::listen(Cursor::new(lines.to_owned().into_bytes()), || {});
        let code = serve(&mut sample::model(), 1, &inbox, &outbox);
        let said = outbox.into_inner();
        let mut rest = said.as_slice();
        let said = std::iter::from_fn(|| FromWorker::read(&mut rest).unwrap()).collect();
        (said, code == ExitCode::SUCCESS)
    }

    fn generate(id: u64, schema: &Value) -> String {
        let messages = json!([{"role": "user", "content": "I live in Paris. Which city?"}]);
        let request = json!({"type": "generate", "id": id, "messages": messages, "schema": schema,
            "max_tokens": 20, "deadline_ms": 600_000});
        format!("{request}\n")
    }

    #[test]
    fn requests_are_answered_one_after_the_other() {
        let schema = json!({"enum": ["Paris", "London"]});
        let (said, well) = told(&(generate(1, &schema) + &generate(2, &schema)));
        assert!(well);
        let mut said = said.into_iter();
        let Some(FromWorker::Ready(ready)) = said.next() else { panic!("not ready") };
        assert_eq!((ready.protocol, ready.architecture.as_str()), (PROTOCOL, "llama"));
        assert_eq!((ready.context_tokens, ready.parameters), (8192, 134_515_008));
        for id in [1, 2] {
            let Some(FromWorker::Started(started)) = said.next() else { panic!("not started") };
            assert_eq!(started.id, id);
            let (mut text, mut tokens) = (String::new(), 0);
            let done = loop {
                match said.next() {
                    Some(FromWorker::Piece(piece)) => {
                        text += &piece.text;
                        tokens += piece.tokens;
                    }
                    Some(FromWorker::Done(done)) => break done,
                    other => panic!("{other:?}"),
                }
            };
            assert_eq!((done.id, done.finish, done.tokens_out), (id, WorkerFinish::Stop, tokens));
            assert!(["\"Paris\"", "\"London\""].contains(&text.as_str()), "{text}");
        }
        assert_eq!(said.next(), None);
    }

    #[test]
    fn a_line_that_is_no_message_ends_the_worker_with_a_word() {
        for line in [
            "nonsense\n",
            "{\"type\":\"generate\"}\n",
            "[]\n",
            "{\"type\":\"cancel\",\"id\":1}",
            "\n",
            "\u{0}\n",
        ] {
            let (said, well) = told(line);
            assert!(!well, "{line}");
            assert!(matches!(said.as_slice(), [FromWorker::Ready(_), FromWorker::Fatal { .. }]), "{said:?}");
        }
    }

    #[test]
    fn what_cannot_be_answered_fails_alone() {
        let (said, well) =
            told(&(generate(1, &json!({"type": "nonsense"})) + &generate(2, &json!({"const": 1}))));
        assert!(well);
        let Some(FromWorker::Failed(failed)) = said.get(1) else { panic!("{said:?}") };
        assert_eq!(
            (failed.id, failed.kind, failed.transient),
            (1, models::AdapterErrorKind::Rejected, false)
        );
        let Some(FromWorker::Done(done)) = said.last() else { panic!("{said:?}") };
        assert_eq!((done.id, done.finish), (2, WorkerFinish::Stop));
    }
}
