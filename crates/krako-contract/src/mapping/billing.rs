//! What of a session is billed: a line for some events, none for the others.

use crate::{
    AttemptEnd, Completion, Ending, Event, Happening, LineItem, LineItemKind, UnitEvent, WorkUnitKind,
};

/// The line of a ledger that an event makes, if any. `kind` is the pool of the event's unit.
///
/// A retried unit is billed once: on `cpu` when it completes, and of a model's attempts the one that brought an output.
/// An operation that failed makes no line, nor does a model that brought none; an output is billed also if the unit then
/// failed for what it cost. Folding a log twice gives every line twice under one `event_id`, which is once.
pub fn line_item(event: &Event, kind: WorkUnitKind) -> Option<LineItem> {
    let unit = match &event.happening {
        Happening::Unit(unit) => unit,
        Happening::Session(_) | Happening::Unknown(_) => return None,
    };
    let line = |kind, units, tokens_in, tokens_out| LineItem {
        event_id: event.event_id.clone(),
        kind,
        execution_session_id: event.execution_session_id.clone(),
        work_unit_id: unit.work_unit_id.clone(),
        units,
        tokens_in,
        tokens_out,
    };
    match &unit.event {
        UnitEvent::Completed(completed) => match (completed.status, kind) {
            (Completion::Success, WorkUnitKind::Cpu) => Some(line(LineItemKind::WorkunitCpu, 1, 0, 0)),
            (Completion::Success, WorkUnitKind::LlmPod) | (Completion::Skipped, _) => None,
        },
        UnitEvent::LlmCompleted(AttemptEnd { ended, tokens_in, tokens_out, .. }) => match ended {
            Ending::Output => Some(line(LineItemKind::LlmTokens, 0, *tokens_in, *tokens_out)),
            Ending::SchemaMismatch
            | Ending::Failed
            | Ending::TimedOut
            | Ending::TokensExhausted
            | Ending::Cancelled => None,
        },
        UnitEvent::Scheduled(_)
        | UnitEvent::Claimed(_)
        | UnitEvent::Started(_)
        | UnitEvent::Validated(_)
        | UnitEvent::Failed(_)
        | UnitEvent::Stopped(_)
        | UnitEvent::LlmStarted(_)
        | UnitEvent::LlmFailed(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::WireLimits;
    use crate::mapping::kind;
    use crate::testing::graph;

    #[test]
    fn the_same_log_twice_is_the_same_ledger() {
        let graph = graph();
        let text = include_str!("../../examples/events.jsonl");
        let mut ledger = BTreeMap::new();
        let mut lines = 0;
        for line in text.lines().chain(text.lines()) {
            let event = Event::read(line.as_bytes(), &WireLimits::default()).unwrap();
            let Happening::Unit(unit) = &event.happening else { continue };
            let index = graph.index_of(unit.work_unit_id.as_str()).unwrap();
            if let Some(item) = line_item(&event, kind(graph.task(index).task_type)) {
                lines += 1;
                ledger.insert(item.event_id.clone(), item);
            }
        }
        assert_eq!(lines, 2 * ledger.len());
        let tokens: u64 = ledger.values().map(|item| item.tokens_out).sum();
        let units: u64 = ledger.values().map(|item| item.units).sum();
        // Two operations, and one model whose first reply broke its schema.
        assert_eq!((ledger.len(), units, tokens), (3, 2, 18));
    }
}
