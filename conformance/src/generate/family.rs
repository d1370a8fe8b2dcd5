//! The families of generated cases, each a relation that holds for every graph.

use serde_json::Value;

use super::relations;
use super::world::World;
use crate::judge::Difference;

/// A relation that is looked for on many graphs. In reports a family is a case like any other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) clauses: &'static [&'static str],
    pub(crate) likely_cause: &'static str,
    /// The second graph of the pair, made of the first. `None`: the plain backend runs the first one instead.
    pub(crate) variant: Option<fn(&World) -> World>,
    /// As `variant`, for what changes the document and not the world.
    pub(crate) rewritten: Option<fn(&Value) -> Value>,
    /// Where the views of the pair break the relation.
    pub(crate) broken: fn(&Value, &Value) -> Vec<Difference>,
}

/// Every family.
pub(crate) const FAMILIES: &[Family] = &[
    Family {
        id: "C2.6-generated-graphs-mean-what-they-say",
        title: "On random graphs, scripts and budgets a run means what running one task after the other means",
        clauses: &["C2.6", "C2.1", "C6.1"],
        likely_cause: "something depends on who is done first, or a rule of budgets, retries, conditions or failures \
                       is not the contract's; the graph below is the smallest that shows it",
        variant: None,
        rewritten: None,
        broken: relations::same_meaning,
    },
    Family {
        id: "C6.1-generated-declaration-order-means-nothing",
        title: "The order in which a graph declares its tasks changes nothing",
        clauses: &["C6.1", "C2.1"],
        likely_cause: "tasks run or are reported in the order of the document, and not in canonical order",
        variant: None,
        rewritten: Some(relations::tasks_reversed),
        broken: relations::same_meaning_and_order,
    },
    Family {
        id: "C7.1-generated-smaller-budgets-call-no-more",
        title: "A smaller budget never leads to more calls for a task",
        clauses: &["C7.1", "C2.2"],
        likely_cause: "a budget that is used up is taken for one that was not declared",
        variant: Some(relations::smaller_budgets),
        rewritten: None,
        broken: relations::no_more_calls,
    },
    Family {
        id: "C9.1-generated-strangers-change-nothing",
        title: "A task that nothing depends on, added to a graph, changes no other task's record",
        clauses: &["C9.1", "C2.1"],
        likely_cause: "tasks share something besides their declared dependencies, such as a counter or a cache",
        variant: None,
        rewritten: Some(relations::with_a_stranger),
        broken: relations::others_unchanged,
    },
];
