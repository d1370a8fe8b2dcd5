//! One task, from its first attempt to its last: what stops it, and under which name (decision 0007).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kora_ir::{Message, Task, TaskIndex, ValidatedOutput};
use operations::{Meter, OperationCall, PreparedOperation};
use serde_json::Value;
use tokio::time::Instant;

use super::budget::{self, Spent, Used};
use super::failure::{EXECUTION_FAILURE, Failure, VALIDATION_ERROR};
use super::json;
use super::record::Record;
use super::world::World;
use crate::model::{Asked, Fault, Said, SuiteModel};

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
}

/// How one attempt ended.
enum End {
    /// With this, not yet held against the schema. `Err`: it is not even JSON, and why.
    Said(Result<Value, String>),
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
    let mut done = Done { index, record, spent: Spent::default(), output: None, broke_schema: false };
    let failure = loop {
        match attempt(&world, task, &work, &before, &mut done).await {
            Ok(output) => {
                done.output = Some(output);
                done.record.complete();
                return done;
            }
            Err((failure, false)) => break failure,
            Err((failure, true)) => {
                if done.spent.attempts > task.budget.max_retries() {
                    break Failure { retries_exhausted: task.budget.max_retries() > 0, ..failure };
                }
                if let Some(breach) = budget::exhausted(&world.graph, task, &before, &done.spent) {
                    break Failure::breach(task.id.as_str(), breach);
                }
                if failure.category == EXECUTION_FAILURE && task.task_type.is_model() {
                    wait(&world, task, &mut done.spent).await;
                }
                if let Some(failure) = out_of_time(&world, task, &done.spent) {
                    break failure;
                }
            }
        }
    };
    done.record.fail(failure);
    done
}

/// One attempt: an output, or a failure and whether it is worth another attempt.
async fn attempt(
    world: &World,
    task: &Task,
    work: &Work,
    before: &Used,
    done: &mut Done,
) -> Result<ValidatedOutput, (Failure, bool)> {
    let fails = |category, message: String| Failure::new(category, task.id.as_str(), message);
    done.record.start_attempt();
    let time_left = budget::time_left(task, &done.spent);
    let tokens = budget::token_cap(&world.graph, task, before);
    let attempt = match work {
        Work::Operation { operation, input, args } => {
            let number = done.spent.attempts;
            operate(world, operation, input, args, number, time_left.min(world.time_left())).await
        }
        Work::Model { model, messages } => {
            let tokens_left = tokens.left.saturating_sub(done.spent.tokens);
            ask(world, model, messages, tokens_left, time_left.min(world.time_left())).await
        }
    };
    done.spent.attempts += 1;
    done.spent.time += attempt.elapsed;
    done.spent.tokens += attempt.tokens_out;
    done.record.elapsed += attempt.elapsed;
    done.record.tokens_in += attempt.tokens_in;
    done.record.tokens_out += attempt.tokens_out;
    done.record.estimated |= attempt.estimated;
    done.broke_schema = false;

    // The run's own time comes before everything else: nothing that is later counts.
    if let Some(breach) = world.late() {
        return Err((Failure::breach(task.id.as_str(), breach), false));
    }
    if done.spent.tokens > tokens.left || matches!(attempt.end, End::OutOfTokens) {
        return Err((Failure::breach(task.id.as_str(), tokens.breach(&done.spent)), false));
    }
    let over = done.spent.time > Duration::from_millis(task.budget.max_time_ms());
    if over || matches!(attempt.end, End::OutOfTime) {
        return Err((Failure::breach(task.id.as_str(), budget::time_breach(task, &done.spent)), false));
    }
    match attempt.end {
        End::Said(said) => {
            let admitted = said.and_then(|value| task.schema.admit(value).map_err(|error| error.to_string()));
            done.record.validated(admitted.is_ok());
            done.broke_schema = admitted.is_err();
            admitted.map_err(|message| (fails(VALIDATION_ERROR, message), true))
        }
        End::Failed { message, transient } => Err((fails(EXECUTION_FAILURE, message), transient)),
        End::OutOfTokens | End::OutOfTime => Err((fails(EXECUTION_FAILURE, String::from("stopped")), false)),
    }
}

