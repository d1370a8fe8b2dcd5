//! The attempts of one model task: one, reported, and the wait before the next.

use std::sync::Arc;
use std::time::Duration;

use engine::{AttemptOutcome, AttemptReport, Next, Usage};
use kora_ir::{Message, TaskIndex, Work};
use models::{ModelRequest, Route};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::session::{Session, micros};
use crate::attempt::{self, Asked, Spending};

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
    let asked = match route.as_deref().zip(request(&session, route.as_deref(), ask)) {
        Some((route, request)) => attempt::ask(route, request, &mut stopped, &Spending::default()).await,
        // The plan has a route for every model task, and the engine starts only those.
        None => Asked {
            outcome: AttemptOutcome::Failed {
                message: String::from("no model was planned for this task"),
                transient: false,
            },
            usage: Usage::default(),
            elapsed: Duration::ZERO,
            retry_after: None,
        },
    };
    let Asked { outcome, usage, elapsed, retry_after } = asked;
    let waits = matches!(outcome, AttemptOutcome::Failed { .. });
    let report = AttemptReport { task, attempt, elapsed_us: micros(elapsed), usage, outcome };

    let next = {
        let mut core = session.lock();
        let next = session.report(&mut core, report);
        session.pump(&mut core);
        next
    };
    let Some(Next::Retry { attempt, time_left_us }) = next else { return };
    let wait = if waits { session.config.backoff.before(attempt, retry_after) } else { Duration::ZERO };
    let wait = wait.min(Duration::from_micros(time_left_us));
    let waiting = Instant::now();
    tokio::select! {
        // What was stopped settled, so this has not resolved before.
        _ = &mut stopped => {}
        () = tokio::time::sleep(wait), if !wait.is_zero() => {}
        () = std::future::ready(()), if wait.is_zero() => {}
    }
    let mut core = session.lock();
    session.resume(&mut core, task, waiting.elapsed());
    session.pump(&mut core);
}

fn request(session: &Session, route: Option<&Route>, ask: Ask) -> Option<ModelRequest> {
    let task = session.graph.task(ask.task);
    let parameters = match &task.work {
        Work::Model(call) => call.parameters,
        Work::Operation(_) => return None,
    };
    Some(ModelRequest {
        model: route?.model.clone(),
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
