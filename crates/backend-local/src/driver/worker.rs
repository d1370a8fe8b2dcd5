//! A thread that runs operations, one after the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engine::{Arguments, AttemptOutcome, Next};
use kora_ir::{Filled, TaskIndex};
use operations::{Meter, OperationCall, OperationErrorKind};

use super::session::{Session, operation_report};

/// One attempt of one deterministic or aggregation task. There is no way to a model from here (I4).
#[derive(Debug)]
pub(super) struct Job {
    pub(super) task: TaskIndex,
    pub(super) attempt: u32,
    pub(super) input: Filled,
    pub(super) args: Arguments,
    pub(super) time_left: Duration,
}

/// What a new worker begins with.
pub(super) enum Begin {
    /// The run itself.
    Open,
    /// This operation.
    With(Job),
    /// Whatever there is.
    Looking,
}

/// Runs operations until there is none to start, or until the supervisor has given this worker up.
pub(super) fn work(session: &Arc<Session>, id: u64, stop: &Arc<AtomicBool>, begin: Begin) {
    let _call = session.call_on_drop();
    let mut next = match begin {
        Begin::Open => {
            session.make_run();
            None
        }
        Begin::With(job) => Some(job),
        Begin::Looking => None,
    };
    let mut meter = Meter::stoppable(session.config.operations.limits(), Arc::clone(stop));
    let mut core = session.lock();
    let mut began = Instant::now();
    while let Some(job) = next.take().or_else(|| session.next_job(&mut core)) {
        stop.store(false, Ordering::Relaxed);
        session.begin(&mut core, id, &job, began);
        drop(core);

        meter.refill();
        let outcome = run(session, &job, &mut meter);
        let ended = Instant::now();
        let elapsed = ended - began;
        // What stopped at its stop flag stopped for its time, unless there was time left.
        let over = elapsed >= job.time_left && matches!(outcome, AttemptOutcome::Cancelled);
        let outcome = if over { AttemptOutcome::TimedOut } else { outcome };

        core = session.lock();
        if !core.owns(id) {
            return;
        }
        let report = operation_report(job.task, job.attempt, elapsed, outcome);
        if let Some(Next::Retry { .. }) = session.report(&mut core, report) {
            // What an operation waits for is nothing that time would bring.
            session.resume(&mut core, job.task, Duration::ZERO);
        }
        session.add_worker_if_slow(&mut core, elapsed);
        // The engine's own time is far below a millisecond: reading the clock again would cost more than it tells.
        began = ended;
    }
    let left = session.retire(&mut core, id);
    drop(core);
    session.call();
    drop(left);
}

/// Runs an operation and holds its output against the schema (C4.4). A panic of the operation is its failure.
fn run(session: &Session, job: &Job, meter: &mut Meter) -> AttemptOutcome {
    let task = session.graph.task(job.task);
    let operation = session.plan().and_then(|plan| plan.operation(job.task));
    let Some((operation, args)) = operation.zip(job.args.of(task)) else {
        // The plan has an operation for every such task, and the engine starts only those.
        return AttemptOutcome::Failed {
            message: String::from("no operation was planned"),
            transient: false,
        };
    };
    let call = OperationCall { args, input: &job.input, attempt: job.attempt };
    let admitted = || operation.run(&call, meter).map(|value| task.schema.admit(value));
    match catch_unwind(AssertUnwindSafe(admitted)) {
        Ok(Ok(Ok(output))) => AttemptOutcome::Output(output),
        Ok(Ok(Err(mismatch))) => AttemptOutcome::SchemaMismatch(mismatch),
        Ok(Err(error)) if error.kind == OperationErrorKind::Stopped => AttemptOutcome::Cancelled,
        Ok(Err(error)) => AttemptOutcome::Failed { message: error.to_string(), transient: error.transient },
        // The text of a panic may hold content, so it is not repeated (I9).
        Err(_) => {
            AttemptOutcome::Failed { message: String::from("the operation panicked"), transient: false }
        }
    }
}
