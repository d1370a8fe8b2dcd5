//! The rules between the parts of a graph: every violation at once, or a graph in canonical order.

mod edges;
mod sure;
mod tasks;

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::graph::Parts;
use crate::order::{OrderInput, canonical_order};
use crate::read::{GraphDraft, ReferenceDraft, TaskDraft};
use crate::report::{At, Report};
use crate::{Limits, TaskIndex, TaskNames, TaskType, ViolationCode, suggest};

/// No task: an id that was reported, or one that no task has.
const NOBODY: u32 = u32::MAX;
/// Tasks that the message about a cycle names.
const MAX_NAMED: usize = 12;

/// What the rules look at.
struct Checker<'d, 's, 'r> {
    draft: &'d GraphDraft<'s>,
    references: &'d [ReferenceDraft<'s>],
    report: &'r mut Report,
    /// The first task of each id.
    by_id: HashMap<&'d str, u32>,
    /// Parallel to the draft's dependencies.
    dependencies: Vec<u32>,
    /// Parallel to the references.
    referenced: Vec<u32>,
}

/// Checks the rules and builds the graph. `None` if the report now holds why not.
pub(crate) fn check(
    draft: GraphDraft<'_>,
    references: &[ReferenceDraft<'_>],
    limits: &Limits,
    report: &mut Report,
) -> Option<Parts> {
    report.next_phase();
    let by_id = HashMap::with_capacity(draft.tasks.len());
    let mut checker = Checker {
        draft: &draft,
        references,
        report,
        by_id,
        dependencies: Vec::new(),
        referenced: Vec::new(),
    };
    checker.ids();
    let root = checker.root();
    checker.upstream();
    checker.tasks();
    let edges = checker.escalations(root);
    let order = checker.order(&edges.arrows);
    // What is not taken out is done, and makes room.
    let (dependencies, referenced) = (checker.dependencies, checker.referenced);
    drop(checker.by_id);
    let (root, order) = root.zip(order).filter(|_| report.is_clean())?;
    build(draft, root, &order, &dependencies, &referenced, &edges, limits)
}

impl<'d> Checker<'d, '_, '_> {
    fn ids(&mut self) {
        for (place, task) in (0..).zip(&self.draft.tasks) {
            let Some(id) = task.id.as_deref() else { continue };
            match self.by_id.entry(id) {
                std::collections::hash_map::Entry::Vacant(entry) => {
                    entry.insert(place);
                }
                std::collections::hash_map::Entry::Occupied(entry) => self.report.add_related(
                    ViolationCode::DuplicateId,
                    At::Pointer(format!("/tasks/{place}/id")),
                    format!("a second task with the id `{id}`"),
                    String::from("give each task an id of its own"),
                    vec![At::Pointer(format!("/tasks/{}/id", entry.get()))],
                ),
            }
        }
    }

    fn root(&mut self) -> Option<u32> {
        let root = self.draft.root.as_deref()?;
        let found = self.by_id.get(root).copied();
        if found.is_none() && !self.draft.tasks.is_empty() {
            let help = self.nearest_id(root);
            self.report.add(
                ViolationCode::UnknownRoot,
                At::Pointer(String::from("/root")),
                format!("the root `{root}` is no task of the graph"),
                help,
            );
        }
        found
    }

    /// Dependencies, and the references that only they allow.
    fn upstream(&mut self) {
        let draft = self.draft;
        // The last task that declared each task, so that repeats and undeclared references show without a search.
        let mut declared_by = vec![NOBODY; draft.tasks.len()];
        self.dependencies.reserve(draft.dependencies.len());
        self.referenced.reserve(self.references.len());
        for (place, task) in (0_u32..).zip(&draft.tasks) {
            let mut unknown = HashSet::new();
            for (nth, id) in draft.dependencies[range(&task.dependencies)].iter().enumerate() {
                let found = self.by_id.get(&**id).copied().unwrap_or(NOBODY);
                self.dependencies.push(found);
                let at = || At::Pointer(format!("/tasks/{place}/dependencies/{nth}"));
                if found == NOBODY {
                    unknown.insert(&**id);
                    if !id.is_empty() {
                        let help = self.nearest_id(id);
                        let message = format!("`{id}` is no task of the graph");
                        self.report.add(ViolationCode::UnknownDependency, at(), message, help);
                    }
                } else if declared_by[found as usize] == place {
                    self.report.add(
                        ViolationCode::DuplicateDependency,
                        at(),
                        format!("`{id}` is declared twice"),
                        String::from("declare each dependency once"),
                    );
                } else {
                    declared_by[found as usize] = place;
                }
            }
            for reference in &self.references[range(&task.references)] {
                let found = self.by_id.get(&*reference.from).copied().unwrap_or(NOBODY);
                self.referenced.push(found);
                // What is declared and no task was reported as a dependency.
                let undeclared = match found {
                    NOBODY => !unknown.contains(&*reference.from),
                    found => declared_by[found as usize] != place,
                };
                if undeclared {
                    let from = &reference.from;
                    let declared = draft.dependencies[range(&task.dependencies)].iter().map(|id| &**id);
                    let help = if found == place {
                        String::from("a task cannot see its own output")
                    } else if found != NOBODY {
                        format!("add `{from}` to `dependencies`")
                    } else if self.report.is_full() {
                        String::new()
                    } else {
                        suggest::nearest(from, declared).map_or_else(
                            || String::from("no task of the graph has this id"),
                            |near| format!("did you mean `{near}`?"),
                        )
                    };
                    self.report.add(
                        ViolationCode::UndeclaredReference,
                        At::Offset(reference.offset),
                        format!("`{from}` is not a declared dependency of this task"),
                        help,
                    );
                }
            }
        }
    }

    fn order(&mut self, escalations: &[(u32, u32)]) -> Option<Vec<u32>> {
        let draft = self.draft;
        let ids: Vec<&str> = draft.tasks.iter().map(|task| task.id.as_deref().unwrap_or_default()).collect();
        let is_model: Vec<bool> =
            draft.tasks.iter().map(|task| task.task_type.is_some_and(TaskType::is_model)).collect();
        // Unknown dependencies were reported; the others may still form a cycle.
        let mut known = Vec::with_capacity(self.dependencies.len());
        let mut starts = Vec::with_capacity(ids.len() + 1);
        for task in &draft.tasks {
            starts.push(known.len());
            known.extend(
                self.dependencies[range(&task.dependencies)].iter().copied().filter(|&found| found != NOBODY),
            );
        }
        starts.push(known.len());
        let input =
            OrderInput { ids: &ids, is_model: &is_model, dependencies: &known, starts: &starts, escalations };
        match canonical_order(&input) {
            Ok(order) => Some(order),
            Err(cycles) => {
                for path in cycles {
                    self.cycle(&path, &ids);
                }
                None
            }
        }
    }

    fn cycle(&mut self, path: &[u32], ids: &[&str]) {
        let Some(&first) = path.first() else { return };
        let mut names: Vec<String> =
            path.iter().take(MAX_NAMED).map(|&place| format!("`{}`", ids[place as usize])).collect();
        if path.len() > MAX_NAMED {
            names.push(format!("({} more)", path.len() - MAX_NAMED));
        }
        names.push(format!("`{}`", ids[first as usize]));
        let place_of = |place: u32| At::Pointer(format!("/tasks/{place}/dependencies"));
        self.report.add_related(
            ViolationCode::Cycle,
            place_of(first),
            if path.len() == 1 {
                format!("`{}` waits for itself", ids[first as usize])
            } else {
                format!("these tasks wait for each other: {}", names.join(" → "))
            },
            String::from("take one of the dependencies away"),
            path[1..].iter().take(MAX_NAMED - 1).map(|&place| place_of(place)).collect(),
        );
    }

    fn nearest_id(&self, id: &str) -> Option<String> {
        if self.report.is_full() {
            return None;
        }
        let ids = self.draft.tasks.iter().filter_map(|task| task.id.as_deref());
        suggest::nearest(id, ids).map(|near| format!("did you mean `{near}`?"))
    }
}

/// Of a list that the document makes, which is shorter than 2^32.
fn range(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// Puts checked parts together, in canonical order.
fn build(
    draft: GraphDraft<'_>,
    root: u32,
    order: &[u32],
    dependencies: &[u32],
    referenced: &[u32],
    edges: &edges::Edges,
    limits: &Limits,
) -> Option<Parts> {
    let mut rank = vec![TaskIndex(0); order.len()];
    for (index, &place) in (0..).zip(order) {
        rank[place as usize] = TaskIndex(index);
    }
    let rank_of = |place: u32| rank.get(place as usize).copied().unwrap_or(TaskIndex(0));
    let mut resolves = vec![None; if edges.arrows.is_empty() { 0 } else { order.len() }];
    for &(source, target) in &edges.arrows {
        resolves[target as usize] = Some(rank_of(source));
    }
    let name_at = |&place: &u32| {
        let task = &draft.tasks[place as usize];
        // A task that lacks one was reported.
        (task.id.as_deref().unwrap_or_default(), task.task_type.unwrap_or(TaskType::Deterministic))
    };
    let names = TaskNames::new(order.iter().map(name_at));
    let mut drafts: Vec<Option<TaskDraft<'_>>> = draft.tasks.into_iter().map(Some).collect();
    let mut tasks = Vec::with_capacity(order.len());
    for (&place, index) in order.iter().zip(names.indices()) {
        let task = drafts[place as usize].take()?;
        let finish = tasks::Finish {
            rank_of: &rank_of,
            dependencies: &dependencies[range(&task.dependencies)],
            referenced,
            resolves: resolves.get(place as usize).copied().flatten(),
            default_budget: draft.default_budget,
            limits,
            targets: edges.targets_of(place),
        };
        tasks.push(finish.task(names.id(index), task)?);
    }
    sure::prove(&mut tasks);
    Some(Parts {
        graph_id: draft.graph_id?.into_owned(),
        root: rank_of(root),
        failure_policy: draft.failure_policy,
        budgets: draft.budgets,
        schema_version: draft.schema_version,
        request_id: draft.request_id,
        tenant_id: draft.tenant_id,
        created_at: draft.created_at,
        tasks: tasks.into(),
        names,
        places: order.into(),
    })
}
