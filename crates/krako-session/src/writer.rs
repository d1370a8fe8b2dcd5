//! The fabric's end: what a driver saw becomes facts of a run, and what the run makes of them becomes events.

mod document;
mod standing;

use std::collections::BTreeMap;

use engine::{AttemptOutcome, AttemptReport, FactRefused, Next, Run, RunOutcome, Start, Unfinished};
use kora_ir::{CheckedGraph, TaskIndex, ValidatedOutput};
use krako_contract::mapping::{self, Beside, NotPublishable, Publisher};
use krako_contract::{
    Claimed, Ending, Event, EventId, GraphId, Happening, InvalidWireName, NodeId, Region, ScheduleReason,
    Scheduled, Sequence, SessionEvent, SessionId, SessionStarted, SessionStopping, Stopping, Timestamp,
    UnitEvent, UnitHappening, WorkUnitId,
};
use telemetry::Event as RunEvent;
use thiserror::Error;

use self::standing::Standings;
use crate::claim::{MAX_CLAIMS, OpenAttempt};
use crate::ending::Ended;
use crate::price::Billed;

/// Writes one session: owns its run, and is the only one that numbers its events (decision 0020).
///
/// Every method takes the moment and what a driver saw then, and gives a *batch*: the fact's own event, then everything
/// that the run made of it. A batch is appended to the log as one record. A log that ends between batches can be taken
/// up by [`recover`](Self::recover).
#[derive(Debug)]
pub struct SessionWriter {
    pub(crate) session: SessionId,
    pub(crate) graph_id: GraphId,
    pub(crate) graph: CheckedGraph,
    // Invariant: none exactly if the session has ended.
    pub(crate) run: Option<Run>,
    pub(crate) publisher: Publisher,
    // The number of the next event; none once there are no more.
    next: Option<Sequence>,
    standings: Standings,
    // Invariant: an entry for each attempt that is under way.
    open: BTreeMap<TaskIndex, OpenAttempt>,
    began: Option<Timestamp>,
    region: Option<Region>,
    stopping: Option<SessionStopping>,
    billed: Billed,
    pub(crate) ended: Option<Ended>,
}

