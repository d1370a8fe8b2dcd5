//! Which fact an event tells, if any (decision 0020).

use engine::{AttemptOutcome, AttemptReport, Fact, FactRefused, Usage};
use kora_ir::{SchemaMismatch, TaskIndex};
use krako_contract::{
    AttemptEnd, Ending, Event, ScheduleReason, SessionEnded, UnitEvent, UnitFailure, UnitHappening,
    Validated, Validation, mapping,
};

use super::Replay;
use crate::ending::Ended;
use crate::found::Found;

impl Replay {
    /// Whether an event is of the attempt that its unit is at.
    pub(super) fn is_at(&self, event: &Event, task: TaskIndex, unit: &UnitHappening) -> Result<(), Found> {
        let at = self.attempts[task.as_usize()];
        let own = match &unit.event {
            // Placement, and the start itself.
            UnitEvent::Claimed(_) | UnitEvent::Started(_) | UnitEvent::LlmStarted(_) => return Ok(()),
            UnitEvent::Scheduled(scheduled) => match scheduled.reason {
                ScheduleReason::Ready | ScheduleReason::Escalation => 0,
                ScheduleReason::Retry | ScheduleReason::Resumed => at.map_or(0, |at| at.saturating_add(1)),
            },
            UnitEvent::Validated(_)
            | UnitEvent::Completed(_)
            | UnitEvent::Failed(_)
            | UnitEvent::Stopped(_)
            | UnitEvent::LlmCompleted(_)
            | UnitEvent::LlmFailed(_) => at.unwrap_or(0),
        };
        if unit.attempt_index == own {
            Ok(())
        } else {
            Err(self.other_attempt(event, task, unit.attempt_index, own))
        }
    }

    /// The fact that an event tells. An attempt is reported once its outcome is known: at its end, or where its schema's
    /// word on it is told.
    pub(super) fn fact(
        &mut self,
        event: &Event,
        task: TaskIndex,
        unit: &UnitHappening,
    ) -> Result<Option<Fact>, Found> {
        let is_model = self.graph.task(task).task_type.is_model();
        let attempt = unit.attempt_index;
        Ok(match &unit.event {
            UnitEvent::Claimed(_) => None,
            UnitEvent::Started(_) => (!is_model).then_some(Fact::Started { task }),
            UnitEvent::LlmStarted(_) => Some(Fact::Started { task }),
            UnitEvent::Scheduled(scheduled) => match scheduled.reason {
                ScheduleReason::Ready | ScheduleReason::Escalation => None,
                ScheduleReason::Resumed => {
                    Some(Fact::Resumed { task, waited_us: scheduled.waited_us.unwrap_or(0) })
                }
                ScheduleReason::Retry => {
                    // The attempt before the one that is told of.
                    let attempt = attempt.saturating_sub(1);
                    let reply = self.reply(task, attempt, scheduled.attempt_end.as_ref());
                    reply.map(|(attempt, end)| self.without_word(event, task, attempt, &end)).transpose()?
                }
            },
            UnitEvent::LlmFailed(end) => Some(as_ended(task, attempt, end)),
            UnitEvent::LlmCompleted(end) => {
                if self.replies.contains_key(&task) || !self.open.contains_key(&task) {
                    let refused = FactRefused::NotRunning { task: self.name(task) };
                    let (sequence, name) = (event.sequence.number(), event.name().to_owned());
                    return Err(Found::Fact { sequence, name, refused });
                }
                if self.unwanted.contains(&task) {
                    // Of a unit that does not count any more nobody asks what it answered.
                    Some(uncounted(task, attempt, end))
                } else {
                    self.replies.insert(task, (attempt, end.clone()));
                    None
                }
            }
            UnitEvent::Validated(validated) => {
                let reply = self.reply(task, attempt, validated.attempt_end.as_ref());
                reply
                    .map(|(attempt, end)| self.validated(event, task, attempt, &end, validated))
                    .transpose()?
            }
            UnitEvent::Failed(failed) => {
                let reply = self.reply(task, attempt, failed.attempt_end.as_ref());
                match reply {
                    // It cost too much to be looked at: the run says so too, by what it cost, or this is a lie.
                    Some((attempt, end))
                        if end.ended == Ending::Output && failed.failure.breach.is_some() =>
                    {
                        Some(uncounted(task, attempt, &end))
                    }
                    Some((attempt, end)) => Some(self.without_word(event, task, attempt, &end)?),
                    None => None,
                }
            }
            UnitEvent::Stopped(stopped) if self.unwanted.contains(&task) => {
                Some(uncounted(task, attempt, &stopped.attempt_end))
            }
            UnitEvent::Stopped(_) => {
                let told = format!("an attempt of `{}` was stopped", self.name(task));
                let own = String::from("none of its attempts had ceased to count");
                return Err(self.disagrees(event, told, Some(own)));
            }
            UnitEvent::Completed(_) => {
                if self.replies.contains_key(&task) {
                    return Err(self.unvalidated(event, task));
                }
                None
            }
        })
    }

    /// The end of an attempt whose outcome is told now: with the event, on `cpu`, or before it.
    fn reply(
        &mut self,
        task: TaskIndex,
        attempt: u32,
        own: Option<&AttemptEnd>,
    ) -> Option<(u32, AttemptEnd)> {
        own.map(|end| (attempt, end.clone())).or_else(|| self.replies.remove(&task))
    }

