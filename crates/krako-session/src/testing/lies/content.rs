//! Lies about what came of an attempt.

use krako_contract::{
    Completed, Completion, Ending, ErrorCategory, Failed, Json, Remark, ScheduleReason, Scheduled, UnitEvent,
    UnitFailure, Validated, Validation, WorkUnitId,
};
use serde_json::json;

use super::order::scheduled;
use crate::testing::lie::Lie;
use crate::testing::story::Story;
use crate::testing::world::Told;

pub(super) fn validated<'t>(told: &'t mut Told, unit: &str) -> &'t mut Validated {
    let UnitEvent::Validated(validated) = &mut told.unit(unit, "workunit.validated").event else {
        unreachable!("its name says so")
    };
    validated
}

pub(super) fn failed<'t>(told: &'t mut Told, unit: &str) -> &'t mut UnitFailure {
    let UnitEvent::Failed(failed) = &mut told.unit(unit, "workunit.failed").event else {
        unreachable!("its name says so")
    };
    &mut failed.failure
}

pub(super) fn failure(unit: &str, error_type: ErrorCategory) -> UnitFailure {
    UnitFailure {
        error_type,
        work_unit_id: WorkUnitId::new(unit).expect("a wire name"),
        message: Remark::new("because we say so"),
        breach: None,
        retries_exhausted: false,
    }
}

const SUCCESS: UnitEvent = UnitEvent::Completed(Completed { status: Completion::Success, skip_reason: None });

