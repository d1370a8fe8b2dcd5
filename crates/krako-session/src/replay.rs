//! A session's events, made a run of again: facts are applied, everything else has to follow from them.

mod fact;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use engine::{AttemptOutcome, AttemptReport, Fact, Run, Usage};
use kora_ir::{CheckedGraph, TaskIndex};
use krako_contract::{
    AttemptEnd, Event, Happening, Region, SessionEnded, SessionEvent, SessionStopping, Stopping, UnitEvent,
    UnitHappening, mapping,
};
use telemetry::Event as RunEvent;

use crate::claim::OpenAttempt;
use crate::ending::Ended;
use crate::found::Found;
use crate::reader::Abandoned;
use crate::words;

pub(crate) use self::fact::{same_unit_failure, unit_failure};

/// The run that a session's events come to, as far as they go.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) graph: CheckedGraph,
    // Invariant: none exactly if the session has ended.
    pub(crate) run: Option<Run>,
    /// Replies whose validation is still to be told.
    replies: BTreeMap<TaskIndex, (u32, AttemptEnd)>,
    /// What follows, by unit, and is still to be told.
    // Invariant: no queue is empty.
    owed: BTreeMap<TaskIndex, VecDeque<RunEvent>>,
    /// The attempt that each unit is at; none before its first.
    // Invariant: one for each task.
    attempts: Vec<Option<u32>>,
    /// Attempts that have started.
    pub(crate) started: u64,
    // Invariant: an entry for each attempt that is under way.
    pub(crate) open: BTreeMap<TaskIndex, OpenAttempt>,
    /// Units under way that no longer count.
    pub(crate) unwanted: BTreeSet<TaskIndex>,
    pub(crate) stopping: Option<SessionStopping>,
    pub(crate) region: Option<Region>,
    /// Whether everything that did not settle has been closed: only the end can follow.
    closed: bool,
    pub(crate) ended: Option<Ended>,
    /// What the run has made of the event that is being taken.
    made: Vec<RunEvent>,
}

impl Replay {
    pub(crate) fn new(graph: CheckedGraph) -> Self {
        Self {
            run: Some(Run::new(graph.clone()).observed()),
            replies: BTreeMap::new(),
            owed: BTreeMap::new(),
            attempts: vec![None; graph.tasks().len()],
            started: 0,
            open: BTreeMap::new(),
            unwanted: BTreeSet::new(),
            stopping: None,
            region: None,
            closed: false,
            ended: None,
            made: Vec::new(),
            graph,
        }
    }

    /// Takes an event in that is the next of its session, and gives what the run makes of it.
    pub(crate) fn take(&mut self, event: &Event) -> Result<Vec<RunEvent>, Found> {
        match &event.happening {
            Happening::Session(SessionEvent::Started(started)) => {
                self.region.clone_from(&started.region);
                self.look(event);
            }
            Happening::Session(SessionEvent::Stopping(stopping)) => self.stop(event, *stopping)?,
            Happening::Session(SessionEvent::Completed(said) | SessionEvent::Failed(said)) => {
                self.end(event, said)?;
            }
            Happening::Unit(unit) => self.unit(event, unit)?,
            Happening::Unknown(_) => {}
        }
        Ok(std::mem::take(&mut self.made))
    }

    /// Whether everything that follows from what was told was told as well: a log may end here.
    pub(crate) fn is_between_batches(&self) -> bool {
        self.owed.is_empty() && self.replies.is_empty() && (!self.closed || self.ended.is_some())
    }

