//! One task, from its first attempt to its last: what stops it, and under which name (decision 0007).

mod model;
mod operation;

use std::sync::Arc;
use std::time::Duration;

use kora_ir::{Limits, Message, OutputSchema, Task, TaskIndex, ValidatedOutput};
use operations::PreparedOperation;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::budget::{self, Spent, Used};
use super::failure::{EXECUTION_FAILURE, Failure, VALIDATION_ERROR};
use super::readings;
use super::record::Record;
use super::world::World;
use super::{Defect, Quirk};
use crate::model::{MODELS, SuiteModel};

/// What a wait before another call to a model that failed takes.
const BACKOFF: Duration = Duration::from_millis(5);

/// A task that may start.
pub(super) struct Job {
    pub(super) index: TaskIndex,
    pub(super) record: Record,
    pub(super) work: Work,
    /// What the run had used of its budgets before.
    pub(super) before: Used,
}

/// What to do, every reference resolved.
pub(super) enum Work {
    Operation { operation: Arc<dyn PreparedOperation>, input: Arc<Value>, args: Arc<Value> },
    Model { model: SuiteModel, messages: Vec<Message<String>> },
}

/// A task that spends no more.
pub(super) struct Done {
    pub(super) index: TaskIndex,
    pub(super) record: Record,
    pub(super) spent: Spent,
    pub(super) output: Option<ValidatedOutput>,
    /// Whether the last output broke the schema.
    pub(super) broke_schema: bool,
    /// The last reply that was refused. Only mutants look at it.
    pub(super) refused: Option<Value>,
    /// What came before a connection broke. Only mutants look at it.
    leftover: String,
}

/// How one attempt ended.
enum End {
    /// With this, not yet held against the schema. `Err`: it is not even JSON, and why.
    Said {
        text: String,
        value: Result<Value, String>,
    },
    Failed {
        message: String,
        transient: bool,
    },
    OutOfTokens,
    OutOfTime,
}

/// What one attempt came to.
struct Attempt {
    end: End,
    elapsed: Duration,
    tokens_in: u64,
    tokens_out: u64,
    estimated: bool,
}

/// Runs a task: as many attempts as it takes and its budget allows.
pub(super) async fn perform(world: Arc<World>, job: Job) -> Done {
    let Job { index, record, work, before } = job;
    let task = world.graph.task(index);
    let id = task.id.as_str();
    let mut done = Done {
        index,
        record,
        spent: Spent::default(),
        output: None,
        broke_schema: false,
        refused: None,
        leftover: String::new(),
    };
    let max_retries = max_retries(&world, task);
    pause_if_slow(&world).await;
    let failure = loop {
        let failure = match attempt(&world, task, &work, &before, &mut done).await {
            Ok(_) if world.has(Defect::RetriesGoodReplies) && done.spent.attempts == 1 && max_retries > 0 => {
                continue;
            }
            Ok(output) => {
                done.output = Some(output);
                done.record.complete();
                pause_if_slow(&world).await;
                return done;
            }
            Err((failure, false)) => break failure,
            Err((failure, true)) => failure,
        };
        if done.spent.attempts > max_retries {
            let exhausted = max_retries > 0 && !world.has(Defect::SilentAboutUsedUpRetries);
            break Failure { retries_exhausted: exhausted, ..failure };
        }
        if world.has(Defect::EscalatesBeforeRetrying) && !task.escalation.is_empty() {
            break failure;
        }
        if world.has(Defect::HangsOnRetry) {
            std::future::pending::<()>().await;
        }
        if let Some(breach) = budget::exhausted(&world.caps, task, &before, &done.spent) {
            break world.breach(id, breach);
        }
        if failure.category == EXECUTION_FAILURE && task.task_type.is_model() {
            wait(&world, task, &mut done.spent).await;
        }
        if let Some(failure) = out_of_time(&world, task, &done.spent) {
            break failure;
        }
    };
    if let Work::Model { messages, .. } = &work
        && task.escalation.is_empty()
        && world.has(Defect::InventsEscalation)
    {
        let larger = Work::Model { model: MODELS[1], messages: messages.clone() };
        done.spent = Spent::default();
        if let Ok(output) = attempt(&world, task, &larger, &before, &mut done).await {
            done.output = Some(output);
            done.record.complete();
            return done;
        }
    }
    done.record.fail(failure);
    done
}