pub(super) const LIES: &[Lie] = &[
    Lie {
        name: "an output that the schema refuses",
        story: Story::Plain,
        found: "inadmissible",
        edit: |told| validated(told, "facts").output = Some(Json::new(json!({"by": 7}))),
    },
    Lie {
        name: "a model's output that the schema refuses",
        story: Story::Plain,
        found: "inadmissible",
        edit: |told| validated(told, "draft").output = Some(Json::new(json!("anything"))),
    },
    Lie {
        name: "a field more than the schema has",
        story: Story::Plain,
        found: "inadmissible",
        edit: |told| {
            validated(told, "reply").output =
                Some(Json::new(json!({"by": "reply", "confidence": 1, "x": 1})));
        },
    },
    Lie {
        name: "another output than was made",
        story: Story::Plain,
        found: "end",
        edit: |told| {
            validated(told, "reply").output = Some(Json::new(json!({"by": "mallory", "confidence": 1})));
        },
    },
    Lie {
        name: "an output by which a condition would hold no more",
        story: Story::Plain,
        found: "disagrees",
        edit: |told| {
            validated(told, "message").output = Some(Json::new(json!({"by": "mallory", "confidence": 1})));
        },
    },
    Lie {
        name: "another output than the condition declares",
        story: Story::Plain,
        found: "other_output",
        edit: |told| {
            validated(told, "polish").output = Some(Json::new(json!({"by": "mallory", "confidence": 1})));
        },
    },
    Lie {
        name: "a forged validation of a reply that broke its schema",
        story: Story::Retried,
        found: "contradiction",
        edit: |told| {
            let validated = validated(told, "draft");
            validated.validation_status = Validation::Pass;
            validated.faults.clear();
            validated.output = Some(Json::new(json!({"by": "draft", "confidence": 1})));
        },
    },
    Lie {
        name: "a refusal of an output that was admitted",
        story: Story::Plain,
        found: "contradiction",
        edit: |told| {
            let validated = validated(told, "draft");
            validated.validation_status = Validation::Fail;
            validated.output = None;
        },
    },
    Lie {
        name: "an output of an attempt that timed out",
        story: Story::Plain,
        found: "contradiction",
        edit: |told| {
            if let Some(end) = &mut validated(told, "facts").attempt_end {
                end.ended = Ending::TimedOut;
            }
        },
    },
    Lie {
        name: "an output that no attempt made",
        story: Story::Plain,
        found: "disagrees",
        edit: |told| validated(told, "facts").attempt_end = None,
    },
    Lie {
        name: "an output of an unvalidated attempt",
        story: Story::Plain,
        found: "unvalidated",
        edit: |told| told.drop("draft", "workunit.validated"),
    },
    Lie {
        name: "a reply of which nothing more is said",
        story: Story::Plain,
        found: "unvalidated",
        edit: |told| {
            told.drop("draft", "workunit.validated");
            told.drop("draft", "workunit.completed");
            for unit in ["letter", "polish"] {
                told.drop(unit, "workunit.completed");
            }
            told.drop("polish", "workunit.validated");
            let (from, to) = (told.place("reply", "workunit.scheduled"), told.events.len() - 1);
            told.events.drain(from..to);
            told.renumber();
        },
    },
    Lie {
        name: "a reply that is tried again without a word of its schema",
        story: Story::Retried,
        found: "unvalidated",
        edit: |told| told.drop("draft", "workunit.validated"),
    },
    Lie {
        name: "a completion that is kept quiet",
        story: Story::Plain,
        found: "untold",
        edit: |told| told.drop("facts", "workunit.completed"),
    },
    Lie {
        name: "a failure that is called a completion",
        story: Story::Escalated,
        found: "disagrees",
        edit: |told| told.unit("draft", "workunit.failed").event = SUCCESS,
    },
    Lie {
        name: "a completion that is called a failure",
        story: Story::Plain,
        found: "disagrees",
        edit: |told| {
            let failure = failure("facts", ErrorCategory::ExecutionFailure);
            told.unit("facts", "workunit.completed").event =
                UnitEvent::Failed(Failed { failure, attempt_end: None });
        },
    },
    Lie {
        name: "a completion out of nothing",
        story: Story::Plain,
        found: "disagrees",
        edit: |told| told.insert(2, "facts", 0, SUCCESS),
    },
    Lie {
        name: "a failure of another kind",
        story: Story::Escalated,
        found: "disagrees",
        edit: |told| failed(told, "draft").error_type = ErrorCategory::Timeout,
    },
    Lie {
        name: "a failure of another unit",
        story: Story::Escalated,
        found: "unit",
        edit: |told| {
            failed(told, "draft").work_unit_id = WorkUnitId::new("facts").expect("a wire name");
        },
    },
    Lie {
        name: "retries are said to be left that were used up",
        story: Story::Exhausted,
        found: "disagrees",
        edit: |told| failed(told, "message").retries_exhausted = false,
    },
    Lie {
        name: "a failure for good that is tried again",
        story: Story::Escalated,
        found: "disagrees",
        edit: |told| {
            let because = Some(failure("draft", ErrorCategory::ExecutionFailure));
            let retry = Scheduled { because, ..scheduled(ScheduleReason::Retry) };
            let unit = told.unit("draft", "workunit.failed");
            (unit.attempt_index, unit.event) = (1, UnitEvent::Scheduled(retry));
        },
    },
    Lie {
        name: "a failure that had a retry and did not get it",
        story: Story::Exhausted,
        found: "disagrees",
        edit: |told| {
            let retry = told.events.iter().position(|event| match &event.happening {
                krako_contract::Happening::Unit(unit) => unit.attempt_index == 1,
                krako_contract::Happening::Session(_) | krako_contract::Happening::Unknown(_) => false,
            });
            let retry = retry.expect("it is tried again");
            if let krako_contract::Happening::Unit(unit) = &mut told.events[retry].happening
                && let UnitEvent::Scheduled(scheduled) = unit.event.clone()
            {
                let failure = failure("message", ErrorCategory::ExecutionFailure);
                unit.attempt_index = 0;
                unit.event = UnitEvent::Failed(Failed { failure, attempt_end: scheduled.attempt_end });
            }
        },
    },
    Lie {
        name: "what was completed is tried again",
        story: Story::Plain,
        found: "disagrees",
        edit: |told| {
            let because = Some(failure("facts", ErrorCategory::ExecutionFailure));
            let retry = Scheduled { because, ..scheduled(ScheduleReason::Retry) };
            let unit = told.unit("facts", "workunit.completed");
            (unit.attempt_index, unit.event) = (1, UnitEvent::Scheduled(retry));
        },
    },
];
