//! Which payloads can be filled whatever the dependencies answer: proved once, it need not be looked at in any run.

use std::collections::HashMap;
use std::sync::Arc;

use crate::pointer::Pointer;
use crate::{OutputSchema, Task, TaskIndex, Work};

/// Marks the tasks whose payloads are sure.
pub(super) fn prove(tasks: &mut [Task]) {
    let mut promises = Promises::default();
    for place in 0..tasks.len() {
        let task = &tasks[place];
        let mut most_bytes = |from: TaskIndex, pointer: &Arc<Pointer>| {
            // What a task reads of the one that it stands in for is left to be seen.
            if task.resolves == Some(from) { None } else { promises.of(tasks, from, pointer) }
        };
        let sure = task.input.is_sure(&mut most_bytes)
            && match &task.work {
                Work::Operation(operation) => operation.args.is_sure(&mut most_bytes),
                Work::Model(_) => true,
            };
        tasks[place].sure = sure;
    }
}

/// What schemas promise, by their address and that of the pointer: both are shared by a whole graph.
#[derive(Default)]
struct Promises {
    known: HashMap<(*const OutputSchema, *const Pointer), Option<usize>>,
    last: Option<(*const OutputSchema, *const Pointer, Option<usize>)>,
}

impl Promises {
    /// The most bytes that dependents of `from` can find at `pointer`, whoever stands in for it.
    fn of(&mut self, tasks: &[Task], from: TaskIndex, pointer: &Arc<Pointer>) -> Option<usize> {
        let task = tasks.get(from.as_usize())?;
        let mut most = self.of_schema(&task.schema, pointer)?;
        if let Some(skip) = &task.skip_when {
            most = most.max(self.of_schema(&skip.schema, pointer)?);
        }
        if task.escalation.is_empty() {
            return Some(most);
        }
        // Chains of stand-ins may be long, and each is looked at for each reference: that is a matter for the run.
        None
    }

    fn of_schema(&mut self, schema: &Arc<OutputSchema>, pointer: &Arc<Pointer>) -> Option<usize> {
        let (at, to) = (Arc::as_ptr(schema), Arc::as_ptr(pointer));
        match self.last {
            Some((schema, pointer, promise)) if schema == at && pointer == to => return promise,
            Some(_) | None => {}
        }
        let promise = *self.known.entry((at, to)).or_insert_with(|| schema.most_bytes_at(pointer));
        self.last = Some((at, to, promise));
        promise
    }
}