/// How often the task may be tried again.
fn max_retries(world: &World, task: &Task) -> u32 {
    let declared = task.budget.max_retries();
    if world.has(Defect::RetriesOnceTooOften) {
        declared + 1
    } else if world.has(Defect::GivesUpOneRetryEarly) {
        declared.saturating_sub(1)
    } else if world.has(Defect::ZeroRetriesMeanOne) {
        declared.max(1)
    } else if world.has(Defect::AttemptsCountedForever) {
        let before = world.memory.look().attempts.get(task.id.as_str()).copied();
        declared.saturating_sub(before.unwrap_or(0))
    } else {
        declared
    }
}

/// One attempt: an output, or a failure and whether it is worth another attempt.
async fn attempt(
    world: &World,
    task: &Task,
    work: &Work,
    before: &Used,
    done: &mut Done,
) -> Result<ValidatedOutput, (Failure, bool)> {
    let id = task.id.as_str();
    done.record.start_attempt();
    if world.has(Defect::TokensForEachAttempt) {
        done.spent.tokens = 0;
    }
    if world.has(Defect::TimeForEachAttempt) {
        done.spent.time = Duration::ZERO;
    }
    let time_left = budget::time_left(&world.caps, task, &done.spent).min(world.time_left());
    let tokens = budget::token_cap(&world.caps, task, before);
    let attempt = match work {
        Work::Operation { operation, input, args } => {
            operation::operate(world, operation, input, args, done.spent.attempts, time_left).await
        }
        Work::Model { model, messages } => {
            let attempts = done.spent.attempts;
            let tokens_left = tokens.left.saturating_sub(done.spent.tokens);
            let ask = model::Ask { model, messages, attempts, declared: task, tokens_left, time_left };
            model::ask(world, &ask, &mut done.leftover).await
        }
    };
    account(world, &attempt, done);

    // The run's own time comes before everything else: nothing that is later counts.
    if let Some(breach) = world.late() {
        return Err((world.breach(id, breach), false));
    }
    let cap = if world.has(Defect::LetsOneTokenPass) { tokens.left + 1 } else { tokens.left };
    let reached =
        world.has(Defect::RefusesTheExactCap) && task.task_type.is_model() && done.spent.tokens == cap;
    if done.spent.tokens > cap || reached || matches!(attempt.end, End::OutOfTokens) {
        return Err((world.breach(id, tokens.breach(&done.spent)), false));
    }
    let over = done.spent.time > Duration::from_millis(task.budget.max_time_ms());
    if over && !world.has(Defect::IgnoresTaskTime) || matches!(attempt.end, End::OutOfTime) {
        return Err((world.breach(id, budget::time_breach(task, &done.spent)), false));
    }
    match attempt.end {
        End::Said { text, value } => gate(world, task, &text, value, done),
        End::Failed { message, transient } => {
            let model = task.task_type.is_model();
            let category = match model {
                true if world.has(Defect::SixthCategory) => "MODEL_ERROR",
                false if world.has(Defect::OperationsFailValidation) => VALIDATION_ERROR,
                true | false => EXECUTION_FAILURE,
            };
            let hopeless = model && world.has(Defect::NeverRetriesFaults);
            let retries = transient && !hopeless || model && world.has(Defect::RetriesFinalFaults);
            Err((Failure::new(category, id, message), retries))
        }
        End::OutOfTokens | End::OutOfTime => Err((Failure::new(EXECUTION_FAILURE, id, "stopped"), false)),
    }
}

