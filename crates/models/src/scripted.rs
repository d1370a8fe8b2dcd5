//! A stand-in for tests: answers from a script, and remembers what it was asked.

mod record;
mod script;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kora_ir::{OutputSchema, Privacy};
use schema_grammar::SchemaNote;

use crate::{
    AdapterDescriptor, AdapterError, AdapterErrorKind, AdapterHealth, FinishReason, Locality, ModelAdapter,
    ModelId, ModelRequest, RawReply, TokenSink,
};

use self::record::Recorder;
pub use self::record::{CallEnd, ScriptedCall};
pub use self::script::{Act, ReportedUsage, Script, ScriptedError, Step};

/// Answers from a [`Script`] instead of a model. For tests and conformance runs; it generates nothing.
///
/// It remembers every call with the caps that it was told, for as long as it lives.
#[derive(Debug)]
pub struct ScriptedAdapter {
    script: Script,
    recorder: Arc<Recorder>,
}

impl ScriptedAdapter {
    /// An adapter that plays `script`.
    pub fn new(script: Script) -> Self {
        Self { script, recorder: Arc::default() }
    }

    /// Every call so far, in the order in which they started.
    pub fn calls(&self) -> Vec<ScriptedCall> {
        self.recorder.calls()
    }

    /// The most calls that were under way at one time.
    pub fn peak_concurrency(&self) -> usize {
        self.recorder.peak()
    }

    fn admit(&self, request: &ModelRequest) -> Result<&Step, AdapterError> {
        if !self.script.models.iter().any(|model| model.id == request.model) {
            let message = format!("the script serves no model `{}`", request.model);
            return Err(AdapterError::new(AdapterErrorKind::ModelUnknown, message));
        }
        if request.privacy == Privacy::LocalOnly && self.script.locality == Locality::Remote {
            let message = format!("adapter `{}` is remote and the request is `local_only`", self.script.name);
            return Err(AdapterError::new(AdapterErrorKind::RemoteForbidden, message));
        }
        self.script.step(request.task_id.as_str(), request.attempt).ok_or_else(|| {
            let message = format!(
                "the script has nothing for task `{}`, attempt {}; add a step to `tasks` or an `otherwise`",
                request.task_id, request.attempt
            );
            AdapterError::new(AdapterErrorKind::Rejected, message)
        })
    }
}

#[async_trait]
impl ModelAdapter for ScriptedAdapter {
    fn descriptor(&self) -> AdapterDescriptor {
        AdapterDescriptor {
            name: self.script.name.clone(),
            locality: self.script.locality,
            models: self.script.models.clone(),
            concurrent_calls: None,
        }
    }

    fn admit(&self, _: &ModelId, _: &OutputSchema) -> Result<Vec<SchemaNote>, AdapterError> {
        Ok(Vec::new())
    }

    async fn health(&self) -> AdapterHealth {
        match &self.script.unavailable {
            None => AdapterHealth::Healthy,
            Some(reason) => AdapterHealth::Unavailable { reason: reason.clone() },
        }
    }

    async fn prepare(&self, _: &ModelId) -> Result<(), AdapterError> {
        Ok(())
    }

    async fn generate(&self, request: &ModelRequest, sink: &mut TokenSink) -> Result<RawReply, AdapterError> {
        let call = Recorder::start(&self.recorder, request);
        let outcome = match self.admit(request) {
            Ok(step) => play(step, request, sink).await.map_err(|error| error.with_usage(sink.usage())),
            Err(error) => Err(error),
        };
        call.end(match &outcome {
            Ok(_) => CallEnd::Replied,
            Err(error) => CallEnd::Failed(error.kind),
        });
        outcome
    }
}

async fn play(step: &Step, request: &ModelRequest, sink: &mut TokenSink) -> Result<RawReply, AdapterError> {
    sink.sent();
    if matches!(step.act, Act::Hang) {
        // Unlike a real adapter, it does not keep the deadline either: whoever drives it has to.
        std::future::pending::<()>().await;
    }
    let acted = tokio::time::timeout(request.deadline, act(step, sink)).await;
    acted.unwrap_or_else(|_| {
        let message = format!("no complete reply within {} ms", request.deadline.as_millis());
        Err(AdapterError::new(AdapterErrorKind::DeadlineExceeded, message))
    })
}

async fn act(step: &Step, sink: &mut TokenSink) -> Result<RawReply, AdapterError> {
    pause(step.delay_ms).await;
    match &step.act {
        Act::Reply(value) => say(step, &value.to_string(), FinishReason::Stop, sink).await,
        Act::Text(text) => say(step, text, FinishReason::Stop, sink).await,
        Act::Truncated(text) => say(step, text, FinishReason::Length, sink).await,
        Act::Overrun => loop {
            sink.push("x", 1)?;
            pause(step.ms_per_token).await;
            tokio::task::yield_now().await;
        },
        Act::Error(error) => {
            stream("", step.tokens_out.unwrap_or(0), step.ms_per_token, sink).await?;
            let message = error.message.as_deref().unwrap_or("scripted error");
            let made = AdapterError::new(error.kind, message);
            let transient = error.transient.unwrap_or(made.transient);
            let retry_after = error.retry_after_ms.map(Duration::from_millis);
            Err(made.with_transient(transient).with_retry_after(retry_after))
        }
        Act::Hang => std::future::pending().await,
        #[expect(clippy::panic, reason = "that is what the script asks for")]
        Act::Panic => panic!("scripted panic"),
    }
}

async fn say(
    step: &Step,
    text: &str,
    finish: FinishReason,
    sink: &mut TokenSink,
) -> Result<RawReply, AdapterError> {
    let tokens = step.tokens_out.unwrap_or_else(|| script::tokens_of(text));
    match step.usage {
        ReportedUsage::Told => {
            stream(text, tokens, step.ms_per_token, sink).await?;
            sink.finish(finish, step.tokens_in, Some(tokens))
        }
        ReportedUsage::Counted => {
            stream(text, tokens, step.ms_per_token, sink).await?;
            sink.finish(finish, None, None)
        }
        ReportedUsage::Afterwards => {
            sink.push_uncounted(text)?;
            sink.finish(finish, step.tokens_in, Some(tokens))
        }
        ReportedUsage::Unknown => {
            sink.push_uncounted(text)?;
            sink.finish(finish, None, None)
        }
    }
}

/// Pushes `text` in `tokens` pieces, as even as characters allow.
async fn stream(
    text: &str,
    tokens: u64,
    ms_per_token: u64,
    sink: &mut TokenSink,
) -> Result<(), AdapterError> {
    sink.streaming();
    let mut rest = text;
    for left in (1..=tokens).rev() {
        let share = usize::try_from(left).map_or(0, |left| rest.len().div_ceil(left));
        let (piece, after) =
            rest.split_at((share..=rest.len()).find(|&at| rest.is_char_boundary(at)).unwrap_or(rest.len()));
        rest = after;
        pause(ms_per_token).await;
        sink.push(piece, 1)?;
    }
    Ok(sink.push(rest, 0)?)
}

async fn pause(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}
