//! Lies about how a session ended.

use krako_contract::{ErrorCategory, Happening, SessionEnded, SessionEvent, Sha256Text, StopReason};

use super::content::failure;
use crate::testing::lie::Lie;
use crate::testing::story::Story;
use crate::testing::world::Told;

fn ended(told: &mut Told) -> SessionEnded {
    let last = &told.events.last().expect("it ended").happening;
    let Happening::Session(SessionEvent::Completed(ended) | SessionEvent::Failed(ended)) = last else {
        unreachable!("a story ends with its end");
    };
    ended.clone()
}

fn end(told: &mut Told, end: SessionEvent) {
    told.events.last_mut().expect("it ended").happening = Happening::Session(end);
}

pub(super) const LIES: &[Lie] = &[
    Lie {
        name: "an end as soon as it began",
        story: Story::Plain,
        found: "ends_early",
        edit: |told| {
            let end = told.events.len() - 1;
            told.events.drain(1..end);
            told.renumber();
        },
    },
    Lie {
        name: "an end without the root",
        story: Story::Plain,
        found: "ends_early",
        edit: |told| {
            let (from, to) = (told.place("reply", "workunit.scheduled"), told.events.len() - 1);
            told.events.drain(from..to);
            told.renumber();
        },
    },
    Lie {
        name: "an end with an attempt under way",
        story: Story::Plain,
        found: "ends_early",
        edit: |told| {
            told.drop("reply", "workunit.validated");
            told.drop("reply", "workunit.completed");
        },
    },
    Lie {
        name: "success though the root failed",
        story: Story::Exhausted,
        found: "end",
        edit: |told| {
            let stop_reason = Some(StopReason::Success);
            let said = SessionEnded { stop_reason, failure: None, ..ended(told) };
            end(told, SessionEvent::Completed(said));
        },
    },
    Lie {
        name: "a failure though everything succeeded",
        story: Story::Plain,
        found: "end",
        edit: |told| {
            let stop_reason = Some(StopReason::SubstrateFailure);
            let failure = Some(failure("reply", ErrorCategory::ExecutionFailure));
            let said = SessionEnded { stop_reason, failure, ..ended(told) };
            end(told, SessionEvent::Failed(said));
        },
    },
    Lie {
        name: "a false stop reason",
        story: Story::Exhausted,
        found: "end",
        edit: |told| {
            let said = SessionEnded { stop_reason: Some(StopReason::SubstrateFailure), ..ended(told) };
            end(told, SessionEvent::Failed(said));
        },
    },
    Lie {
        name: "another root cause",
        story: Story::Exhausted,
        found: "end",
        edit: |told| {
            let mut said = ended(told);
            let mut other = failure("facts", ErrorCategory::ExecutionFailure);
            other.retries_exhausted = true;
            said.failure = Some(other);
            end(told, SessionEvent::Failed(said));
        },
    },
    Lie {
        name: "a failure that is called a cancellation",
        story: Story::Exhausted,
        found: "end",
        edit: |told| {
            let said = SessionEnded { stop_reason: None, failure: None, ..ended(told) };
            end(told, SessionEvent::Failed(said));
        },
    },
    Lie {
        name: "a cancellation that is called a success",
        story: Story::Cancelled,
        found: "end",
        edit: |told| {
            let said = SessionEnded { stop_reason: Some(StopReason::Success), ..ended(told) };
            end(told, SessionEvent::Completed(said));
        },
    },
    Lie {
        name: "a false digest",
        story: Story::Plain,
        found: "end",
        edit: |told| {
            let digest = Sha256Text::new(&format!("sha256:{}", "0".repeat(64)));
            let said = SessionEnded { semantic_digest: digest.expect("a digest"), ..ended(told) };
            end(told, SessionEvent::Completed(said));
        },
    },
    Lie {
        name: "an end before it was stopped",
        story: Story::Late,
        found: "end",
        edit: |told| {
            let said = SessionEnded { session_latency_ms: 59_999, ..ended(told) };
            end(told, SessionEvent::Failed(said));
        },
    },
    Lie {
        name: "a session that is said to have ended, and no event of it",
        story: Story::Plain,
        found: "no_end",
        edit: |told| {
            told.events.pop();
            told.renumber();
        },
    },
];
