//! One attempt of one model task, and the wait before the next.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use engine::{AttemptOutcome, AttemptReport, Next, Usage};
use kora_ir::{Message, SchemaMismatch, TaskIndex, Work};
use models::{
    AdapterError, AdapterErrorKind, ModelRequest, RawReply, ReplyRejected, Route, TokenCount, TokenSink, Turn,
};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::session::{Session, micros};

/// What to ask of a model.
pub(super) struct Ask {
    pub(super) task: TaskIndex,
    pub(super) attempt: u32,
    pub(super) messages: Vec<Message<String>>,
    pub(super) tokens_left: u64,
    pub(super) time_left: Duration,
}

/// Asks, reports, and waits for the next attempt if there is to be one. `stopped` resolves when nobody wants it.
pub(super) async fn run(session: Arc<Session>, ask: Ask, mut stopped: oneshot::Receiver<()>) {
    let _call = session.call_on_drop();
    let (task, attempt) = (ask.task, ask.attempt);
    let route = session.plan().and_then(|plan| plan.route(task));
    // Waiting for others, or for a model to be loaded, is no time of this task.
    let turned = match &route {
        Some(route) => turn(route, &mut stopped).await,
        None => Turned::Stopped,
    };
    let began = Instant::now();
    let (outcome, usage, hint) = match (route, request(&session, ask)) {
        (Some(route), Some(request)) => match turned {
            Turned::Ready(turn) => {
                let answer = answer(&route, request, &mut stopped).await;
                drop(turn);
                answer
            }
            Turned::Stopped => (AttemptOutcome::Cancelled, Usage::default(), None),
            Turned::Failed(error) => {
                let hint = error.retry_after;
                (failed(*error), Usage::default(), hint)
            }
        },
        // The plan has a route for every model task, and the engine starts only those.
        (None, _) | (_, None) => (internal("no model was planned for this task"), Usage::default(), None),
    };
    let waits = matches!(outcome, AttemptOutcome::Failed { .. });
    let report = AttemptReport { task, attempt, elapsed_us: micros(began.elapsed()), usage, outcome };

    let next = {
        let mut core = session.lock();
        let next = session.report(&mut core, report);
        session.pump(&mut core);
        next
    };
    let Some(Next::Retry { attempt, time_left_us }) = next else { return };
    let wait = if waits { session.config.backoff.before(attempt, hint) } else { Duration::ZERO };
    let wait = wait.min(Duration::from_micros(time_left_us));
    let waiting = Instant::now();
    tokio::select! {
        _ = &mut stopped => {}
        () = tokio::time::sleep(wait), if !wait.is_zero() => {}
        () = std::future::ready(()), if wait.is_zero() => {}
    }
    let mut core = session.lock();
    session.resume(&mut core, task, waiting.elapsed());
    session.pump(&mut core);
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

async fn turn(route: &Route, stopped: &mut oneshot::Receiver<()>) -> Turned {
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

fn request(session: &Session, ask: Ask) -> Option<ModelRequest> {
    let task = session.graph.task(ask.task);
    let route = session.plan()?.route(ask.task)?;
    let parameters = match &task.work {
        Work::Model(call) => call.parameters,
        Work::Operation(_) => return None,
    };
    Some(ModelRequest {
        model: route.model.clone(),
        messages: ask.messages,
        schema: Arc::clone(&task.schema),
        max_output_tokens: ask.tokens_left,
        deadline: ask.time_left,
        parameters,
        privacy: task.privacy,
        task_id: task.id.clone(),
        attempt: ask.attempt,
    })
}

/// The adapter's answer, cut off when its time is over or nobody wants it, with what it spent either way.
async fn answer(
    route: &Route,
    request: ModelRequest,
    stopped: &mut oneshot::Receiver<()>,
) -> (AttemptOutcome, Usage, Option<Duration>) {
    let mut sink = TokenSink::for_request(&request);
    let reply = {
        let generation = contained(route.adapter.generate(&request, &mut sink));
        tokio::select! {
            biased;
            _ = stopped => Answer::Stopped,
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
    match reply {
        Answer::Reply(Ok(reply)) => (admit(reply, &request), usage, None),
        Answer::Reply(Err(error)) => {
            let hint = error.retry_after;
            (failed(error), usage, hint)
        }
        Answer::Late => (AttemptOutcome::TimedOut, usage, None),
        Answer::Stopped => (AttemptOutcome::Cancelled, usage, None),
        Answer::Panicked => (internal(PANICKED), usage, None),
    }
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

fn internal(message: &str) -> AttemptOutcome {
    AttemptOutcome::Failed { message: message.into(), transient: false }
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