/// Something that cannot be written. The session is unchanged.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a driver that is right meets none of them")]
pub enum WriteRefused {
    /// `begin` comes first.
    #[error("the session has not begun; call `begin` first")]
    NotBegun,
    /// `begin` comes once.
    #[error("the session began at {0}; it begins once")]
    Begun(Timestamp),
    /// Nothing comes after the end.
    #[error("the session has ended")]
    Ended,
    /// What cannot be true of the run.
    #[error(transparent)]
    Fact(#[from] FactRefused),
    /// A claim of an attempt that is not under way.
    #[error("attempt {attempt} of `{unit}` is claimed and is not under way")]
    NotUnderWay {
        /// The unit.
        unit: String,
        /// As told.
        attempt: u32,
    },
    /// An attempt that was claimed too often. Report it as failed.
    #[error("attempt {attempt} of `{unit}` was claimed {MAX_CLAIMS} times; report it as failed")]
    TooManyClaims {
        /// The unit.
        unit: String,
        /// The attempt.
        attempt: u32,
    },
    /// Something is still to be done.
    #[error("the session cannot end yet: {0}")]
    Unfinished(#[from] Unfinished),
    /// A bug of ours: an event that the wire has no words for.
    #[error("the run made an event that cannot be written: {0}")]
    NotPublishable(#[from] NotPublishable),
    /// Nine quadrillion events were written.
    #[error("no number is left for another event")]
    NoNumberLeft,
}

impl From<InvalidWireName> for WriteRefused {
    fn from(error: InvalidWireName) -> Self {
        Self::NotPublishable(NotPublishable::Name(error))
    }
}

impl SessionWriter {
    /// A session that has not begun.
    ///
    /// # Errors
    ///
    /// [`InvalidWireName`] if the graph was checked with limits that allow longer ids than the wire has, or the
    /// session's id leaves no room for those of its events.
    pub fn new(session: SessionId, graph: CheckedGraph) -> Result<Self, InvalidWireName> {
        EventId::new(&event_id(&session, Sequence::MAX))?;
        let graph_id = GraphId::new(graph.graph_id())?;
        for task in graph.tasks() {
            WorkUnitId::new(task.id.as_str())?;
        }
        Ok(Self {
            session,
            graph_id,
            run: Some(Run::new(graph.clone()).observed()),
            publisher: Publisher::new(graph.clone()),
            next: Some(Sequence::FIRST),
            standings: Standings::new(&graph),
            open: BTreeMap::new(),
            began: None,
            region: None,
            stopping: None,
            billed: Billed::default(),
            ended: None,
            graph,
        })
    }

    /// Begins.
    ///
    /// # Errors
    ///
    /// [`WriteRefused`].
    pub fn begin(&mut self, at: &Timestamp, region: Option<Region>) -> Result<Vec<Event>, WriteRefused> {
        if let Some(began) = &self.began {
            return Err(WriteRefused::Begun(began.clone()));
        }
        let started = SessionStarted { graph_digest: self.graph.digest().into(), region };
        let mut batch = Vec::new();
        self.say(at, Happening::Session(SessionEvent::Started(started)), &mut batch)?;
        self.drain(at, None, &mut batch)?;
        Ok(batch)
    }

    /// The next attempt to start, if there is one: call until `None`, or until as much is under way as there is room for.
    /// Give it to a node only when its batch is durable. `None` before the beginning and after the end.
    ///
    /// # Errors
    ///
    /// [`WriteRefused`], of bugs of ours only.
    pub fn next_start(&mut self, at: &Timestamp) -> Result<Option<(Start, Vec<Event>)>, WriteRefused> {
        let Some(run) = self.run.as_mut().filter(|_| self.began.is_some()) else { return Ok(None) };
        let Some(start) = run.next_start() else { return Ok(None) };
        let mut batch = Vec::new();
        self.drain(at, None, &mut batch)?;
        Ok(Some((start, batch)))
    }

    /// A node took an attempt that is under way: for the first time, or again because another node was lost. That is no
    /// retry.
    ///
    /// # Errors
    ///
    /// [`WriteRefused::NotUnderWay`], [`WriteRefused::TooManyClaims`].
    pub fn claimed(
        &mut self,
        at: &Timestamp,
        task: TaskIndex,
        attempt: u32,
        node: Option<NodeId>,
    ) -> Result<Vec<Event>, WriteRefused> {
        self.going()?;
        let open = self.open.get(&task).filter(|open| open.attempt == attempt);
        match open {
            None => Err(WriteRefused::NotUnderWay { unit: self.name(task)?.to_string(), attempt }),
            Some(open) if open.claims >= MAX_CLAIMS => {
                Err(WriteRefused::TooManyClaims { unit: self.name(task)?.to_string(), attempt })
            }
            Some(_) => {
                let mut batch = Vec::new();
                self.say_of(at, task, attempt, UnitEvent::Claimed(Claimed { node_id: node }), &mut batch)?;
                Ok(batch)
            }
        }
    }

    /// An attempt ended. Its output, if it brought one, is there already as what its schema admits.
    ///
    /// # Errors
    ///
    /// [`WriteRefused::Fact`] if that cannot be: it is not under way, or has spent what it cannot have.
    pub fn report(
        &mut self,
        at: &Timestamp,
        report: AttemptReport,
    ) -> Result<(Next, Vec<Event>), WriteRefused> {
        let task = report.task;
        let reported = Reported::of(&report);
        let next = self.going()?.report(report)?;
        let mut batch = Vec::new();
        self.drain(at, Some(&reported), &mut batch)?;
        if let Some(unit) = self.publisher.left_over(task)? {
            self.say(at, Happening::Unit(unit), &mut batch)?;
        }
        Ok((next, batch))
    }

    /// The wait before a retry is over.
    ///
    /// # Errors
    ///
    /// [`WriteRefused::Fact`] if it does not wait.
    pub fn resume(
        &mut self,
        at: &Timestamp,
        task: TaskIndex,
        waited_us: u64,
    ) -> Result<(Next, Vec<Event>), WriteRefused> {
        let next = self.going()?.resume(task, waited_us)?;
        let mut batch = Vec::new();
        let attempt = self.standings.attempts(task);
        let resumed = scheduled(ScheduleReason::Resumed, Some(waited_us));
        self.say_of(at, task, attempt, resumed, &mut batch)?;
        self.drain(at, None, &mut batch)?;
        Ok((next, batch))
    }

    /// Stops it, once: nobody wants it any more, or its `max_latency_ms` is over. What is under way comes from
    /// [`take_unwanted`](Self::take_unwanted). Empty if it was being stopped, or has ended.
    ///
    /// # Errors
    ///
    /// [`WriteRefused::Fact`] if its time is not over.
    pub fn stop(
        &mut self,
        at: &Timestamp,
        reason: Stopping,
        elapsed_ms: u64,
    ) -> Result<Vec<Event>, WriteRefused> {
        if self.stopping.is_some() || self.ended.is_some() {
            return Ok(Vec::new());
        }
        let run = self.going()?;
        match reason {
            Stopping::Cancelled => run.cancel(),
            Stopping::LatencyExceeded => run.latency_exceeded(elapsed_ms)?,
        }
        let mut batch = Vec::new();
        let stopping = SessionStopping { reason, elapsed_ms };
        self.say(at, Happening::Session(SessionEvent::Stopping(stopping)), &mut batch)?;
        self.drain(at, None, &mut batch)?;
        Ok(batch)
    }

    /// Ends it, `latency_ms` milliseconds after its beginning.
    ///
    /// # Errors
    ///
    /// [`WriteRefused::Unfinished`] if something is still to be done.
    pub fn end(&mut self, at: &Timestamp, latency_ms: u64) -> Result<Vec<Event>, WriteRefused> {
        self.going()?.close()?;
        let mut batch = Vec::new();
        self.drain(at, None, &mut batch)?;
        let Some(run) = self.run.take() else { return Err(WriteRefused::Ended) };
        // It cannot have taken less than it had taken when it was stopped.
        let latency_ms = latency_ms.max(self.stopping.map_or(0, |stopping| stopping.elapsed_ms));
        let ended = Ended::of(run.finish(latency_ms)?, self.stopping.map(|stopping| stopping.reason))?;
        self.say(at, Happening::Session(ended.event()), &mut batch)?;
        self.ended = Some(ended);
        Ok(batch)
    }

    /// Attempts under way that no longer count, each named once: stop them, and report what they had spent.
    pub fn take_unwanted(&mut self) -> Vec<TaskIndex> {
        self.run.as_mut().map(Run::take_unwanted).unwrap_or_default()
    }

    /// Whether nothing is left to do but to [`end`](Self::end) it.
    pub fn is_finished(&self) -> bool {
        self.began.is_some() && self.run.as_ref().is_none_or(Run::is_finished)
    }

    /// Whether its last event was written.
    pub fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// When it began.
    pub fn began(&self) -> Option<&Timestamp> {
        self.began.as_ref()
    }

    /// Whether, why and when it was stopped.
    pub fn stopping(&self) -> Option<SessionStopping> {
        self.stopping
    }

    /// The number of its last event; none before the first.
    pub fn last(&self) -> Option<Sequence> {
        match self.next {
            Some(next) => Sequence::new(next.number() - 1).ok(),
            None => Sequence::new(Sequence::MAX).ok(),
        }
    }

    /// Its id.
    pub fn session(&self) -> &SessionId {
        &self.session
    }

    /// The graph that it runs.
    pub fn graph(&self) -> &CheckedGraph {
        &self.graph
    }

    /// An attempt of a task that is under way, if there is one.
    pub fn open(&self, task: TaskIndex) -> Option<&OpenAttempt> {
        self.open.get(&task)
    }

    /// Attempts under way, in canonical order.
    pub fn all_open(&self) -> impl Iterator<Item = (TaskIndex, &OpenAttempt)> {
        self.open.iter().map(|(&task, open)| (task, open))
    }

    /// What it came to, once it has ended.
    pub fn outcome(&self) -> Option<&RunOutcome> {
        self.ended.as_ref().map(|ended| &ended.outcome)
    }

    /// What has been billed so far.
    pub fn billed(&self) -> &Billed {
        &self.billed
    }

    fn going(&mut self) -> Result<&mut Run, WriteRefused> {
        match &mut self.run {
            None => Err(WriteRefused::Ended),
            Some(_) if self.began.is_none() => Err(WriteRefused::NotBegun),
            Some(run) => Ok(run),
        }
    }

    fn name(&self, task: TaskIndex) -> Result<WorkUnitId, WriteRefused> {
        let known = self.graph.tasks().get(task.as_usize());
        let known = known.ok_or(WriteRefused::Fact(FactRefused::UnknownTask(task.as_usize())))?;
        Ok(WorkUnitId::new(known.id.as_str())?)
    }

    fn say_of(
        &mut self,
        at: &Timestamp,
        task: TaskIndex,
        attempt_index: u32,
        event: UnitEvent,
        batch: &mut Vec<Event>,
    ) -> Result<(), WriteRefused> {
        let work_unit_id = self.name(task)?;
        self.say(at, Happening::Unit(UnitHappening { work_unit_id, attempt_index, event }), batch)
    }

    fn say(
        &mut self,
        at: &Timestamp,
        happening: Happening,
        batch: &mut Vec<Event>,
    ) -> Result<(), WriteRefused> {
        let sequence = self.next.ok_or(WriteRefused::NoNumberLeft)?;
        let event = Event {
            event_id: EventId::new(&event_id(&self.session, sequence.number()))?,
            timestamp: at.clone(),
            execution_session_id: self.session.clone(),
            graph_id: self.graph_id.clone(),
            sequence,
            happening,
        };
        self.note(&event);
        batch.push(event);
        Ok(())
    }

    /// Keeps what an event says: one that was just written, or was written before a crash.
    pub(crate) fn note(&mut self, event: &Event) {
        self.next = event.sequence.next();
        match &event.happening {
            Happening::Session(SessionEvent::Started(started)) => {
                self.began = Some(event.timestamp.clone());
                self.region.clone_from(&started.region);
            }
            Happening::Session(SessionEvent::Stopping(stopping)) => self.stopping = Some(*stopping),
            Happening::Session(SessionEvent::Completed(_) | SessionEvent::Failed(_))
            | Happening::Unknown(_) => {}
            Happening::Unit(unit) => {
                let Some(task) = self.graph.index_of(unit.work_unit_id.as_str()) else { return };
                let kind = mapping::kind(self.graph.task(task).task_type);
                self.standings.note(task, kind, unit);
                match standing::step(kind, &unit.event) {
                    standing::Step::Starts => {
                        let (attempt, since) = (unit.attempt_index, event.timestamp.clone());
                        self.open.insert(task, OpenAttempt { attempt, since, claims: 0 });
                    }
                    standing::Step::Claimed => {
                        if let Some(open) = self.open.get_mut(&task) {
                            open.claims += 1;
                        }
                    }
                    standing::Step::Ends => drop(self.open.remove(&task)),
                    standing::Step::Other => {}
                }
                if let Some(line) = mapping::line_item(event, kind) {
                    self.billed.add(&line);
                }
            }
        }
    }

    /// Publishes what the run has made since the last time.
    fn drain(
        &mut self,
        at: &Timestamp,
        reported: Option<&Reported>,
        batch: &mut Vec<Event>,
    ) -> Result<(), WriteRefused> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let run_events: Vec<RunEvent> = run.drain_events().collect();
        for event in run_events {
            let task = event.task();
            if let RunEvent::AttemptStarted { attempt: 0, .. } = event {
                self.say_of(at, task, 0, scheduled(ScheduleReason::Ready, None), batch)?;
            }
            let output = self.run.as_ref().and_then(|run| run.output(task));
            let beside = Reported::beside(reported.filter(|reported| reported.task == task), output);
            if let Some(unit) = self.publisher.publish(&event, &beside)? {
                self.say(at, Happening::Unit(unit), batch)?;
            }
        }
        Ok(())
    }
}

/// What a report says beside what the run makes of it.
#[derive(Debug)]
struct Reported {
    task: TaskIndex,
    ended: Ending,
    message: Option<String>,
    transient: bool,
    faults: Vec<String>,
}

impl Reported {
    fn of(report: &AttemptReport) -> Self {
        let (ended, message, transient, faults) = match &report.outcome {
            AttemptOutcome::Output(_) => (Ending::Output, None, false, Vec::new()),
            AttemptOutcome::SchemaMismatch(mismatch) => {
                (Ending::SchemaMismatch, None, false, mismatch.faults.clone())
            }
            AttemptOutcome::Failed { message, transient } => {
                (Ending::Failed, Some(message.clone()), *transient, Vec::new())
            }
            AttemptOutcome::TimedOut => (Ending::TimedOut, None, false, Vec::new()),
            AttemptOutcome::TokensExhausted => (Ending::TokensExhausted, None, false, Vec::new()),
            AttemptOutcome::Cancelled => (Ending::Cancelled, None, false, Vec::new()),
        };
        Self { task: report.task, ended, message, transient, faults }
    }

    fn beside<'d>(reported: Option<&'d Self>, output: Option<&'d ValidatedOutput>) -> Beside<'d> {
        let Some(reported) = reported else { return Beside { output, ..Beside::default() } };
        Beside {
            ended: Some(reported.ended),
            message: reported.message.as_deref(),
            transient: reported.transient,
            output,
            faults: &reported.faults,
        }
    }
}

fn scheduled(reason: ScheduleReason, waited_us: Option<u64>) -> UnitEvent {
    UnitEvent::Scheduled(Scheduled {
        reason,
        because: None,
        attempt_end: None,
        waited_us,
        escalated_from: None,
    })
}

fn event_id(session: &SessionId, number: u64) -> String {
    format!("evt_{session}.{number}")
}