/// Notes what an attempt spent, before its result is looked at (C7.6).
fn account(world: &World, attempt: &Attempt, done: &mut Done) {
    done.spent.attempts += 1;
    done.spent.time += attempt.elapsed;
    let broke = matches!(attempt.end, End::Failed { .. });
    if !(broke && world.has(Defect::BrokenCallsAreFree)) {
        done.spent.tokens += attempt.tokens_out;
    }
    if world.has(Defect::PromptsAreGenerated) {
        done.spent.tokens += attempt.tokens_in;
    }
    if world.has(Defect::TokensOfTheLastAttempt) {
        (done.record.tokens_in, done.record.tokens_out) = (0, 0);
    }
    done.record.elapsed += attempt.elapsed;
    done.record.tokens_in += attempt.tokens_in;
    done.record.tokens_out += attempt.tokens_out;
    done.record.estimated |= attempt.estimated;
    done.broke_schema = false;
}

/// Holds what was said against the schema (C2.4, C11.1).
fn gate(
    world: &World,
    task: &Task,
    text: &str,
    value: Result<Value, String>,
    done: &mut Done,
) -> Result<ValidatedOutput, (Failure, bool)> {
    let model = task.task_type.is_model();
    done.refused = Some(value.clone().unwrap_or_else(|_| json!(text)));
    let admitted = value.and_then(|value| admit(world, task, value));
    done.record.validated(admitted.is_ok());
    done.broke_schema = admitted.is_err();
    let message = match admitted {
        Ok(output) => {
            done.refused = None;
            return Ok(output);
        }
        Err(message) if world.has(Defect::QuotesTheReply) => format!("{message}: {text}"),
        Err(message) => message,
    };
    let category = if model && world.has(Defect::BadRepliesFailExecution) {
        EXECUTION_FAILURE
    } else {
        VALIDATION_ERROR
    };
    let hopeless = model && world.has(Defect::NeverRetriesBadReplies);
    Err((Failure::new(category, task.id.as_str(), message), !hopeless))
}

fn admit(world: &World, task: &Task, value: Value) -> Result<ValidatedOutput, String> {
    let trusted = match task.task_type {
        kora_ir::TaskType::Model => world.has(Defect::ValidatesNothing),
        kora_ir::TaskType::Deterministic => world.has(Defect::OperationsAreTrusted),
        kora_ir::TaskType::Aggregation => world.has(Defect::AggregationsAreTrusted),
    };
    if trusted || value.is_null() && world.has(Defect::EmptyIsNothing) {
        return Ok(as_it_is(value));
    }
    if let Some(message) = readings::refused(world.does, &value) {
        return Err(message);
    }
    if world.is(Quirk::ValidatesTwice) {
        task.schema.admit(value.clone()).map_err(|mismatch| mismatch.to_string())?;
    }
    match task.schema.admit(value.clone()) {
        Ok(output) => Ok(output),
        Err(mismatch) => match readings::mended(world.does, &value, &task.schema) {
            Some(mended) => task.schema.admit(mended).map_err(|mismatch| mismatch.to_string()),
            None => Err(mismatch.to_string()),
        },
    }
}

/// A value that no schema was asked about. Only mutants have one.
pub(super) fn as_it_is(value: Value) -> ValidatedOutput {
    let anything = OutputSchema::compile(json!(true), &Limits::default());
    let admitted = anything.map(|anything| anything.admit(value));
    match admitted {
        Ok(Ok(output)) => output,
        Ok(Err(_)) | Err(_) => as_it_is(Value::Null),
    }
}

/// Waits before the model is asked again, within what the task and the run have left (S8).
async fn wait(world: &World, task: &Task, spent: &mut Spent) {
    let began = Instant::now();
    let longest = budget::time_left(&world.caps, task, spent).min(world.time_left());
    let usual = if world.is(Quirk::LongWaits) { BACKOFF * 8 } else { BACKOFF };
    tokio::time::sleep(usual.min(longest)).await;
    spent.time += began.elapsed();
}

/// The failure of a task that has no time for another attempt.
fn out_of_time(world: &World, task: &Task, spent: &Spent) -> Option<Failure> {
    let over = budget::time_left(&world.caps, task, spent).is_zero();
    let breach = world.late().or_else(|| over.then(|| budget::time_breach(task, spent)))?;
    Some(world.breach(task.id.as_str(), breach))
}

async fn pause_if_slow(world: &World) {
    if world.is(Quirk::Slow) {
        tokio::time::sleep(Duration::from_millis(10).min(world.time_left())).await;
    }
}