    /// Takes what the run has made out of it.
    fn look(&mut self, event: &Event) {
        let Some(run) = &mut self.run else { return };
        for made in run.drain_events() {
            let task = made.task();
            match made {
                RunEvent::AttemptStarted { attempt, .. } => {
                    self.attempts[task.as_usize()] = Some(attempt);
                    self.started += 1;
                    let since = event.timestamp.clone();
                    self.open.insert(task, OpenAttempt { attempt, since, claims: 0 });
                }
                // The fabric's own word, and there already.
                RunEvent::AttemptEnded { .. } => {
                    self.open.remove(&task);
                    self.unwanted.remove(&task);
                }
                RunEvent::Validated { .. }
                | RunEvent::Retrying { .. }
                | RunEvent::Completed { .. }
                | RunEvent::Failed { .. }
                | RunEvent::Skipped { .. }
                | RunEvent::Escalated { .. }
                | _ => self.owed.entry(task).or_default().push_back(made.clone()),
            }
            self.made.push(made);
        }
        self.unwanted.extend(run.take_unwanted());
    }

    fn apply(&mut self, event: &Event, fact: Fact) -> Result<(), Found> {
        let Some(run) = self.run.as_mut().filter(|_| !self.closed) else {
            return Err(self.disagrees(event, format!("`{}` happened", event.name()), None));
        };
        run.apply(fact).map_err(|refused| Found::Fact {
            sequence: event.sequence.number(),
            name: event.name().to_owned(),
            refused,
        })?;
        self.look(event);
        Ok(())
    }

    fn stop(&mut self, event: &Event, stopping: SessionStopping) -> Result<(), Found> {
        if self.stopping.is_some() {
            let own = Some(String::from("it was being stopped already"));
            return Err(self.disagrees(event, String::from("the session is being stopped"), own));
        }
        self.apply(
            event,
            match stopping.reason {
                Stopping::Cancelled => Fact::Cancelled,
                Stopping::LatencyExceeded => Fact::LatencyExceeded { elapsed_ms: stopping.elapsed_ms },
            },
        )?;
        self.stopping = Some(stopping);
        // Nobody will say any more what their schemas made of them.
        while let Some((task, (attempt, end))) = self.replies.pop_first() {
            self.apply(event, fact::uncounted(task, attempt, &end))?;
        }
        Ok(())
    }

    fn unit(&mut self, event: &Event, unit: &UnitHappening) -> Result<(), Found> {
        let sequence = event.sequence.number();
        let wrong = |wrong| Found::Unit { sequence, wrong };
        let told = mapping::run_events(&self.graph, event).map_err(wrong)?;
        // An unknown unit has been refused just before.
        let Some(task) = self.graph.index_of(unit.work_unit_id.as_str()) else { return Ok(()) };
        self.is_at(event, task, unit)?;
        if let Some(fact) = self.fact(event, task, unit)? {
            self.apply(event, fact)?;
        }
        for told in &told {
            match told {
                RunEvent::AttemptStarted { attempt, .. } => {
                    let own = self.attempts[task.as_usize()].unwrap_or(0);
                    if *attempt != own {
                        return Err(self.other_attempt(event, task, *attempt, own));
                    }
                }
                RunEvent::AttemptEnded { .. } => {}
                RunEvent::Validated { .. }
                | RunEvent::Retrying { .. }
                | RunEvent::Completed { .. }
                | RunEvent::Failed { .. }
                | RunEvent::Skipped { .. }
                | RunEvent::Escalated { .. }
                | _ => self.settle(event, told)?,
            }
        }
        match &unit.event {
            UnitEvent::Validated(validated) => match &validated.output {
                Some(output)
                    if self.run.as_ref().and_then(|run| run.output(task)).map(|own| own.value())
                        != Some(output.value()) =>
                {
                    Err(Found::OtherOutput { sequence, unit: unit.work_unit_id.to_string() })
                }
                Some(_) | None => Ok(()),
            },
            UnitEvent::Claimed(_) => {
                if let Some(open) = self.open.get_mut(&task) {
                    open.claims = open.claims.saturating_add(1);
                }
                Ok(())
            }
            UnitEvent::Scheduled(_)
            | UnitEvent::Started(_)
            | UnitEvent::Completed(_)
            | UnitEvent::Failed(_)
            | UnitEvent::Stopped(_)
            | UnitEvent::LlmStarted(_)
            | UnitEvent::LlmCompleted(_)
            | UnitEvent::LlmFailed(_) => Ok(()),
        }
    }

