//! One session: the only one that writes its events, and what it does about each thing that it is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine::{AttemptOutcome, AttemptReport, Next, Start, Usage};
use kora_ir::{CheckedGraph, SchemaMismatch, TaskIndex};
use krako_contract::{
    Event, NodeId, Remark, RequestId, SessionId, Stopping, TenantId, Timestamp, WorkUnitId, WorkUnitKind,
};
use krako_session::{Recovered, SessionWriter, UnderWay, WaitingRetry, WriteRefused};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Inner;
use super::desk::{Withdrawn, micros};
use super::order::{Body, Order, is_urgent};
use super::post::{Document, Note, Post, Seen, Stage};
use super::round::Round;
use crate::log::{AppendError, NotBegun, Submitted};
use crate::{OrderOutcome, OrderReport};

/// Faults of a schema that a report may name, as many as a schema itself names.
const MAX_FAULTS: usize = 8;

/// A session that runs.
#[derive(Debug)]
pub(super) struct Session {
    inner: Arc<Inner>,
    post: Arc<Post>,
    tenant: TenantId,
    id: SessionId,
    request_id: RequestId,
    high: bool,
    writer: SessionWriter,
    /// What is to be made durable with its first events.
    submitted: Option<Submitted>,
    /// Since when, and how long it had run by then.
    running: Option<(Instant, Duration)>,
    last: Option<Timestamp>,
    under_way: BTreeMap<TaskIndex, Attempt>,
    waits: BTreeMap<TaskIndex, Wait>,
    recovered: (Vec<UnderWay>, Vec<WaitingRetry>),
    answered: u64,
}

/// What a session is made of.
#[derive(Debug)]
pub(super) struct Begin {
    pub(super) post: Arc<Post>,
    pub(super) tenant: TenantId,
    pub(super) request_id: RequestId,
    pub(super) high: bool,
    /// If it is new, and its submission not durable.
    pub(super) submitted: Option<Submitted>,
    pub(super) recovered: Recovered,
    /// When its last event was.
    pub(super) last: Option<Timestamp>,
}

/// An attempt under way, with what was spent by nodes that were lost at it.
#[derive(Debug)]
struct Attempt {
    number: u32,
    unit: WorkUnitId,
    body: Arc<Body>,
    high: bool,
    tokens_left: u64,
    time_left_us: u64,
    lost: u32,
    spent_tokens: u64,
    spent_us: u64,
    /// Whether something may have been spent that nobody told.
    estimated: bool,
    unwanted: bool,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    since: Instant,
    until: Instant,
}

impl Session {
    pub(super) fn new(inner: Arc<Inner>, begin: Begin) -> Self {
        let Begin { post, tenant, request_id, high, submitted, recovered, last } = begin;
        let Recovered { writer, under_way, waiting } = recovered;
        Self {
            inner,
            post,
            tenant,
            id: writer.session().clone(),
            request_id,
            high,
            writer,
            submitted,
            running: None,
            last,
            under_way: BTreeMap::new(),
            waits: BTreeMap::new(),
            recovered: (under_way, waiting),
            answered: 0,
        }
    }

    /// Runs to its end.
    pub(super) async fn run(mut self) {
        if let Err(stuck) = self.go().await {
            if self.submitted.is_some() {
                self.inner.not_accepted(&self.id);
            }
            self.inner.desk.forget(&self.tenant, &self.id);
            self.seen(stuck.stage());
        }
    }

    fn graph(&self) -> CheckedGraph {
        self.writer.graph().clone()
    }

    fn seen(&self, stage: Stage) {
        let last = self.writer.last().map_or(0, |last| last.number());
        self.post.seen.send_replace(Seen { last, stage });
    }

    /// The moment as events have it, never before the last.
    fn at(&mut self) -> Timestamp {
        let now = self.inner.clock.now();
        let at = self.last.take().filter(|last| last.unix_us() > now.unix_us()).unwrap_or(now);
        self.last = Some(at.clone());
        at
    }

    fn elapsed(&self) -> Duration {
        self.running.map_or(Duration::ZERO, |(since, before)| before.saturating_add(since.elapsed()))
    }

