//! Asks a model once, and opens its reply at the gate.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Duration;

use engine::{AttemptOutcome, Usage};
use kora_ir::SchemaMismatch;
use models::{
    AdapterError, AdapterErrorKind, ModelRequest, RawReply, ReplyRejected, Route, TokenCount, TokenMeter,
    TokenSink, Turn,
};
use tokio::time::Instant;

/// What came of asking a model once.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a driver needs all of it")]
pub struct Asked {
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// What it spent.
    pub usage: Usage,
    /// From when the model was ready for it. Waiting for others, or for a model to be loaded, is no time of the task.
    pub elapsed: Duration,
    /// How long the model's side asks to be left alone before another attempt, if it did.
    pub retry_after: Option<Duration>,
}

impl Asked {
    fn nothing(outcome: AttemptOutcome) -> Self {
        Self { outcome, usage: Usage::default(), elapsed: Duration::ZERO, retry_after: None }
    }
}

/// How far a call is, to be read while it runs.
#[derive(Debug, Default)]
pub struct Spending {
    under_way: OnceLock<(Instant, TokenMeter)>,
}

impl Spending {
    /// Since when the call's time counts; `None` while it waits.
    pub fn began(&self) -> Option<Instant> {
        self.under_way.get().map(|(began, _)| *began)
    }

    /// Tokens generated so far, as far as they were counted.
    pub fn tokens_out(&self) -> u64 {
        self.under_way.get().map_or(0, |(_, meter)| meter.counted())
    }
}

/// Waits for the model's turn, asks it once, and holds its reply against the schema (C11.1). A panic of the adapter is the
/// failure of this attempt and of nothing else.
///
/// Ends at the request's deadline, counted from when the model is ready, or when `stopped` resolves, whichever is first.
///
/// # Cancel safety
///
/// Dropping the future stops the call; what it spent by then is known to `spending` only.
pub async fn ask(
    route: &Route,
    request: ModelRequest,
    mut stopped: impl Future + Unpin,
    spending: &Spending,
) -> Asked {
    match turn(route, &mut stopped).await {
        Turned::Ready(turn) => {
            let asked = answer(route, request, stopped, spending).await;
            drop(turn);
            asked
        }
        Turned::Stopped => Asked::nothing(AttemptOutcome::Cancelled),
        Turned::Failed(error) => Asked { retry_after: error.retry_after, ..Asked::nothing(failed(*error)) },
    }
}

/// What came of waiting for a call.
enum Turned {
    /// The right to one, and an adapter that is ready for it.
    Ready(Turn),
    /// The adapter cannot get ready.
    Failed(Box<AdapterError>),
    /// Nobody wants it any more.
    Stopped,
}

async fn turn(route: &Route, stopped: &mut (impl Future + Unpin)) -> Turned {
    let ready = async {
        let turn = route.turn().await;
        match contained(route.adapter.prepare(&route.model)).await {
            Some(Ok(())) => Turned::Ready(turn),
            Some(Err(error)) => Turned::Failed(Box::new(error)),
            None => Turned::Failed(Box::new(AdapterError::new(AdapterErrorKind::Internal, PANICKED))),
        }
    };
    tokio::select! {
        biased;
        _ = stopped => Turned::Stopped,
        turned = ready => turned,
    }
}

/// A panic of an adapter is the failure of this attempt and of nothing else: `None`.
async fn contained<T>(call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(outcome)) => Poll::Ready(Some(outcome)),
        Err(_) => Poll::Ready(None),
    })
    .await
}

const PANICKED: &str = "the model adapter panicked";

/// The adapter's answer, cut off when its time is over or nobody wants it, with what it spent either way.
async fn answer(
    route: &Route,
    request: ModelRequest,
    mut stopped: impl Future + Unpin,
    spending: &Spending,
) -> Asked {
    let began = Instant::now();
    let mut sink = TokenSink::for_request(&request);
    // Whoever reads it has one for each call.
    let _ = spending.under_way.set((began, sink.meter()));
    let reply = {
        let generation = contained(route.adapter.generate(&request, &mut sink));
        tokio::select! {
            biased;
            _ = &mut stopped => Answer::Stopped,
            reply = generation => reply.map_or(Answer::Panicked, Answer::Reply),
            () = tokio::time::sleep(request.deadline) => Answer::Late,
        }
    };
    let spent = match &reply {
        Answer::Reply(Ok(reply)) => reply.usage(),
        Answer::Reply(Err(error)) => error.usage,
        Answer::Late | Answer::Stopped | Answer::Panicked => sink.usage(),
    };
    let usage = worst_case(spent, &request);
    let (outcome, retry_after) = match reply {
        Answer::Reply(Ok(reply)) => (admit(reply, &request), None),
        Answer::Reply(Err(error)) => {
            let hint = error.retry_after;
            (failed(error), hint)
        }
        Answer::Late => (AttemptOutcome::TimedOut, None),
        Answer::Stopped => (AttemptOutcome::Cancelled, None),
        Answer::Panicked => (AttemptOutcome::Failed { message: PANICKED.into(), transient: false }, None),
    };
    Asked { outcome, usage, elapsed: began.elapsed(), retry_after }
}

enum Answer {
    Reply(Result<RawReply, AdapterError>),
    Late,
    Stopped,
    Panicked,
}

/// Opens the reply at the gate (C11.1).
fn admit(reply: RawReply, request: &ModelRequest) -> AttemptOutcome {
    match reply.admit(&request.schema) {
        Ok(output) => AttemptOutcome::Output(output),
        Err(ReplyRejected::SchemaMismatch(mismatch)) => AttemptOutcome::SchemaMismatch(mismatch),
        Err(rejected @ ReplyRejected::NotJson { .. }) => {
            AttemptOutcome::SchemaMismatch(SchemaMismatch { faults: vec![rejected.to_string()] })
        }
    }
}

fn failed(error: AdapterError) -> AttemptOutcome {
    match error.kind {
        AdapterErrorKind::TokensExhausted => AttemptOutcome::TokensExhausted,
        AdapterErrorKind::DeadlineExceeded => AttemptOutcome::TimedOut,
        AdapterErrorKind::Unreachable
        | AdapterErrorKind::Rejected
        | AdapterErrorKind::Unauthorized
        | AdapterErrorKind::RateLimited
        | AdapterErrorKind::ServerError
        | AdapterErrorKind::ContextOverflow
        | AdapterErrorKind::ModelUnknown
        | AdapterErrorKind::ModelNotAllowed
        | AdapterErrorKind::RemoteForbidden
        | AdapterErrorKind::ContentFiltered
        | AdapterErrorKind::ReplyTooLarge
        | AdapterErrorKind::Protocol
        | AdapterErrorKind::Internal => {
            AttemptOutcome::Failed { message: error.message, transient: error.transient }
        }
    }
}

/// What nobody counted is settled as the most that it can have been: a token is at least one byte of the prompt, and
/// no call generates beyond its cap.
fn worst_case(spent: models::Usage, request: &ModelRequest) -> Usage {
    let prompt_bytes = request.messages.iter().map(|message| message.content.len() as u64).sum();
    Usage {
        tokens_in: spent.tokens_in.or_worst_case(prompt_bytes),
        tokens_out: spent.tokens_out.or_worst_case(request.max_output_tokens),
        estimated: [spent.tokens_in, spent.tokens_out].contains(&TokenCount::Unknown),
    }
}