/// Runs an operation once, on a thread of its own. It sees its input and nothing else (C2.1).
async fn operate(
    world: &World,
    operation: &Arc<dyn PreparedOperation>,
    input: &Arc<Value>,
    args: &Arc<Value>,
    number: u32,
    time_left: Duration,
) -> Attempt {
    let began = std::time::Instant::now();
    let stop = StopOnDrop(Arc::default());
    let mut meter = Meter::stoppable(&world.limits, Arc::clone(&stop.0));
    let (operation, input, args) = (Arc::clone(operation), Arc::clone(input), Arc::clone(args));
    let running = tokio::task::spawn_blocking(move || {
        operation.run(&OperationCall { args: &args, input: &input, attempt: number }, &mut meter)
    });
    let end = match tokio::time::timeout(time_left, running).await {
        Ok(Ok(Ok(value))) => End::Said(Ok(value)),
        Ok(Ok(Err(error))) => End::Failed { message: error.to_string(), transient: error.transient },
        Ok(Err(_)) => End::Failed { message: String::from("the operation panicked"), transient: false },
        Err(_) => End::OutOfTime,
    };
    Attempt { end, elapsed: began.elapsed(), tokens_in: 0, tokens_out: 0, estimated: false }
}

/// Asks the model once, and hangs up at the first token beyond the cap (C7.2).
async fn ask(
    world: &World,
    model: &SuiteModel,
    messages: &[Message<String>],
    tokens_left: u64,
    time_left: Duration,
) -> Attempt {
    let contents: Vec<&str> = messages.iter().map(|message| message.content.as_str()).collect();
    let asked =
        Asked { model: model.id.to_owned(), max_tokens: Some(tokens_left), prompt: contents.join("\n\n") };
    let began = Instant::now();
    let mut heard = Heard::default();
    let listened = tokio::time::timeout(time_left, listen(world, asked, tokens_left, &mut heard)).await;
    let end = listened.unwrap_or(End::OutOfTime);
    // What nobody counted is settled as the most that it can have been (decision 0011).
    let prompt_bytes = contents.iter().map(|content| content.len() as u64).sum();
    let (tokens_in, tokens_out) = match heard.phase {
        Phase::Silent => (None, None),
        Phase::TurnedDown => (Some(0), Some(0)),
        Phase::Saying => (None, Some(heard.tokens)),
        Phase::Ended { tokens_in, tokens_out } => (Some(tokens_in), Some(tokens_out.max(heard.tokens))),
    };
    Attempt {
        end,
        elapsed: began.elapsed(),
        tokens_in: tokens_in.unwrap_or(prompt_bytes),
        tokens_out: tokens_out.unwrap_or(tokens_left),
        estimated: tokens_in.is_none() || tokens_out.is_none(),
    }
}

/// What came of an answer so far.
#[derive(Default)]
struct Heard {
    text: String,
    tokens: u64,
    phase: Phase,
}

#[derive(Default)]
enum Phase {
    /// Asked, and no sign of an answer.
    #[default]
    Silent,
    /// The model's side would not answer.
    TurnedDown,
    Saying,
    Ended {
        tokens_in: u64,
        tokens_out: u64,
    },
}

async fn listen(world: &World, asked: Asked, tokens_left: u64, heard: &mut Heard) -> End {
    let mut generation = match world.client.call(asked).await {
        Ok(generation) => generation,
        Err(fault) => {
            if matches!(fault, Fault::Transient | Fault::Final) {
                heard.phase = Phase::TurnedDown;
            }
            return failed(fault);
        }
    };
    heard.phase = Phase::Saying;
    loop {
        match generation.next().await {
            Ok(Said::Piece { text, tokens }) => {
                heard.tokens += tokens;
                heard.text.push_str(&text);
                if heard.tokens > tokens_left {
                    return End::OutOfTokens;
                }
            }
            Ok(Said::End { tokens_in, tokens_out }) => {
                heard.phase = Phase::Ended { tokens_in, tokens_out };
                return End::Said(json::parse(&heard.text));
            }
            Err(fault) => return failed(fault),
        }
    }
}

fn failed(fault: Fault) -> End {
    End::Failed { message: fault.to_string(), transient: !matches!(fault, Fault::Final) }
}

/// Waits before the model is asked again, within what the task and the run have left (S8).
async fn wait(world: &World, task: &Task, spent: &mut Spent) {
    let began = Instant::now();
    let longest = budget::time_left(task, spent).min(world.time_left());
    tokio::time::sleep(BACKOFF.min(longest)).await;
    spent.time += began.elapsed();
}

/// The failure of a task that has no time for another attempt.
fn out_of_time(world: &World, task: &Task, spent: &Spent) -> Option<Failure> {
    let breach = world
        .late()
        .or_else(|| budget::time_left(task, spent).is_zero().then(|| budget::time_breach(task, spent)))?;
    Some(Failure::breach(task.id.as_str(), breach))
}

/// Tells an operation to stop when nobody waits for it any more (C7.4, S13).
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
