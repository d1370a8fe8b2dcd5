//! Follows a session to its end: its events as they come, taken up again where they were lost (C5.4).

use std::sync::Arc;
use std::time::Duration;

use backend_api::RunObserver;
use krako_contract::{Event, RequestId, Sequence, SessionId, SseReader};
use krako_session::{SessionReader, Taken};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::KrakoLimits;
use crate::backoff::Backoff;
use crate::fabric::{Fabric, NoAnswer};

/// Streams in a row that leave events out before that is held against the fabric.
const MAX_GAPS: u32 = 3;

/// A caller who follows one session.
pub(crate) struct Follower {
    pub(crate) fabric: Fabric,
    pub(crate) session: SessionId,
    pub(crate) request_id: RequestId,
    pub(crate) reader: SessionReader,
    pub(crate) observer: Option<Arc<dyn RunObserver>>,
    pub(crate) limits: KrakoLimits,
    pub(crate) backoff: Backoff,
    // When the fabric last said something that went on.
    pub(crate) heard: Instant,
    /// Told once, when the session has begun.
    pub(crate) began: Arc<Notify>,
    gaps: u32,
}

/// Why a stream ended before the session did.
enum Cut {
    /// It may be taken up again. `None`: the fabric closed it.
    Passing(Option<NoAnswer>),
    /// It left events out.
    Gap(String),
    /// The run is given up, for this reason.
    Final(String),
}

impl From<NoAnswer> for Cut {
    fn from(error: NoAnswer) -> Self {
        if error.may_pass() { Self::Passing(Some(error)) } else { Self::Final(error.to_string()) }
    }
}

impl Follower {
    pub(crate) fn new(
        fabric: Fabric,
        session: SessionId,
        request_id: RequestId,
        reader: SessionReader,
        observer: Option<Arc<dyn RunObserver>>,
        limits: KrakoLimits,
        backoff: Backoff,
    ) -> Self {
        let heard = Instant::now();
        Self {
            fabric,
            session,
            request_id,
            reader,
            observer,
            limits,
            backoff,
            heard,
            began: Arc::default(),
            gaps: 0,
        }
    }

    /// Takes events until the session has ended.
    ///
    /// # Errors
    ///
    /// Why the run is given up: the fabric was found out, or is gone for longer than `outage_patience_ms`.
    ///
    /// # Cancel safety
    ///
    /// What was taken stays taken.
    pub(crate) async fn follow(&mut self) -> Result<(), String> {
        while !self.reader.has_ended() {
            let before = self.reader.last();
            let cut = match self.stream().await {
                Ok(()) => Cut::Passing(None),
                Err(cut) => cut,
            };
            if self.reader.has_ended() && !matches!(cut, Cut::Final(_)) {
                break;
            }
            if self.reader.last() != before {
                self.progressed();
            }
            let why = match cut {
                Cut::Passing(why) => why,
                Cut::Gap(words) if self.gaps >= MAX_GAPS => return Err(words),
                Cut::Gap(_) => {
                    self.gaps += 1;
                    None
                }
                Cut::Final(words) => return Err(words),
            };
            let waited = self.wait(why.as_ref()).await;
            let poll = waited.is_err() || self.backoff.in_a_row() >= self.limits.polls_after;
            if poll && !self.poll().await? {
                // Its streams are lost, and so is everything else of it.
                waited?;
            }
        }
        Ok(())
    }

    fn progressed(&mut self) {
        self.heard = Instant::now();
        self.gaps = 0;
        self.backoff.reset();
    }

    /// Reads one stream to its end or the session's.
    async fn stream(&mut self) -> Result<(), Cut> {
        let mut stream = self.fabric.events(&self.session, self.reader.last()).await?;
        let mut frames = SseReader::new(self.fabric.wire().clone());
        let mut events = Vec::new();
        // Pulled one piece at a time: nothing is read that was not yet looked at.
        while let Some(bytes) = stream.next().await.map_err(NoAnswer::Transport)? {
            let pushed = frames.push(&bytes, &mut events);
            for event in events.drain(..) {
                self.take(&event)?;
            }
            pushed.map_err(|error| Cut::Final(format!("its stream of events cannot be read: {error}")))?;
            if self.reader.has_ended() {
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, event: &Event) -> Result<(), Cut> {
        match self.reader.take(event) {
            Ok(Taken::New(run_events)) => {
                self.heard = Instant::now();
                if event.sequence == Sequence::FIRST {
                    self.began.notify_one();
                }
                if let Some(observer) = &self.observer {
                    run_events.iter().for_each(|event| observer.observe(self.reader.graph(), event));
                }
                Ok(())
            }
            // At least once: it says nothing again.
            Ok(Taken::Again) => Ok(()),
            Err(found) if found.is_gap() => Err(Cut::Gap(found.to_string())),
            Err(found) => Err(Cut::Final(found.to_string())),
        }
    }

    /// Waits before the next try, unless patience is at its end.
    pub(crate) async fn wait(&mut self, why: Option<&NoAnswer>) -> Result<(), String> {
        let asked = why.and_then(NoAnswer::retry_after);
        let wait = self.backoff.failed(asked);
        let patience = Duration::from_millis(self.limits.outage_patience_ms);
        if (self.heard + patience).saturating_duration_since(Instant::now()) < wait {
            let said = why.map_or_else(
                || String::from("it closes the stream of events and says nothing more"),
                ToString::to_string,
            );
            return Err(format!("it was lost for {} ms: {said}", patience.as_millis()));
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Asks how far the session is, until there is something that the stream has to tell. Whether there is somebody who
    /// says that nothing is new: then nothing is lost, however long nothing happens.
    async fn poll(&mut self) -> Result<bool, String> {
        let known = self.reader.last().map_or(0, |last| last.number());
        let mut answers = false;
        loop {
            match self.fabric.report(&self.session).await {
                Ok(report) if report.last_sequence > known => return Ok(answers),
                // It has told all that it has to tell, and that is no end.
                Ok(report) if report.status.has_ended() => {
                    return self.reader.check(&report).map(|()| answers).map_err(|found| found.to_string());
                }
                // It is there, and there is nothing new.
                Ok(_) => {
                    answers = true;
                    self.heard = Instant::now();
                }
                // The stream is tried in any case; what is wrong it will meet as well.
                Err(error) if error.may_pass() => return Ok(answers),
                Err(error) => return Err(error.to_string()),
            }
            let pause = self.backoff.pause(self.limits.poll_ms);
            tokio::time::sleep(pause).await;
        }
    }
}