    async fn go(&mut self) -> Result<(), Stuck> {
        let mut round = Round::default();
        self.begin(&mut round)?;
        loop {
            self.look(&mut round)?;
            let asked = self.post.asked() > self.answered;
            let until = round.may_wait(self.inner.config.claim_linger).filter(|_| !asked);
            let waits = until.filter(|until| Instant::now() < *until);
            if waits.is_none() {
                self.settle(std::mem::take(&mut round)).await?;
                if self.writer.has_ended() {
                    return Ok(());
                }
            }
            let wake = self.next_moment().into_iter().chain(waits).min();
            tokio::select! {
                biased;
                () = self.post.told() => {}
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Begins, or goes on where the log ends.
    fn begin(&mut self, round: &mut Round) -> Result<(), WriteRefused> {
        let at = self.at();
        match self.writer.began() {
            None => {
                round.add(self.writer.begin(&at, self.inner.config.region.clone())?);
                self.running = Some((Instant::now(), Duration::ZERO));
            }
            Some(began) => {
                let before = u64::try_from(at.unix_us().saturating_sub(began.unix_us())).unwrap_or(0);
                self.running = Some((Instant::now(), Duration::from_micros(before)));
            }
        }
        let (under_way, waiting) = std::mem::take(&mut self.recovered);
        for UnderWay { start, is_wanted, .. } in under_way {
            let (task, attempt) = (start.task, start.attempt);
            self.start(start, true);
            if is_wanted && self.under_way.contains_key(&task) {
                round.orders.push(task);
            } else {
                self.end(task, attempt, Ended::of(AttemptOutcome::Cancelled), round)?;
            }
        }
        // What was waited before is not counted: how long nobody was there is no time of the task.
        for WaitingRetry { task, attempt, time_left_us, .. } in waiting {
            let wait = self.inner.config.backoff.before(attempt, None);
            self.wait(task, wait.min(Duration::from_micros(time_left_us)));
        }
        Ok(())
    }

    /// Looks at everything that may have changed, and says what it makes of it.
    fn look(&mut self, round: &mut Round) -> Result<(), WriteRefused> {
        let told = self.post.take();
        if told.cancelled && self.writer.stopping().is_none() {
            let (at, elapsed_ms) = (self.at(), millis(self.elapsed()));
            round.add(self.writer.stop(&at, Stopping::Cancelled, elapsed_ms)?);
        }
        self.check_latency(round)?;
        self.stop_unwanted(round)?;
        for note in told.notes {
            self.take(note, round)?;
            self.stop_unwanted(round)?;
        }
        self.resume(round)?;
        while self.under_way.len() < self.inner.config.max_units_per_session.max(1) {
            let at = self.at();
            let Some((start, batch)) = self.writer.next_start(&at)? else { break };
            round.add(batch);
            let task = start.task;
            let attempt = start.attempt;
            self.start(start, false);
            if self.under_way.contains_key(&task) {
                round.orders.push(task);
            } else {
                let message = String::from("the fabric cannot give this work to a node");
                self.end(
                    task,
                    attempt,
                    Ended::of(AttemptOutcome::Failed { message, transient: false }),
                    round,
                )?;
            }
            self.stop_unwanted(round)?;
        }
        if self.writer.is_finished() && !self.writer.has_ended() {
            let (at, latency_ms) = (self.at(), millis(self.elapsed()));
            round.add(self.writer.end(&at, latency_ms)?);
        }
        Ok(())
    }

    fn check_latency(&mut self, round: &mut Round) -> Result<(), WriteRefused> {
        let Some(max) = self.writer.graph().budgets().max_latency_ms() else { return Ok(()) };
        let elapsed_ms = millis(self.elapsed());
        if elapsed_ms < max || self.writer.stopping().is_some() || self.writer.is_finished() {
            return Ok(());
        }
        let at = self.at();
        round.add(self.writer.stop(&at, Stopping::LatencyExceeded, elapsed_ms)?);
        Ok(())
    }

    /// Takes back what does not count any more.
    fn stop_unwanted(&mut self, round: &mut Round) -> Result<(), WriteRefused> {
        for task in self.writer.take_unwanted() {
            let Some(attempt) = self.under_way.get_mut(&task) else { continue };
            attempt.unwanted = true;
            let number = attempt.number;
            // What was about to be given is not given.
            if let Some(place) = round.orders.iter().position(|order| *order == task) {
                round.orders.remove(place);
                self.end(task, number, Ended::of(AttemptOutcome::Cancelled), round)?;
                continue;
            }
            match self.inner.desk.withdraw(&self.tenant, &self.id, task) {
                Withdrawn::Free { elapsed_us } => {
                    let ended = Ended { elapsed_us, ..Ended::of(AttemptOutcome::Cancelled) };
                    self.end(task, number, ended, round)?;
                }
                Withdrawn::AtWork => {}
            }
        }
        Ok(())
    }

    fn take(&mut self, note: Note, round: &mut Round) -> Result<(), WriteRefused> {
        match note {
            Note::Claimed { task, attempt, node } => self.claimed(task, attempt, node, round),
            Note::Lost { task, attempt, tokens_out, elapsed_us } => {
                self.lost(task, attempt, tokens_out, elapsed_us, round)
            }
            Note::Overdue { task, attempt, tokens_out, elapsed_us } => {
                let ended = Ended::of(AttemptOutcome::TimedOut);
                self.end(task, attempt, Ended { tokens_out, elapsed_us, ..ended }, round)
            }
            Note::NotTaken { task, attempt } => {
                let Some(known) = self.known(task, attempt) else { return Ok(()) };
                let message = format!(
                    "no `{}` node took it within {} ms; start one that offers what it needs",
                    known.body.pool(),
                    self.inner.config.max_queued.as_millis()
                );
                self.end(task, attempt, Ended::of(AttemptOutcome::Failed { message, transient: true }), round)
            }
            Note::Reported { task, attempt, report, done } => {
                self.check_latency(round)?;
                self.reported(task, attempt, *report, done, round)
            }
        }
    }

    fn known(&mut self, task: TaskIndex, attempt: u32) -> Option<&mut Attempt> {
        self.under_way.get_mut(&task).filter(|known| known.number == attempt)
    }

    fn claimed(
        &mut self,
        task: TaskIndex,
        attempt: u32,
        node: NodeId,
        round: &mut Round,
    ) -> Result<(), WriteRefused> {
        if self.known(task, attempt).is_none() {
            return Ok(());
        }
        let at = self.at();
        match self.writer.claimed(&at, task, attempt, Some(node)) {
            Ok(batch) => round.add_claim(batch),
            // Who has it is no part of what a session means: what was claimed too often to be told is not told.
            Err(WriteRefused::TooManyClaims { .. } | WriteRefused::NotUnderWay { .. }) => {}
            Err(refused) => return Err(refused),
        }
        Ok(())
    }

    /// The same attempt is given to another node. That is no retry: the task has nothing to do with it.
    fn lost(
        &mut self,
        task: TaskIndex,
        attempt: u32,
        tokens_out: u64,
        elapsed_us: u64,
        round: &mut Round,
    ) -> Result<(), WriteRefused> {
        let max = self.inner.config.max_lost_claims.max(1);
        let Some(known) = self.known(task, attempt) else { return Ok(()) };
        known.spent_tokens = known.spent_tokens.saturating_add(tokens_out);
        known.spent_us = known.spent_us.saturating_add(elapsed_us);
        known.lost += 1;
        let is_model = known.body.pool() == WorkUnitKind::LlmPod;
        // What it spent after its last word, nobody knows.
        known.estimated |= is_model;
        let outcome = if known.unwanted {
            AttemptOutcome::Cancelled
        } else if is_model && known.spent_tokens >= known.tokens_left {
            AttemptOutcome::TokensExhausted
        } else if known.spent_us >= known.time_left_us {
            AttemptOutcome::TimedOut
        } else if known.lost >= max {
            let message = format!("the fabric lost {} nodes at it", known.lost);
            AttemptOutcome::Failed { message, transient: true }
        } else {
            round.orders.push(task);
            return Ok(());
        };
        self.end(task, attempt, Ended::of(outcome), round)
    }

    fn reported(
        &mut self,
        task: TaskIndex,
        attempt: u32,
        report: OrderReport,
        done: watch::Sender<Option<bool>>,
        round: &mut Round,
    ) -> Result<(), WriteRefused> {
        let schema = Arc::clone(&self.writer.graph().task(task).schema);
        let Some(known) = self.known(task, attempt) else {
            done.send_replace(Some(false));
            return Ok(());
        };
        round.done.push((task, done));
        let outcome = match report.outcome {
            // A node that stops by itself gives back what it had.
            OrderOutcome::Cancelled if !known.unwanted => {
                return self.lost(task, attempt, report.tokens_out, report.elapsed_us, round);
            }
            OrderOutcome::Cancelled => AttemptOutcome::Cancelled,
            // Whatever a node says, an output is what the schema here admits (I2).
            OrderOutcome::Output { output } => match schema.admit(output) {
                Ok(output) => AttemptOutcome::Output(output),
                Err(mismatch) => AttemptOutcome::SchemaMismatch(mismatch),
            },
            OrderOutcome::SchemaMismatch { faults } => {
                let faults = faults.iter().take(MAX_FAULTS).map(|fault| short(fault)).collect();
                AttemptOutcome::SchemaMismatch(SchemaMismatch { faults })
            }
            OrderOutcome::Failed { message, transient } => {
                AttemptOutcome::Failed { message: short(&message), transient }
            }
            OrderOutcome::TimedOut => AttemptOutcome::TimedOut,
            OrderOutcome::TokensExhausted => AttemptOutcome::TokensExhausted,
        };
        let ended = Ended {
            outcome,
            tokens_in: report.tokens_in,
            tokens_out: report.tokens_out,
            estimated: report.tokens_estimated,
            elapsed_us: report.elapsed_us,
            retry_after: report.retry_after_ms.map(Duration::from_millis),
        };
        self.end(task, attempt, ended, round)
    }

    /// An attempt ended: what was spent at it by all nodes together is told to the engine.
    fn end(
        &mut self,
        task: TaskIndex,
        attempt: u32,
        ended: Ended,
        round: &mut Round,
    ) -> Result<(), WriteRefused> {
        let known = self.under_way.remove(&task);
        let (spent_tokens, spent_us, estimated) =
            known.map_or((0, 0, false), |known| (known.spent_tokens, known.spent_us, known.estimated));
        let is_model = self.writer.graph().task(task).task_type.is_model();
        let waits = is_model && matches!(ended.outcome, AttemptOutcome::Failed { .. });
        let report = AttemptReport {
            task,
            attempt,
            elapsed_us: ended.elapsed_us.saturating_add(spent_us),
            usage: Usage {
                tokens_in: ended.tokens_in,
                tokens_out: ended.tokens_out.saturating_add(spent_tokens),
                estimated: ended.estimated || estimated,
            },
            outcome: ended.outcome,
        };
        let at = self.at();
        let (next, batch) = self.writer.report(&at, report)?;
        round.add(batch);
        if let Next::Retry { attempt, time_left_us } = next {
            // What an operation waits for is nothing that time would bring.
            let config = &self.inner.config;
            let wait = if waits { config.backoff.before(attempt, ended.retry_after) } else { Duration::ZERO };
            self.wait(task, wait.min(Duration::from_micros(time_left_us)));
        }
        Ok(())
    }

    fn wait(&mut self, task: TaskIndex, wait: Duration) {
        let since = Instant::now();
        self.waits.insert(task, Wait { since, until: since + wait });
    }

    /// Ends the waits that are over.
    fn resume(&mut self, round: &mut Round) -> Result<(), WriteRefused> {
        let now = Instant::now();
        let over: Vec<(TaskIndex, Wait)> = self
            .waits
            .iter()
            .filter(|(_, wait)| wait.until <= now)
            .map(|(&task, &wait)| (task, wait))
            .collect();
        for (task, wait) in over {
            self.waits.remove(&task);
            if self.writer.is_finished() {
                continue;
            }
            let at = self.at();
            let waited_us = micros(now.saturating_duration_since(wait.since));
            let (_, batch) = self.writer.resume(&at, task, waited_us)?;
            round.add(batch);
            self.stop_unwanted(round)?;
        }
        Ok(())
    }

    fn start(&mut self, start: Start, again: bool) {
        let graph = self.graph();
        let task = graph.task(start.task);
        let (index, number) = (start.task, start.attempt);
        let (tokens_left, time_left_us) = (start.tokens_left, start.time_left_us);
        let Ok(unit) = WorkUnitId::new(task.id.as_str()) else { return };
        let Some(body) = Body::new(&graph, start) else { return };
        let attempt = Attempt {
            number,
            unit,
            body: Arc::new(body),
            high: self.high || is_urgent(task),
            tokens_left,
            time_left_us,
            lost: 0,
            spent_tokens: 0,
            spent_us: 0,
            // What was spent at it before a crash, nobody told.
            estimated: again && task.task_type.is_model(),
            unwanted: false,
        };
        self.under_way.insert(index, attempt);
    }

    /// Makes what was found durable; only then anybody is told, and anything given.
    async fn settle(&mut self, round: Round) -> Result<(), Stuck> {
        let Round { batches, done, orders, .. } = round;
        let wrote = !batches.is_empty();
        self.write(batches).await?;
        for (task, done) in done {
            self.inner.desk.settled(&self.id, task);
            done.send_replace(Some(true));
        }
        let ended = self.writer.has_ended();
        if ended {
            let report = self.writer.report_document(&self.request_id, &self.inner.config.prices);
            self.inner.ended(&self.id, &report);
            self.answer(report, u64::MAX);
            self.seen(Stage::Ended);
            return Ok(());
        }
        if wrote {
            self.seen(Stage::Accepted);
        }
        for task in orders {
            if let Some(order) = self.order(task) {
                self.inner.desk.offer(order);
            }
        }
        let asked = self.post.asked();
        if asked > self.answered {
            let report = self.writer.report_document(&self.request_id, &self.inner.config.prices);
            self.answer(report, asked);
        }
        Ok(())
    }

    fn answer(&mut self, report: krako_contract::SessionReport, asked: u64) {
        self.answered = asked;
        self.post.document.send_replace(Some(Arc::new(Document { answers: asked, report })));
    }

    fn order(&self, task: TaskIndex) -> Option<Order> {
        let attempt = self.under_way.get(&task)?;
        Some(Order {
            tenant: self.tenant.clone(),
            session: self.id.clone(),
            task,
            unit: attempt.unit.clone(),
            attempt: attempt.number,
            high: attempt.high,
            tokens_left: attempt.tokens_left.saturating_sub(attempt.spent_tokens),
            time_left_us: attempt.time_left_us.saturating_sub(attempt.spent_us),
            queued: Instant::now(),
            post: Arc::clone(&self.post),
            body: Arc::clone(&attempt.body),
        })
    }

    /// Appends whole batches, as many at once as may be. A log without room is waited for: nothing that happened is lost.
    async fn write(&mut self, batches: Vec<Vec<Event>>) -> Result<(), Stuck> {
        if batches.is_empty() {
            return Ok(());
        }
        let together: Vec<Event> = batches.iter().flatten().cloned().collect();
        match self.append(&together).await {
            Ok(()) => Ok(()),
            Err(AppendError::TooLarge { .. }) if batches.len() > 1 => {
                for batch in &batches {
                    self.append(batch).await?;
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A submission that finds no room is refused, and not waited for: its caller has it still.
    async fn append(&mut self, events: &[Event]) -> Result<(), AppendError> {
        loop {
            let appended = match &self.submitted {
                None => self.inner.log.append_events(&self.id, events).await,
                Some(submitted) => match self.inner.log.append_session(submitted, events).await {
                    Err(NotBegun::Submission(error)) => return Err(error),
                    begun @ (Ok(()) | Err(NotBegun::Events(_))) => {
                        self.submitted = None;
                        begun.map_err(NotBegun::cause)
                    }
                },
            };
            match appended {
                Err(AppendError::Full(_)) => tokio::time::sleep(self.inner.config.log_retry).await,
                Err(error) => return Err(error),
                Ok(()) => {
                    self.inner.account(&self.tenant, events);
                    return Ok(());
                }
            }
        }
    }

    /// When it has to look again though nobody tells it anything.
    fn next_moment(&self) -> Option<Instant> {
        let waits = self.waits.values().map(|wait| wait.until).min();
        let latency =
            self.writer.graph().budgets().max_latency_ms().filter(|_| self.writer.stopping().is_none());
        let deadline = latency.and_then(|max| {
            let left = Duration::from_millis(max).saturating_sub(self.elapsed());
            Instant::now().checked_add(left)
        });
        waits.into_iter().chain(deadline).min()
    }
}

/// How an attempt ended, as the last node that was at it told.
#[derive(Debug)]
struct Ended {
    outcome: AttemptOutcome,
    tokens_in: u64,
    tokens_out: u64,
    estimated: bool,
    elapsed_us: u64,
    retry_after: Option<Duration>,
}

impl Ended {
    fn of(outcome: AttemptOutcome) -> Self {
        Self { outcome, tokens_in: 0, tokens_out: 0, estimated: false, elapsed_us: 0, retry_after: None }
    }
}

fn short(text: &str) -> String {
    Remark::new(text).as_str().to_owned()
}

/// Why a session goes no further in this process.
#[derive(Debug)]
enum Stuck {
    Log(String),
    Bug(WriteRefused),
}

impl Stuck {
    fn stage(self) -> Stage {
        match self {
            Self::Log(why) => Stage::Stuck { why, is_bug: false },
            Self::Bug(refused) => {
                Stage::Stuck { why: format!("a bug of the fabric: {refused}"), is_bug: true }
            }
        }
    }
}

impl From<WriteRefused> for Stuck {
    fn from(refused: WriteRefused) -> Self {
        Self::Bug(refused)
    }
}

impl From<AppendError> for Stuck {
    fn from(error: AppendError) -> Self {
        Self::Log(error.to_string())
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