    /// Holds something that is said to follow against what does.
    fn settle(&mut self, event: &Event, told: &RunEvent) -> Result<(), Found> {
        let task = told.task();
        if !self.owed.contains_key(&task) {
            // What did not settle is only closed at the end, so nothing but the end can follow.
            self.close(event);
        }
        let Some(queue) = self.owed.get_mut(&task) else {
            return Err(self.disagrees(event, words::says(&self.graph, told), None));
        };
        match queue.front() {
            Some(own) if words::same(told, own) => {
                queue.pop_front();
                if queue.is_empty() {
                    self.owed.remove(&task);
                }
                Ok(())
            }
            own => {
                let own = own.map(|own| words::says(&self.graph, own));
                Err(self.disagrees(event, words::says(&self.graph, told), own))
            }
        }
    }

    fn close(&mut self, event: &Event) {
        if let Some(run) = &mut self.run
            && self.replies.is_empty()
            && run.close().is_ok()
        {
            self.closed = true;
            self.look(event);
        }
    }

    fn end(&mut self, event: &Event, said: &SessionEnded) -> Result<(), Found> {
        let sequence = event.sequence.number();
        if let Some(&task) = self.replies.keys().next() {
            return Err(Found::Unvalidated { sequence, unit: self.name(task) });
        }
        self.close(event);
        if let Some(own) = self.owed.values().flatten().next() {
            // Of those, the first as it happened would be no better told.
            return Err(Found::Untold { sequence, own: words::says(&self.graph, own) });
        }
        let Some(mut run) = self.run.take() else { return Ok(()) };
        if let Err(unfinished) = run.close() {
            self.run = Some(run);
            return Err(Found::EndsEarly { sequence, unfinished });
        }
        let stopped_ms = self.stopping.map_or(0, |stopping| stopping.elapsed_ms);
        let outcome = run.finish(said.session_latency_ms.max(stopped_ms)).expect("it was closed just now");
        let ended = Ended::of(outcome, self.stopping.map(|stopping| stopping.reason));
        let ended = ended.expect("ids were looked at before the first event");
        let differs = fact::same_end(event, said, &ended);
        // What it came to, whatever is said of it.
        self.ended = Some(ended);
        differs.map_err(|(field, told, own)| Found::End { sequence, field, told, own })
    }

    /// Cancels it, and says what it came to.
    pub(crate) fn abandon(mut self, latency_ms: u64) -> Abandoned {
        let mut run = self.run.take().unwrap_or_else(|| Run::new(self.graph.clone()).observed());
        run.cancel();
        for (task, open) in std::mem::take(&mut self.open) {
            let unheard = AttemptReport {
                task,
                attempt: open.attempt,
                elapsed_us: 0,
                usage: Usage::default(),
                outcome: AttemptOutcome::Cancelled,
            };
            let fact = match self.replies.remove(&task) {
                Some((attempt, end)) => fact::uncounted(task, attempt, &end),
                None => Fact::Attempt(unheard),
            };
            // Every attempt in `open` is under way.
            let _ = run.apply(fact);
        }
        let _ = run.close();
        let run_events = std::mem::take(&mut self.made).into_iter().chain(run.drain_events()).collect();
        let outcome = run.finish(latency_ms).expect("a cancelled run with nothing under way is finished");
        Abandoned { outcome, run_events }
    }

    fn name(&self, task: TaskIndex) -> String {
        self.graph.task(task).id.to_string()
    }

    fn disagrees(&self, event: &Event, told: String, own: Option<String>) -> Found {
        let own = own.unwrap_or_else(|| String::from("nothing of the kind follows"));
        Found::Disagrees { sequence: event.sequence.number(), told, own }
    }

    fn other_attempt(&self, event: &Event, task: TaskIndex, told: u32, own: u32) -> Found {
        Found::Attempt { sequence: event.sequence.number(), unit: self.name(task), told, own }
    }
}
