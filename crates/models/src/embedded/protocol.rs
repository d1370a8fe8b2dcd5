//! What the adapter and a worker process say to each other: one JSON value a line, over the worker's stdin and stdout.
//!
//! The worker says [`FromWorker::Ready`] once its model is loaded, and [`FromWorker::Alive`] all along. It answers
//! one [`ToWorker::Generate`] at a time: `started`, any number of `piece`, then `done` or `failed`. The end of its
//! stdin tells it to exit at once. Nothing here is trusted: the adapter counts and checks all of it (C7.6).
//!
//! ```
//! use models::protocol::{FromWorker, Piece};
//!
//! let mut line = Vec::new();
//! FromWorker::Piece(Piece { id: 7, text: String::from("{"), tokens: 1 }).write(&mut line)?;
//! assert_eq!(line, b"{\"type\":\"piece\",\"id\":7,\"text\":\"{\",\"tokens\":1}\n");
//! assert!(matches!(FromWorker::read(&mut &line[..])?, Some(FromWorker::Piece(_))));
//! # Ok::<(), models::protocol::WireError>(())
//! ```

mod line;

use std::fmt;
use std::io::{BufRead, Write};

use kora_ir::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::AdapterErrorKind;

pub use self::line::WireError;

/// The version of this protocol. Both ends must speak the same one.
pub const PROTOCOL: u32 = 1;

/// How often a worker says that it is alive, also while it computes.
pub const HEARTBEAT: std::time::Duration = std::time::Duration::from_millis(250);

/// What a worker is told.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a worker answers each; a new one must not compile unanswered")]
pub enum ToWorker {
    /// Answer this.
    Generate(GenerateRequest),
    /// Stop with the request of this id. One that is done, or never came, is nothing to be said about.
    Cancel {
        /// Which request.
        id: u64,
    },
}

impl ToWorker {
    /// The most bytes of a line, its end included (I8).
    pub const MAX_BYTES: usize = 32 << 20;

    /// The line, its end included.
    ///
    /// # Errors
    ///
    /// [`WireError::TooLong`] if it would be longer than [`MAX_BYTES`](Self::MAX_BYTES).
    pub fn to_line(&self) -> Result<Vec<u8>, WireError> {
        line::encode(self, Self::MAX_BYTES)
    }

    /// Reads the next line. `None` at the end of the input. Blocks.
    ///
    /// # Errors
    ///
    /// [`WireError`] if the line is too long, is not what was agreed on, or cannot be read. There is no going on then.
    pub fn read(reader: &mut impl BufRead) -> Result<Option<Self>, WireError> {
        line::read(reader, Self::MAX_BYTES)
    }
}

/// One generation.
///
/// Its `Debug` output holds no message: prompts are content (I9).
#[derive(Clone, Deserialize, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the adapter fills all of it")]
pub struct GenerateRequest {
    /// Names the request in everything that is said about it.
    pub id: u64,
    /// The conversation.
    pub messages: Vec<Message<String>>,
    /// The schema to hold the decoding to, its properties in the order in which they are to be written.
    pub schema: Value,
    /// The most tokens to generate, forced ones and the end of the text included (C7.2).
    pub max_tokens: u64,
    /// Milliseconds until nobody waits for the answer any more (C7.4).
    pub deadline_ms: u64,
    /// Seed of the sampler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Greedy if 0 or absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling. All of it if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
}

impl fmt::Debug for GenerateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenerateRequest")
            .field("id", &self.id)
            .field("messages", &format_args!("{} (content withheld)", self.messages.len()))
            .field("max_tokens", &self.max_tokens)
            .field("deadline_ms", &self.deadline_ms)
            .field("seed", &self.seed)
            .field("temperature", &self.temperature)
            .field("top_p", &self.top_p)
            .finish_non_exhaustive()
    }
}

/// What a worker says.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the adapter judges each; a new one must not compile unjudged")]
pub enum FromWorker {
    /// The model is loaded. The first thing said besides `alive`, and said once.
    Ready(Ready),
    /// The process is not stuck. Every [`HEARTBEAT`].
    Alive,
    /// The prompt of a request was read.
    Started(Started),
    /// The next piece of a reply.
    Piece(Piece),
    /// A reply is over.
    Done(Done),
    /// There is no reply.
    Failed(Failed),
    /// There is nothing that the process can do, and it ends.
    Fatal {
        /// What is wrong and how to mend it. Nothing of prompt or reply (I9).
        message: String,
    },
}

impl FromWorker {
    /// The most bytes of a line, its end included (I8).
    pub const MAX_BYTES: usize = 1 << 20;

    /// Writes the line and flushes it. Blocks.
    ///
    /// # Errors
    ///
    /// [`WireError`] if the line would be too long, in which case nothing is written, or cannot be written.
    pub fn write(&self, writer: &mut impl Write) -> Result<(), WireError> {
        writer.write_all(&line::encode(self, Self::MAX_BYTES)?)?;
        Ok(writer.flush()?)
    }

    /// Reads a line without its end.
    ///
    /// # Errors
    ///
    /// [`WireError::Malformed`] if that is not what was agreed on.
    pub fn from_line(line: &[u8]) -> Result<Self, WireError> {
        line::decode(line)
    }

    /// Reads the next line. `None` at the end of the input. Blocks; for tests of a worker.
    ///
    /// # Errors
    ///
    /// [`WireError`] if the line is too long, is not what was agreed on, or cannot be read.
    pub fn read(reader: &mut impl BufRead) -> Result<Option<Self>, WireError> {
        line::read(reader, Self::MAX_BYTES)
    }
}

