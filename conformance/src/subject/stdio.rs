//! A backend behind a command that speaks NDJSON on its standard streams: one process for each case.

mod answer;
mod conversation;
mod lines;
mod log_tail;
mod process;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backend_server::{Answer, ExecuteRequest};
use serde_json::{Map, Value, json};
use thiserror::Error;

use self::answer::Body;
use self::conversation::Conversation;
use self::process::{Living, Process};
use crate::model::{MODELS, ModelEndpoint};
use crate::subject::{Clock, Introduction, Mishap, Plug, Subject, Transport, shortened};

/// The protocol that the suite speaks.
const PROTOCOL: &str = "1.0";

/// Starts a command for each case, and talks to it by the stdio protocol 1.0.
///
/// The command is started as it is, without a shell. Its process, and whatever it starts in turn, is gone when the case
/// is over, however it behaves.
#[derive(Clone, Debug)]
pub struct Stdio {
    // Invariant: not empty.
    command: Vec<String>,
    limits: StdioLimits,
    living: Arc<Living>,
}

/// How long a backend behind a command may take, and how much it may say (I8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of choices, written as a literal")]
pub struct StdioLimits {
    /// From the start to the answer to `hello`.
    pub startup: Duration,
    /// To answer any other request.
    pub answer: Duration,
    /// To end after `shutdown`, before it is killed.
    pub grace: Duration,
    /// Bytes of one line that it writes.
    pub max_line_bytes: usize,
}

impl Default for StdioLimits {
    fn default() -> Self {
        Self {
            startup: Duration::from_secs(10),
            answer: Duration::from_secs(60),
            grace: Duration::from_secs(2),
            max_line_bytes: 64 << 20,
        }
    }
}

/// Why a text is no command.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum CommandLineError {
    /// There is no word in it.
    #[error("the command is empty; write it as in a shell, such as `python3 backend.py`")]
    Empty,
    /// A quote is not closed, or a backslash has nothing behind it.
    #[error("the command has a quote that is not closed, or ends in a backslash")]
    Unbalanced,
}

impl Stdio {
    /// A plug for a command line, split into words as a POSIX shell does. Nothing else of a shell is there: no
    /// variables, no patterns, no pipes.
    ///
    /// # Errors
    ///
    /// [`CommandLineError`] if that gives no word.
    pub fn parse(command_line: &str, limits: StdioLimits) -> Result<Self, CommandLineError> {
        let command = shlex::split(command_line).ok_or(CommandLineError::Unbalanced)?;
        Self::new(command, limits)
    }

    /// A plug for a program and its arguments.
    ///
    /// # Errors
    ///
    /// [`CommandLineError`] if there is no program.
    pub fn new(command: Vec<String>, limits: StdioLimits) -> Result<Self, CommandLineError> {
        if command.first().is_none_or(String::is_empty) {
            return Err(CommandLineError::Empty);
        }
        Ok(Self { command, limits, living: Arc::default() })
    }

    /// Kills every process that is still there, for whoever ends the suite before its cases are over.
    pub fn kill_all(&self) {
        self.living.kill_all();
    }
}

#[async_trait]
impl Plug for Stdio {
    fn transport(&self) -> Transport {
        Transport::Stdio
    }

    fn clock(&self) -> Clock {
        Clock::Real
    }

    async fn open(&self, endpoint: &ModelEndpoint) -> Result<Box<dyn Subject>, Mishap> {
        let process = Process::start(&self.command, &self.living, self.limits.max_line_bytes)?;
        let mut talking = Talking { process, limits: self.limits, introduction: Introduction::default() };
        match talking.hello(endpoint).await {
            Ok(introduction) => {
                talking.introduction = introduction;
                Ok(Box::new(talking))
            }
            Err(mishap) => {
                talking.process.kill().await;
                Err(mishap)
            }
        }
    }
}

struct Talking {
    process: Process,
    limits: StdioLimits,
    introduction: Introduction,
}

impl fmt::Debug for Talking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Talking").field("introduction", &self.introduction).finish_non_exhaustive()
    }
}

impl Talking {
    fn conversation(&self) -> &Arc<Conversation> {
        self.process.conversation()
    }

    async fn hello(&self, endpoint: &ModelEndpoint) -> Result<Introduction, Mishap> {
        let mut fields = Map::from_iter([("protocol".to_owned(), Value::from(PROTOCOL))]);
        if let Some(base_url) = &endpoint.base_url {
            fields.insert("models".to_owned(), json!({"base_url": base_url, "models": MODELS}));
        }
        let answer = self.conversation().ask("hello", fields, self.limits.startup).await?;
        let introduction = answer.document("hello")?;
        let text = |member: &str| match introduction.get(member).and_then(Value::as_str) {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            Some(_) | None => {
                Err(Mishap::Garbage { detail: format!("its answer to `hello` has no text `{member}`") })
            }
        };
        let protocol = text("protocol")?;
        if protocol.split('.').next() != PROTOCOL.split('.').next() {
            let detail =
                format!("it speaks protocol `{}`, and the suite speaks {PROTOCOL}", shortened(&protocol));
            return Err(Mishap::Garbage { detail });
        }
        Ok(Introduction {
            name: text("name")?,
            version: text("version")?,
            backend_mode: text("backend_mode")?,
        })
    }

    async fn document(&self, verb: &str) -> Result<Value, Mishap> {
        self.conversation().ask(verb, Map::new(), self.limits.answer).await?.document(verb)
    }
}

#[async_trait]
impl Subject for Talking {
    async fn execute_taskgraph(&self, request: ExecuteRequest) -> Result<Answer, Mishap> {
        match self.conversation().run(request, self.limits.answer).await? {
            Body::Refused(refusal) => Ok(Answer::Refused(refusal)),
            body @ (Body::Ok(_) | Body::Cancelled | Body::Unsupported { .. } | Body::Error { .. }) => {
                body.document("execute_taskgraph").map(Answer::Result)
            }
        }
    }

    async fn health_check(&self) -> Result<Value, Mishap> {
        self.document("health_check").await
    }

    async fn capability_descriptor(&self) -> Result<Value, Mishap> {
        self.document("capability_descriptor").await
    }

    fn introduction(&self) -> Introduction {
        self.introduction.clone()
    }

    async fn close(self: Box<Self>) -> Option<String> {
        let Self { process, limits, introduction: _ } = *self;
        process.end(limits.grace).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_split_and_nothing_else() {
        let words = |line| Stdio::parse(line, StdioLimits::default()).map(|plug| plug.command);
        assert_eq!(
            words("python3 'my backend.py' --x=\"a b\" $HOME *"),
            Ok(vec!["python3".into(), "my backend.py".into(), "--x=a b".into(), "$HOME".into(), "*".into()])
        );
        assert_eq!(words(""), Err(CommandLineError::Empty));
        assert_eq!(words("  "), Err(CommandLineError::Empty));
        assert_eq!(words("''"), Err(CommandLineError::Empty));
        assert_eq!(words("a 'b"), Err(CommandLineError::Unbalanced));
    }
}
