//! One attempt of a model task.

use std::time::Duration;

use kora_ir::{Message, Task};
use tokio::time::Instant;

use super::{Attempt, End};
use crate::model::{Asked, Fault, MODELS, Said, SuiteModel};
use crate::own::world::World;
use crate::own::{Defect, Quirk, readings};

/// What to ask.
pub(super) struct Ask<'a> {
    pub(super) model: &'a SuiteModel,
    pub(super) messages: &'a [Message<String>],
    /// How often it was asked before.
    pub(super) attempts: u32,
    pub(super) declared: &'a Task,
    pub(super) tokens_left: u64,
    pub(super) time_left: Duration,
}

/// Asks the model once, and hangs up at the first token beyond the cap (C7.2).
pub(super) async fn ask(world: &World, ask: &Ask<'_>, leftover: &mut String) -> Attempt {
    let mut contents: Vec<&str> = ask.messages.iter().map(|message| message.content.as_str()).collect();
    if world.has(Defect::DropsFirstMessages) {
        contents.drain(..contents.len().saturating_sub(1));
    }
    let asked = Asked {
        model: model(world, ask).id.to_owned(),
        max_tokens: told(world, ask),
        prompt: contents.join("\n\n"),
    };
    let began = Instant::now();
    let half = if world.has(Defect::HalfTheTime) { ask.time_left / 2 } else { ask.time_left };
    if world.has(Defect::AsksTwice) {
        let mut first = Heard::default();
        drop(tokio::time::timeout(half, listen(world, asked.clone(), ask.tokens_left, &mut first)).await);
    }
    let mut heard = Heard::default();
    if world.has(Defect::KeepsBrokenReplies) {
        heard.text = std::mem::take(leftover);
    }
    let listened = tokio::time::timeout(half, listen(world, asked, ask.tokens_left, &mut heard)).await;
    let end = listened.unwrap_or(End::OutOfTime);
    // What nobody counted is settled as the most that it can have been (decision 0011).
    let prompt_bytes = contents.iter().map(|content| content.len() as u64).sum();
    let (tokens_in, tokens_out) = match heard.phase {
        Phase::Silent => (None, None),
        Phase::TurnedDown => (Some(0), Some(0)),
        Phase::Saying => (None, Some(heard.tokens)),
        Phase::Ended { tokens_in, tokens_out } => (Some(tokens_in), Some(tokens_out.max(heard.tokens))),
    };
    if matches!(end, End::Failed { .. }) {
        *leftover = heard.text;
    }
    Attempt {
        end,
        elapsed: began.elapsed(),
        tokens_in: tokens_in.unwrap_or(prompt_bytes),
        tokens_out: tokens_out.unwrap_or(ask.tokens_left.min(ask.declared.budget.max_tokens())),
        estimated: tokens_in.is_none() || tokens_out.is_none(),
    }
}

/// The model that is asked: the declared one.
fn model<'a>(world: &World, ask: &Ask<'a>) -> &'a SuiteModel {
    let larger = world.has(Defect::LargerAfterFailures) && ask.attempts > 0;
    if larger || world.has(Defect::TakesTheLargeModel) { &MODELS[1] } else { ask.model }
}

/// The cap that the model is told: what is left.
fn told(world: &World, ask: &Ask<'_>) -> Option<u64> {
    let declared = ask.declared.budget.max_tokens();
    if world.is(Quirk::TellsNoCap) {
        None
    } else if world.has(Defect::TellsTheWholeCapAgain) {
        Some(declared)
    } else {
        Some(ask.tokens_left.min(declared))
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
    let most = if world.has(Defect::LetsOneTokenPass) { tokens_left + 1 } else { tokens_left };
    loop {
        match generation.next().await {
            Ok(Said::Piece { text, tokens }) => {
                if !world.has(Defect::BelievesTheUsage) {
                    heard.tokens += tokens;
                }
                if heard.tokens > most && world.has(Defect::CutsSilentlyAtTheCap) {
                    heard.tokens = most;
                    return said(world, heard);
                }
                heard.text.push_str(&text);
                if heard.tokens > most && !world.has(Defect::CountsAfterwards) {
                    return End::OutOfTokens;
                }
            }
            Ok(Said::End { tokens_in, tokens_out }) => {
                heard.phase = Phase::Ended { tokens_in, tokens_out };
                return said(world, heard);
            }
            Err(fault) => return failed(fault),
        }
    }
}

fn said(world: &World, heard: &Heard) -> End {
    End::Said { text: heard.text.clone(), value: readings::read(world.does, &heard.text) }
}

fn failed(fault: Fault) -> End {
    End::Failed { message: fault.to_string(), transient: !matches!(fault, Fault::Final) }
}
