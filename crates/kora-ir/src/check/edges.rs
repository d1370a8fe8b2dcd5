//! The rules of escalation (S9, decision 0003): a target stands in for one task and for nothing else.

use super::{Checker, NOBODY};
use crate::report::At;
use crate::{EscalationCondition, ViolationCode};

/// The edges whose targets are known.
#[derive(Default)]
pub(super) struct Edges {
    /// From source to target, each pair once, in the order of the document.
    pub(super) arrows: Vec<(u32, u32)>,
    /// The targets of each task that has edges, parallel to them. Ascending by task.
    targets: Vec<(u32, Vec<u32>)>,
}

impl Edges {
    /// The targets of the edges of the task at `place`.
    pub(super) fn targets_of(&self, place: u32) -> &[u32] {
        let found = self.targets.binary_search_by_key(&place, |(source, _)| *source);
        found.map_or(&[], |at| &self.targets[at].1)
    }
}

impl Checker<'_, '_, '_> {
    pub(super) fn escalations(&mut self, root: Option<u32>) -> Edges {
        let draft = self.draft;
        let mut edges = Edges::default();
        if draft.tasks.iter().all(|task| task.escalation.is_empty()) {
            return edges;
        }
        // The task that each target stands in for, and whether every edge to it starts from a success.
        let mut source_of = vec![(NOBODY, true); draft.tasks.len()];
        for (source, task) in (0_u32..).zip(&draft.tasks) {
            if task.escalation.is_empty() {
                continue;
            }
            let mut targets = Vec::with_capacity(task.escalation.len());
            for edge in &task.escalation {
                let at = At::Offset(edge.offset);
                let target = self.by_id.get(&*edge.to).copied().unwrap_or(NOBODY);
                targets.push(target);
                if target == NOBODY {
                    let help = self.nearest_id(&edge.to);
                    let message = format!("the escalation target `{}` is no task of the graph", edge.to);
                    self.report.add(ViolationCode::UnknownEscalationTarget, at, message, help);
                    continue;
                }
                let dormant = |message: String, help: &str| {
                    (ViolationCode::EscalationTargetNotDormant, message, help.to_owned())
                };
                let known = source_of[target as usize].0;
                let fault = if target == source {
                    Some(dormant(
                        format!("`{}` escalates to itself", edge.to),
                        "name another task; retries are declared by `max_retries`",
                    ))
                } else if Some(target) == root {
                    Some(dormant(
                        format!("the root `{}` is an escalation target", edge.to),
                        "make the task that it stands in for the root: who asks for it sees what resolved it",
                    ))
                } else if known != NOBODY && known != source {
                    Some(dormant(
                        format!("`{}` already is the escalation target of another task", edge.to),
                        "declare a target for each task",
                    ))
                } else {
                    None
                };
                if let Some((code, message, help)) = fault {
                    self.report.add(code, at, message, help);
                    continue;
                }
                let from_success = match edge.on {
                    EscalationCondition::ConfidenceBelowThreshold { .. } => true,
                    EscalationCondition::Failure
                    | EscalationCondition::SchemaMismatch
                    | EscalationCondition::BudgetRemaining { .. } => false,
                };
                source_of[target as usize] = (source, source_of[target as usize].1 && from_success);
                if known == NOBODY {
                    edges.arrows.push((source, target));
                }
            }
            edges.targets.push((source, targets));
        }
        self.dormant_dependencies(&source_of);
        edges
    }

    /// No task waits for a target, and a target reads its source only if that then has an output.
    fn dormant_dependencies(&mut self, source_of: &[(u32, bool)]) {
        let draft = self.draft;
        for (place, task) in (0_u32..).zip(&draft.tasks) {
            for (nth, &found) in self.dependencies[super::range(&task.dependencies)].iter().enumerate() {
                if found == NOBODY {
                    continue;
                }
                let at = At::Pointer(format!("/tasks/{place}/dependencies/{nth}"));
                let (stands_in_for, _) = source_of[found as usize];
                let (source, from_success) = source_of[place as usize];
                if stands_in_for != NOBODY {
                    let id = draft.tasks[found as usize].id.as_deref().unwrap_or_default();
                    let source = draft.tasks[stands_in_for as usize].id.as_deref().unwrap_or_default();
                    self.report.add(
                        ViolationCode::EscalationTargetNotDormant,
                        at,
                        format!("`{id}` is an escalation target, and may never run"),
                        format!("depend on `{source}`: its dependents see whichever task resolved it"),
                    );
                } else if source == found && !from_success {
                    self.report.add(
                        ViolationCode::EscalationTargetNotDormant,
                        at,
                        "an escalation target that depends on its source, though an edge to it is taken without an output",
                        String::from("take the dependency away, or leave only edges on `confidence_below_threshold`"),
                    );
                }
            }
        }
    }
}
