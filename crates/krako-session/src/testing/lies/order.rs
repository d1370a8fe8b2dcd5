//! Lies about what happened when, to what, and whether it could.

use krako_contract::{
    Claimed, Completed, Completion, GraphId, Happening, ScheduleReason, Scheduled, Sequence, SessionEvent,
    SessionId, SessionStopping, Sha256Text, Skip, Started, Stopping, UnitEvent, WorkUnitId,
};

use crate::testing::lie::Lie;
use crate::testing::story::Story;

pub(super) fn scheduled(reason: ScheduleReason) -> Scheduled {
    Scheduled { reason, because: None, attempt_end: None, waited_us: None, escalated_from: None }
}

fn escalation(from: &str) -> UnitEvent {
    let escalated_from = WorkUnitId::new(from).ok();
    UnitEvent::Scheduled(Scheduled { escalated_from, ..scheduled(ScheduleReason::Escalation) })
}

fn skipped(reason: Skip) -> UnitEvent {
    UnitEvent::Completed(Completed { status: Completion::Skipped, skip_reason: Some(reason) })
}

pub(super) const LIES: &[Lie] = &[
    Lie {
        name: "another graph is run",
        story: Story::Plain,
        found: "place",
        edit: |told| {
            if let SessionEvent::Started(started) = told.session("execution.session.started") {
                let digest = Sha256Text::new(&format!("sha256:{}", "7".repeat(64)));
                started.graph_digest = digest.expect("a digest");
            }
        },
    },
    Lie {
        name: "an event of another session",
        story: Story::Plain,
        found: "place",
        edit: |told| {
            told.events[4].execution_session_id = SessionId::new("ses_other").expect("a wire name");
        },
    },
    Lie {
        name: "an event of another graph",
        story: Story::Plain,
        found: "place",
        edit: |told| told.events[4].graph_id = GraphId::new("other").expect("a wire name"),
    },
    Lie {
        name: "an event is kept back",
        story: Story::Plain,
        found: "place",
        edit: |told| drop(told.events.remove(4)),
    },
    Lie {
        name: "two events change places",
        story: Story::Plain,
        found: "place",
        edit: |told| told.events.swap(4, 5),
    },
    Lie {
        name: "the session begins twice",
        story: Story::Plain,
        found: "place",
        edit: |told| {
            let start = told.events[0].clone();
            told.events.insert(3, start);
            told.renumber();
        },
    },
    Lie {
        name: "the session never begins",
        story: Story::Plain,
        found: "place",
        edit: |told| told.drop("", "execution.session.started"),
    },
    Lie {
        name: "something happens after the end",
        story: Story::Plain,
        found: "place",
        edit: |told| {
            let end = told.events.len();
            told.insert(end, "reply", 0, UnitEvent::Claimed(Claimed::default()));
        },
    },
    Lie {
        name: "more happens than the graph's caps allow",
        story: Story::Plain,
        found: "place",
        edit: |told| {
            for _ in 0..300 {
                told.insert(3, "message", 0, UnitEvent::Claimed(Claimed::default()));
            }
        },
    },
    Lie {
        name: "an event comes again with other content",
        story: Story::Plain,
        found: "repeated",
        edit: |told| {
            let mut again = told.events[6].clone();
            again.timestamp = told.events[20].timestamp.clone();
            told.events.insert(8, again);
        },
    },
    Lie {
        name: "an invented task",
        story: Story::Plain,
        found: "unit",
        edit: |told| told.insert(3, "ghost", 0, UnitEvent::Started(Started {})),
    },
    Lie {
        name: "a model is asked for a deterministic task",
        story: Story::Plain,
        found: "unit",
        edit: |told| told.unit("facts", "workunit.started").event = UnitEvent::LlmStarted(Started {}),
    },
    Lie {
        name: "a retry more than the task declares",
        story: Story::Exhausted,
        found: "unit",
        edit: |told| {
            let place = told.place("message", "workunit.failed");
            told.insert(place, "message", 2, UnitEvent::Started(Started {}));
        },
    },
    Lie {
        name: "an escalation along an edge that nobody declared",
        story: Story::Plain,
        found: "unit",
        edit: |told| {
            let place = told.place("facts", "workunit.scheduled");
            told.insert(place, "facts", 0, escalation("message"));
        },
    },
    Lie {
        name: "an escalation along a declared edge that is not taken",
        story: Story::Plain,
        found: "disagrees",
        edit: |told| {
            let place = told.place("letter", "workunit.completed");
            told.insert(place, "letter", 0, escalation("draft"));
        },
    },
    Lie {
        name: "an escalation that is kept quiet",
        story: Story::Escalated,
        found: "untold",
        edit: |told| told.drop("letter", "workunit.scheduled"),
    },
    Lie {
        name: "a task is skipped that had to run",
        story: Story::Plain,
        found: "disagrees",
        edit: |told| told.unit("facts", "workunit.validated").event = skipped(Skip::Dormant),
    },
    Lie {
        name: "a condition is said to hold that nobody declared",
        story: Story::Plain,
        found: "disagrees",
        edit: |told| told.unit("reply", "workunit.scheduled").event = skipped(Skip::Condition),
    },
    Lie {
        name: "a task runs whose condition says that it need not",
        story: Story::Plain,
        found: "fact",
        edit: |told| {
            told.unit("polish", "workunit.validated").event = UnitEvent::LlmStarted(Started {});
        },
    },
    Lie {
        name: "a model is asked before the deterministic work",
        story: Story::Plain,
        found: "fact",
        edit: |told| {
            let place = told.place("facts", "workunit.scheduled");
            told.insert(place, "draft", 0, UnitEvent::LlmStarted(Started {}));
        },
    },
    Lie {
        name: "a task starts before what it depends on",
        story: Story::Plain,
        found: "fact",
        edit: |told| told.insert(1, "reply", 0, UnitEvent::Started(Started {})),
    },
    Lie {
        name: "a task starts that has settled",
        story: Story::Plain,
        found: "fact",
        edit: |told| {
            let place = told.place("draft", "workunit.scheduled");
            told.insert(place, "facts", 0, UnitEvent::Started(Started {}));
        },
    },
    Lie {
        name: "a task starts that no edge woke",
        story: Story::Plain,
        found: "fact",
        edit: |told| {
            let place = told.place("draft", "workunit.scheduled");
            told.insert(place, "letter", 0, UnitEvent::Started(Started {}));
        },
    },
    Lie {
        name: "an attempt ends that never started",
        story: Story::Plain,
        found: "fact",
        edit: |told| told.drop("draft", "llm.invocation.started"),
    },
    Lie {
        name: "an attempt ends twice",
        story: Story::Escalated,
        found: "fact",
        edit: |told| {
            let place = told.place("draft", "llm.invocation.failed");
            let again = told.unit("draft", "llm.invocation.failed").event.clone();
            told.insert(place, "draft", 0, again);
        },
    },
    Lie {
        name: "a wait ends that never began",
        story: Story::Plain,
        found: "attempt",
        edit: |told| {
            let resumed = Scheduled { waited_us: Some(1), ..scheduled(ScheduleReason::Resumed) };
            told.insert(3, "message", 0, UnitEvent::Scheduled(resumed));
        },
    },
    Lie {
        name: "a first attempt that is called the second",
        story: Story::Plain,
        found: "attempt",
        edit: |told| told.unit("message", "workunit.started").attempt_index = 1,
    },
    Lie {
        name: "an end of another attempt",
        story: Story::Plain,
        found: "attempt",
        edit: |told| told.unit("draft", "llm.invocation.completed").attempt_index = 1,
    },
    Lie {
        name: "a retry starts before its wait is over",
        story: Story::Retried,
        found: "fact",
        edit: |told| {
            let resumed = told.events.iter().position(|event| match &event.happening {
                Happening::Unit(unit) => matches!(
                    &unit.event,
                    UnitEvent::Scheduled(scheduled) if scheduled.reason == ScheduleReason::Resumed
                ),
                Happening::Session(_) | Happening::Unknown(_) => false,
            });
            told.events.remove(resumed.expect("something was tried again"));
            told.renumber();
        },
    },
    Lie {
        name: "the session's time is over before it is",
        story: Story::Late,
        found: "fact",
        edit: |told| {
            if let SessionEvent::Stopping(stopping) = told.session("execution.session.stopping") {
                stopping.elapsed_ms = 5;
            }
        },
    },
    Lie {
        name: "the session is stopped twice",
        story: Story::Cancelled,
        found: "disagrees",
        edit: |told| {
            let place = told.place("", "execution.session.stopping");
            let again = told.events[place].clone();
            told.events.insert(place, again);
            told.renumber();
        },
    },
    Lie {
        name: "a cancellation that is kept quiet",
        story: Story::Cancelled,
        found: "disagrees",
        edit: |told| told.drop("", "execution.session.stopping"),
    },
    Lie {
        name: "the session is cancelled where its time was over",
        story: Story::Late,
        found: "disagrees",
        edit: |told| {
            *told.session("execution.session.stopping") =
                SessionEvent::Stopping(SessionStopping { reason: Stopping::Cancelled, elapsed_ms: 60_000 });
        },
    },
    Lie {
        name: "an attempt is stopped that still counts",
        story: Story::Plain,
        found: "disagrees",
        edit: |told| {
            let UnitEvent::Validated(validated) = told.unit("facts", "workunit.validated").event.clone()
            else {
                return;
            };
            let attempt_end = validated.attempt_end.expect("it ran on cpu");
            told.unit("facts", "workunit.validated").event =
                UnitEvent::Stopped(krako_contract::Stopped { attempt_end });
        },
    },
    Lie {
        name: "a number is said again by the next event",
        story: Story::Plain,
        found: "repeated",
        edit: |told| told.events[5].sequence = Sequence::new(5).expect("a small number"),
    },
];