/// What a worker is, once it is ready.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the worker fills all of it")]
pub struct Ready {
    /// [`PROTOCOL`] as the worker knows it.
    pub protocol: u32,
    /// The worker's own version.
    pub version: String,
    /// `general.architecture` of the weights.
    pub architecture: String,
    /// Tokens of prompt and reply together.
    pub context_tokens: u64,
    /// Number of weights.
    pub parameters: u64,
    /// Threads that compute.
    pub threads: u32,
}

/// The prompt of a request was read.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the worker fills all of it")]
pub struct Started {
    /// Which request.
    pub id: u64,
    /// Tokens of the prompt, those of its template included.
    pub tokens_in: u64,
}

/// A piece of a reply. Its `Debug` output withholds the text (I9).
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the worker fills all of it")]
pub struct Piece {
    /// Which request.
    pub id: u64,
    /// Whole characters; may be empty.
    pub text: String,
    /// Every token since the last piece, forced ones included.
    pub tokens: u64,
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piece")
            .field("id", &self.id)
            .field("text", &format_args!("{} bytes (content withheld)", self.text.len()))
            .field("tokens", &self.tokens)
            .finish()
    }
}

/// A reply is over.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the worker fills all of it")]
pub struct Done {
    /// Which request.
    pub id: u64,
    /// Why.
    pub finish: WorkerFinish,
    /// All tokens generated: those of all pieces, and no other.
    pub tokens_out: u64,
    /// Where the time went.
    #[serde(default)]
    pub timing: Timing,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the adapter judges each")]
pub enum WorkerFinish {
    /// The grammar was complete.
    Stop,
    /// The token cap was reached.
    Length,
    /// The time was over.
    Deadline,
    /// It was told to stop.
    Cancelled,
}

/// Where the time of a generation went. For measuring only.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[expect(clippy::exhaustive_structs, reason = "the worker fills all of it")]
pub struct Timing {
    /// Microseconds for the prompt.
    pub prompt_us: u64,
    /// Microseconds for the reply, masks aside.
    pub decode_us: u64,
    /// Microseconds for what the grammar allows.
    pub mask_us: u64,
    /// Tokens of the prompt that were known from an earlier one.
    pub cached_tokens: u64,
}

/// There is no reply.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the worker fills all of it")]
pub struct Failed {
    /// Which request.
    pub id: u64,
    /// What went wrong.
    pub kind: AdapterErrorKind,
    /// Whether the same request may succeed later.
    pub transient: bool,
    /// A lowercase fragment: what, where and how to mend it. Nothing of prompt or reply (I9).
    pub message: String,
}

#[cfg(test)]
mod tests {
    use kora_ir::Role;
    use serde_json::json;

    use super::*;

    fn request() -> GenerateRequest {
        GenerateRequest {
            id: 7,
            messages: vec![Message { role: Role::User, content: String::from("secret\n\u{2028}") }],
            schema: json!({"type": "object", "properties": {"z": true, "a": {"const": "secret"}}}),
            max_tokens: 64,
            deadline_ms: 5000,
            seed: Some(u64::MAX),
            temperature: Some(0.7),
            top_p: None,
        }
    }

    #[test]
    fn a_request_is_one_line_and_comes_back_the_same() {
        let asked = ToWorker::Generate(request());
        let mut line = asked.to_line().unwrap();
        line.extend(ToWorker::Cancel { id: 7 }.to_line().unwrap());
        let mut input = &line[..];
        assert_eq!(ToWorker::read(&mut input).unwrap(), Some(asked));
        assert_eq!(ToWorker::read(&mut input).unwrap(), Some(ToWorker::Cancel { id: 7 }));
        assert_eq!(ToWorker::read(&mut input).unwrap(), None);
    }

    #[test]
    fn properties_keep_their_order() {
        let line = ToWorker::Generate(request()).to_line().unwrap();
        let Some(ToWorker::Generate(read)) = ToWorker::read(&mut &line[..]).unwrap() else { panic!() };
        let names: Vec<_> = read.schema["properties"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, ["z", "a"]);
    }

    #[test]
    fn what_a_worker_says_reads_as_written_in_the_design() {
        let said = [
            r#"{"type":"ready","protocol":1,"version":"0.1.0","architecture":"llama","context_tokens":8192,"parameters":134515008,"threads":1}"#,
            r#"{"type":"alive"}"#,
            r#"{"type":"started","id":7,"tokens_in":93}"#,
            r#"{"type":"piece","id":7,"text":"{","tokens":2}"#,
            r#"{"type":"done","id":7,"finish":"stop","tokens_out":12,"timing":{"prompt_us":1,"decode_us":2,"mask_us":3,"cached_tokens":4}}"#,
            r#"{"type":"failed","id":7,"kind":"context_overflow","transient":false,"message":"too long"}"#,
            r#"{"type":"fatal","message":"no memory"}"#,
        ];
        for line in said {
            let read = FromWorker::from_line(line.as_bytes()).unwrap();
            let mut written = Vec::new();
            read.write(&mut written).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), format!("{line}\n"));
        }
    }

    #[test]
    fn debug_output_withholds_content() {
        let piece = Piece { id: 7, text: String::from("secret"), tokens: 1 };
        for shown in
            [format!("{:?}", ToWorker::Generate(request())), format!("{:?}", FromWorker::Piece(piece))]
        {
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}
