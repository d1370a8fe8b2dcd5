//! Lies about what something cost, and what it might have.

use krako_contract::{AttemptEnd, BreachDetail, Cap, Ending, UnitEvent};

use super::content::{failed, validated};
use crate::testing::lie::Lie;
use crate::testing::story::Story;
use crate::testing::world::Told;

fn reply<'t>(told: &'t mut Told, unit: &str) -> &'t mut AttemptEnd {
    let UnitEvent::LlmCompleted(end) = &mut told.unit(unit, "llm.invocation.completed").event else {
        unreachable!("its name says so")
    };
    end
}

fn breach(told: &mut Told, unit: &str) -> BreachDetail {
    failed(told, unit).breach.expect("it cost too much")
}

pub(super) const LIES: &[Lie] = &[
    Lie {
        name: "tokens beyond the cap, and an output all the same",
        story: Story::Plain,
        found: "disagrees",
        edit: |told| reply(told, "draft").tokens_out = 65,
    },
    Lie {
        name: "time beyond the cap, and an output all the same",
        story: Story::Plain,
        found: "disagrees",
        edit: |told| {
            if let Some(end) = &mut validated(told, "facts").attempt_end {
                end.elapsed_us = 1_000_001;
            }
        },
    },
    Lie {
        name: "a model's time beyond the cap, and an output all the same",
        story: Story::Plain,
        found: "disagrees",
        edit: |told| reply(told, "draft").elapsed_us = 5_000_001,
    },
    Lie {
        name: "more tokens than there are",
        story: Story::Plain,
        found: "disagrees",
        edit: |told| reply(told, "draft").tokens_out = u64::MAX,
    },
    Lie {
        name: "tokens of a task that asks no model",
        story: Story::Plain,
        found: "unit",
        edit: |told| {
            if let Some(end) = &mut validated(told, "facts").attempt_end {
                end.tokens_out = 1;
            }
        },
    },
    Lie {
        name: "a raised cap",
        story: Story::Overspent,
        found: "disagrees",
        edit: |told| {
            let breach = breach(told, "message");
            failed(told, "message").breach = Some(BreachDetail { declared: breach.declared * 2, ..breach });
        },
    },
    Lie {
        name: "a breach that is made smaller than it was",
        story: Story::Overspent,
        found: "disagrees",
        edit: |told| {
            let breach = breach(told, "message");
            failed(told, "message").breach = Some(BreachDetail { used: breach.declared, ..breach });
        },
    },
    Lie {
        name: "a breach of another cap",
        story: Story::Overspent,
        found: "disagrees",
        edit: |told| {
            let breach = breach(told, "message");
            failed(told, "message").breach = Some(BreachDetail { cap: Cap::GraphLatency, ..breach });
        },
    },
    Lie {
        name: "a breach without its cap",
        story: Story::Overspent,
        found: "unvalidated",
        edit: |told| failed(told, "message").breach = None,
    },
    Lie {
        name: "a breach by an attempt that kept within its caps",
        story: Story::Overspent,
        found: "disagrees",
        edit: |told| {
            if let UnitEvent::Failed(failed) = &mut told.unit("message", "workunit.failed").event
                && let Some(end) = &mut failed.attempt_end
            {
                end.elapsed_us = 1;
            }
        },
    },
    Lie {
        name: "a timeout that is called cheap",
        story: Story::Overspent,
        found: "disagrees",
        edit: |told| {
            if let UnitEvent::Failed(failed) = &mut told.unit("message", "workunit.failed").event
                && let Some(end) = &mut failed.attempt_end
            {
                (end.ended, end.elapsed_us) = (Ending::TimedOut, 1);
            }
        },
    },
    Lie {
        name: "fewer tokens in an event than in the report",
        story: Story::Plain,
        found: "report",
        edit: |told| reply(told, "draft").tokens_out -= 1,
    },
    Lie {
        name: "less time in an event than in the report",
        story: Story::Plain,
        found: "report",
        edit: |told| reply(told, "draft").elapsed_us = 0,
    },
];
