//! What a task sees of others before it starts: its references, and the condition that makes it unnecessary.

use kora_ir::{
    CheckedGraph, Message, PromptTemplate, SkipWhen, Task, TaskIndex, UnresolvedReference, ValidatedOutput,
    Work,
};
use telemetry::{Event, FailureCategory, SkipReason};

use super::{Progress, failure};
use crate::skip;
use crate::start::{Arguments, StartWork};
use crate::state::Resolution;

impl Progress {
    /// Whether everything that the task refers to is there. What an operation refers to is not copied yet: a wide graph
    /// may have more ready than fits into memory.
    pub(super) fn check_inputs(&self, graph: &CheckedGraph, task: &Task) -> Result<(), String> {
        let output_of = |from| self.output_for(task, from);
        match &task.work {
            // What it sees has passed the schemas that promise it.
            Work::Operation(_) if task.is_sure() => Ok(()),
            Work::Operation(operation) => {
                let input = task.input.check(output_of);
                input.map_err(|error| unresolved(graph, "input", &error))?;
                let args = operation.args.check(output_of);
                args.map_err(|error| unresolved(graph, "args", &error))
            }
            Work::Model(_) => self.prepare(graph, task).map(drop),
        }
    }

    /// Resolves everything that the task refers to.
    pub(super) fn prepare(&self, graph: &CheckedGraph, task: &Task) -> Result<StartWork, String> {
        let output_of = |from| self.output_for(task, from);
        let input = task.input.resolve(output_of).map_err(|error| unresolved(graph, "input", &error))?;
        match &task.work {
            Work::Operation(operation) => {
                let args = if operation.args.as_fixed().is_some() {
                    Arguments::AsWritten
                } else {
                    let args = operation.args.resolve(output_of);
                    let args = args.map_err(|error| unresolved(graph, "args", &error))?;
                    Arguments::Filled(Box::new(args.into_value()))
                };
                Ok(StartWork::Operation { input, args })
            }
            Work::Model(call) => {
                let fill = |message: &Message<PromptTemplate>| {
                    let content = message.content.fill(&input).map_err(|error| error.to_string())?;
                    Ok(Message { role: message.role, content })
                };
                let messages = call.messages.iter().map(fill).collect::<Result<_, String>>()?;
                Ok(StartWork::Model { messages })
            }
        }
    }

    /// What `task` sees of a dependency: what resolved it; and of the task that it stands in for, the output itself.
    pub(super) fn output_for(&self, task: &Task, from: TaskIndex) -> Option<&ValidatedOutput> {
        let dependency = &self.tasks[from.as_usize()];
        if task.resolves == Some(from) {
            return dependency.output.as_ref();
        }
        match dependency.resolution {
            Resolution::By(by) => self.tasks[by.as_usize()].output.as_ref(),
            Resolution::Open | Resolution::Failed => None,
        }
    }

    /// Looks at a task on which nothing is pending any more.
    pub(super) fn look_at(&mut self, graph: &CheckedGraph, index: TaskIndex) {
        if self.stop.is_some() || index.as_usize() > self.cut {
            return;
        }
        let task = graph.task(index);
        let failed = |&&from: &&TaskIndex| {
            task.resolves != Some(from) && self.tasks[from.as_usize()].resolution == Resolution::Failed
        };
        if self.any_failed
            && let Some(&from) = task.dependencies.iter().find(failed)
        {
            let message = format!("dependency `{}` has no output", graph.task(from).id);
            self.fail(graph, index, failure(task, FailureCategory::DependencyFailure, message, None));
            return;
        }
        match &task.skip_when {
            Some(skip) if skip::holds(skip, |from| self.output_for(task, from)) => {
                self.skip(graph, index, skip)
            }
            Some(_) | None => self.admit(graph, index),
        }
    }

    pub(super) fn skip(&mut self, graph: &CheckedGraph, index: TaskIndex, skip: &SkipWhen) {
        let task = graph.task(index);
        let output = skip
            .output
            .resolve(|from| self.output_for(task, from))
            .map_err(|error| unresolved(graph, "skip_when.output", &error))
            .and_then(|output| {
                skip.schema.admit(output.into_value()).map_err(|mismatch| {
                    self.emit(Event::Validated { task: index, passed: false });
                    format!("the declared output of `skip_when` breaks the schema: {mismatch}")
                })
            });
        match output {
            Ok(output) => {
                self.emit(Event::Validated { task: index, passed: true });
                self.emit(Event::Skipped { task: index, reason: SkipReason::Condition });
                self.tasks[index.as_usize()].output = Some(output);
                self.ledger.settle(index.as_usize(), 0, 0);
                // A task that was not run has nothing to escalate for.
                self.settle(graph, index, None);
            }
            Err(message) => {
                self.fail(graph, index, failure(task, FailureCategory::ValidationError, message, None));
            }
        }
    }
}

fn unresolved(graph: &CheckedGraph, place: &str, error: &UnresolvedReference) -> String {
    format!("`{place}` refers to `{}`, but {error}", graph.task(error.from).id)
}