    /// An attempt of which no schema has said anything, so it must have ended without a reply.
    fn without_word(
        &self,
        event: &Event,
        task: TaskIndex,
        attempt: u32,
        end: &AttemptEnd,
    ) -> Result<Fact, Found> {
        if mapping::is_reply(end.ended) {
            Err(self.unvalidated(event, task))
        } else {
            Ok(as_ended(task, attempt, end))
        }
    }

    /// An attempt of which the schema has said something. The only way to an output is through the schema, here as there
    /// (I2).
    fn validated(
        &self,
        event: &Event,
        task: TaskIndex,
        attempt: u32,
        end: &AttemptEnd,
        validated: &Validated,
    ) -> Result<Fact, Found> {
        let sequence = event.sequence.number();
        let contradiction =
            |told| Found::Contradiction { sequence, unit: self.name(task), told, ended: end.ended.as_str() };
        let outcome = match (validated.validation_status, &validated.output) {
            (Validation::Pass, Some(output)) => {
                if end.ended != Ending::Output {
                    return Err(contradiction("an output passed the schema"));
                }
                let admitted = self.graph.task(task).schema.admit(output.value().clone());
                AttemptOutcome::Output(admitted.map_err(|mismatch| Found::Inadmissible {
                    sequence,
                    unit: self.name(task),
                    faults: mismatch.to_string(),
                })?)
            }
            (Validation::Pass | Validation::Fail | Validation::Skipped, _) => {
                if end.ended != Ending::SchemaMismatch {
                    return Err(contradiction("an output broke the schema"));
                }
                let faults = validated.faults.iter().map(|fault| fault.as_str().to_owned());
                AttemptOutcome::SchemaMismatch(SchemaMismatch { faults: faults.collect() })
            }
        };
        Ok(report(task, attempt, end, outcome))
    }

    fn unvalidated(&self, event: &Event, task: TaskIndex) -> Found {
        Found::Unvalidated { sequence: event.sequence.number(), unit: self.name(task) }
    }
}

fn report(task: TaskIndex, attempt: u32, end: &AttemptEnd, outcome: AttemptOutcome) -> Fact {
    let usage =
        Usage { tokens_in: end.tokens_in, tokens_out: end.tokens_out, estimated: end.tokens_estimated };
    Fact::Attempt(AttemptReport { task, attempt, elapsed_us: end.elapsed_us, usage, outcome })
}

/// An attempt of which nothing counts but what it spent.
pub(super) fn uncounted(task: TaskIndex, attempt: u32, end: &AttemptEnd) -> Fact {
    report(task, attempt, end, AttemptOutcome::Cancelled)
}

fn as_ended(task: TaskIndex, attempt: u32, end: &AttemptEnd) -> Fact {
    let outcome = match end.ended {
        Ending::TimedOut => AttemptOutcome::TimedOut,
        Ending::TokensExhausted => AttemptOutcome::TokensExhausted,
        Ending::Failed => AttemptOutcome::Failed {
            message: end.message.as_ref().map(|text| text.as_str().to_owned()).unwrap_or_default(),
            transient: end.transient,
        },
        Ending::Cancelled | Ending::Output | Ending::SchemaMismatch => AttemptOutcome::Cancelled,
    };
    report(task, attempt, end, outcome)
}

/// A field, as told and as it is.
pub(super) type Differs = (&'static str, String, String);

/// Holds what the end says against what the events come to.
pub(super) fn same_end(event: &Event, told: &SessionEnded, ended: &Ended) -> Result<(), Differs> {
    let own = &ended.said;
    let (name, own_name) = (event.name(), ended.event().kind().as_str());
    let reason = |ended: &SessionEnded| match ended.stop_reason {
        Some(reason) => format!("`{}`", reason.as_str()),
        None => String::from("absent"),
    };
    if told.stop_reason != own.stop_reason {
        return Err(("stop_reason", reason(told), reason(own)));
    }
    if !same_unit_failure(told.failure.as_ref(), own.failure.as_ref()) {
        let says = |failure: Option<&UnitFailure>| failure.map_or(String::from("none"), unit_failure);
        return Err(("failure", says(told.failure.as_ref()), says(own.failure.as_ref())));
    }
    if name != own_name {
        return Err(("type", format!("`{name}`"), format!("`{own_name}`")));
    }
    if told.session_latency_ms != own.session_latency_ms {
        let (told, own) = (told.session_latency_ms, own.session_latency_ms);
        return Err(("session_latency_ms", told.to_string(), format!("{own} at least")));
    }
    if told.semantic_digest != own.semantic_digest {
        let says = |ended: &SessionEnded| ended.semantic_digest.to_string();
        return Err(("semantic_digest", says(told), says(own)));
    }
    Ok(())
}

/// Whether two failures say the same but for their words.
pub(crate) fn same_unit_failure(told: Option<&UnitFailure>, own: Option<&UnitFailure>) -> bool {
    let decides = |failure: &UnitFailure| {
        (failure.error_type, failure.work_unit_id.clone(), failure.breach, failure.retries_exhausted)
    };
    told.map(decides) == own.map(decides)
}

/// A failure in words, without its message.
pub(crate) fn unit_failure(failure: &UnitFailure) -> String {
    let breach = failure
        .breach
        .map(|breach| format!(" ({} of {} of {})", breach.used, breach.declared, breach.cap.as_str()));
    let exhausted = if failure.retries_exhausted { ", its retries used up" } else { "" };
    format!(
        "{} of `{}`{}{exhausted}",
        failure.error_type.as_str(),
        failure.work_unit_id,
        breach.unwrap_or_default()
    )
}
