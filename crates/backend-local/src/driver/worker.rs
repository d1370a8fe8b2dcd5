//! A thread that runs operations, one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engine::{Arguments, AttemptOutcome, Next};
use kora_ir::{Filled, TaskIndex};
use operations::{Meter, OperationCall};

use super::session::{Session, operation_report};
use crate::attempt;

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
        let outcome = attempt::out_of_time(outcome, elapsed, job.time_left);

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
    attempt::operate(operation, &call, &task.schema, meter)
}
