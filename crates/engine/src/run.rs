//! The state machine: what a driver may ask and tell.

use kora_ir::{CheckedGraph, TaskIndex, ValidatedOutput};
use telemetry::Event;

use crate::fact::{AttemptReport, Fact, FactRefused, Next};
use crate::outcome::{RunOutcome, Unfinished};
use crate::progress::Progress;
use crate::start::Start;

/// One run of one graph.
///
/// A driver loops: start everything that [`next_start`](Self::next_start) gives, as far as its concurrency goes, and tell what
/// came of each. [`finish`](Self::finish) when [`is_finished`](Self::is_finished).
#[derive(Debug)]
pub struct Run {
    // Apart, so that what changes can look at what does not.
    graph: CheckedGraph,
    progress: Progress,
}

impl Run {
    /// A run of `graph` that has not started.
    pub fn new(graph: CheckedGraph) -> Self {
        Self { progress: Progress::new(&graph), graph }
    }

    /// Keeps events for [`drain_events`](Self::drain_events), from the first on. For a run that has not started.
    #[must_use]
    pub fn observed(mut self) -> Self {
        self.progress.observed = Some(std::mem::take(&mut self.progress.before_start));
        self
    }

    /// The events since the last call, in order. None unless the run is [`observed`](Self::observed).
    pub fn drain_events(&mut self) -> impl Iterator<Item = Event> {
        self.progress.observed.iter_mut().flat_map(|events| events.drain(..))
    }

    /// The graph that is run.
    pub fn graph(&self) -> &CheckedGraph {
        &self.graph
    }

    /// What may start now, if anything: call until `None`, or until as much runs as the driver has room for.
    ///
    /// No model is started while anything that needs none is ready or running (S5, C11.2).
    pub fn next_start(&mut self) -> Option<Start> {
        self.progress.next_start(&self.graph)
    }

    /// Starts one task out of turn: for whoever follows a run that another driver made.
    ///
    /// # Errors
    ///
    /// [`FactRefused`] if the task cannot have started now; the run is unchanged.
    pub fn start_task(&mut self, index: TaskIndex) -> Result<(), FactRefused> {
        self.progress.start_task(&self.graph, index)
    }

    /// Tells how an attempt ended.
    ///
    /// # Errors
    ///
    /// [`FactRefused`] if that cannot be; the run is unchanged.
    pub fn report(&mut self, report: AttemptReport) -> Result<Next, FactRefused> {
        self.progress.report(&self.graph, report)
    }

    /// Tells that the wait before a retry is over.
    ///
    /// # Errors
    ///
    /// [`FactRefused`] if the task is not waiting; the run is unchanged.
    pub fn resume(&mut self, index: TaskIndex, waited_us: u64) -> Result<Next, FactRefused> {
        self.progress.resume(&self.graph, index, waited_us)
    }

    /// Tells that the run's `max_latency_ms` is over. What has not settled fails with `BUDGET_BREACH` (C7.5).
    ///
    /// # Errors
    ///
    /// [`FactRefused`] if it is not over, or was never declared; the run is unchanged.
    pub fn latency_exceeded(&mut self, elapsed_ms: u64) -> Result<(), FactRefused> {
        self.progress.latency_exceeded(&self.graph, elapsed_ms)
    }

    /// Tells that nobody wants the run any more (S13).
    pub fn cancel(&mut self) {
        self.progress.cancel(&self.graph);
    }

    /// Takes in a fact of any kind.
    ///
    /// # Errors
    ///
    /// [`FactRefused`] if that cannot be; the run is unchanged.
    pub fn apply(&mut self, fact: Fact) -> Result<(), FactRefused> {
        match fact {
            Fact::Started { task } => self.start_task(task),
            Fact::Attempt(report) => self.report(report).map(drop),
            Fact::Resumed { task, waited_us } => self.resume(task, waited_us).map(drop),
            Fact::LatencyExceeded { elapsed_ms } => self.latency_exceeded(elapsed_ms),
            Fact::Cancelled => {
                self.cancel();
                Ok(())
            }
        }
    }

    /// Running tasks that no longer count, each named once: the driver stops them, and reports what they had spent.
    pub fn take_unwanted(&mut self) -> Vec<TaskIndex> {
        std::mem::take(&mut self.progress.unwanted)
    }

    /// Whether there are any to be taken.
    pub fn has_unwanted(&self) -> bool {
        !self.progress.unwanted.is_empty()
    }

    /// An attempt that is under way, as it was given to be started: for a driver that has to give it again.
    pub fn under_way(&self, index: TaskIndex) -> Option<Start> {
        self.progress.under_way(&self.graph, index)
    }

    /// Tasks that wait for a retry and still count, in canonical order, each as [`report`](Self::report) said it.
    pub fn waiting(&self) -> impl Iterator<Item = (TaskIndex, Next)> {
        self.progress.waiting(&self.graph)
    }

    /// The output of a task, once it has one of its own.
    pub fn output(&self, index: TaskIndex) -> Option<&ValidatedOutput> {
        self.progress.tasks.get(index.as_usize())?.output.as_ref()
    }

    /// Attempts under way.
    pub fn running(&self) -> usize {
        self.progress.running
    }

    /// Tasks that need no model and may start now.
    pub fn ready_operations(&self) -> usize {
        self.progress.ready_free_count
    }

    /// Whether nothing is left to do.
    pub fn is_finished(&self) -> bool {
        self.progress.is_finished()
    }

    /// Says what becomes of everything that did not settle. Done once; [`finish`](Self::finish) does it for whoever has
    /// no use for the events.
    ///
    /// # Errors
    ///
    /// [`Unfinished`] if something is still to be done.
    pub fn close(&mut self) -> Result<(), Unfinished> {
        self.progress.close(&self.graph)
    }

    /// The outcome of a run that took `total_latency_ms` milliseconds.
    ///
    /// # Errors
    ///
    /// [`Unfinished`] if something is still to be done.
    pub fn finish(mut self, total_latency_ms: u64) -> Result<RunOutcome, Unfinished> {
        self.close()?;
        let Progress { tasks, fold, .. } = self.progress;
        Ok(RunOutcome::new(&self.graph, tasks, fold.finish(total_latency_ms)))
    }
}
