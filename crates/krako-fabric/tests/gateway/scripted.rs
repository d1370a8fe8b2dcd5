//! Sessions that are scripted: one run of the examples, told as far as a test says, and errors on demand.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use krako_contract::{
    CapabilitiesDocument, Document, ErrorResponse, ErrorType, Event, HealthDocument, Sequence, SessionId,
    SessionReport, Submission, TenantId, UsageReport, WireLimits, read,
};
use krako_fabric::{EventPage, Sessions};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

const EXAMPLES: [&str; 5] = [
    include_str!("../../../krako-contract/examples/session-running.json"),
    include_str!("../../../krako-contract/examples/session-success.json"),
    include_str!("../../../krako-contract/examples/usage.json"),
    include_str!("../../../krako-contract/examples/health.json"),
    include_str!("../../../krako-contract/examples/capabilities.json"),
];
/// Events of one page.
const PAGE: usize = 4;

/// What happens to every call.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    Good,
    Fails(Box<ErrorResponse>),
    Panics,
    /// Waits until [`ScriptedSessions::release`] lets one go on.
    Holds,
    /// Events without end, each a megabyte.
    Pours,
}

/// The scripted sessions. `ses_1` is northwind's, and so is whatever is submitted.
#[derive(Debug)]
pub(crate) struct ScriptedSessions {
    mood: Mutex<Mood>,
    shown: watch::Sender<usize>,
    released: Semaphore,
    calls: Mutex<Vec<String>>,
    submitted: Mutex<BTreeMap<(TenantId, String), String>>,
}

pub(crate) fn example<D: Document>(index: usize) -> D {
    read(EXAMPLES[index].as_bytes(), &WireLimits::default()).unwrap()
}

pub(crate) fn events() -> Vec<Event> {
    let lines = include_str!("../../../krako-contract/examples/events.jsonl").lines();
    lines.map(|line| Event::read(line.as_bytes(), &WireLimits::default()).unwrap()).collect()
}

impl ScriptedSessions {
    pub(crate) fn new() -> Self {
        Self {
            mood: Mutex::new(Mood::Good),
            shown: watch::channel(events().len()).0,
            released: Semaphore::new(0),
            calls: Mutex::default(),
            submitted: Mutex::default(),
        }
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// How many events have happened; with all of them the session has ended.
    pub(crate) fn show(&self, events: usize) {
        self.shown.send_replace(events);
    }

    pub(crate) fn release(&self) {
        self.released.add_permits(1);
    }

    /// What was asked, of which tenant.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    fn has_ended(&self) -> bool {
        *self.shown.borrow() >= events().len()
    }

    async fn called(&self, what: &str) -> Result<(), ErrorResponse> {
        self.calls.lock().unwrap().push(what.to_owned());
        let mood = self.mood.lock().unwrap().clone();
        match mood {
            Mood::Good | Mood::Pours => Ok(()),
            Mood::Fails(error) => Err(*error),
            Mood::Panics => panic!("scripted"),
            Mood::Holds => {
                self.released.acquire().await.unwrap().forget();
                Ok(())
            }
        }
    }

    fn unknown(tenant: &TenantId, session: &SessionId) -> Option<ErrorResponse> {
        let is_known = tenant.as_str() == "northwind" && session.as_str() == "ses_1";
        let message = "there is no such session of this tenant";
        (!is_known).then(|| ErrorResponse::new(ErrorType::NotFound, message))
    }

    fn current(&self) -> SessionReport {
        example(usize::from(self.has_ended()))
    }
}

#[async_trait]
impl Sessions for ScriptedSessions {
    async fn submit(
        &self,
        tenant: &TenantId,
        submission: Submission,
    ) -> Result<SessionReport, ErrorResponse> {
        self.called(&format!("submit {tenant}")).await?;
        let anchor = submission.anchor();
        if anchor.tenant_id.as_ref().is_some_and(|named| named != tenant) {
            return Err(ErrorResponse::new(ErrorType::Forbidden, "the graph names another tenant"));
        }
        let key = (tenant.clone(), anchor.request_id.to_string());
        let digest = submission.graph().digest().to_string();
        let mut submitted = self.submitted.lock().unwrap();
        if submitted.entry(key).or_insert_with(|| digest.clone()) != &digest {
            return Err(ErrorResponse::new(
                ErrorType::Conflict,
                "this `request_id` was used for another graph",
            ));
        }
        Ok(self.current())
    }

    async fn report(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        wait: Duration,
    ) -> Result<SessionReport, ErrorResponse> {
        self.called(&format!("report {tenant} {session}")).await?;
        if let Some(error) = Self::unknown(tenant, session) {
            return Err(error);
        }
        let mut shown = self.shown.subscribe();
        let _ = timeout(wait, shown.wait_for(|shown| *shown >= events().len())).await;
        Ok(self.current())
    }

    async fn events(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        after: Option<Sequence>,
        wait: Duration,
    ) -> Result<EventPage, ErrorResponse> {
        self.called(&format!("events {tenant} {session}")).await?;
        if let Some(error) = Self::unknown(tenant, session) {
            return Err(error);
        }
        let after = usize::try_from(after.map_or(0, Sequence::number)).unwrap();
        if matches!(*self.mood.lock().unwrap(), Mood::Pours) {
            return Ok(EventPage { events: vec![fat(after + 1)], ended: false });
        }
        let all = events();
        if after > *self.shown.borrow() {
            return Err(ErrorResponse::new(ErrorType::ValidationError, "`Last-Event-ID` is beyond the log"));
        }
        let mut shown = self.shown.subscribe();
        let _ = timeout(wait, shown.wait_for(|shown| *shown > after || *shown >= all.len())).await;
        let until = (*shown.borrow()).min(after + PAGE);
        Ok(EventPage { events: all[after..until].to_vec(), ended: until >= all.len() })
    }

    async fn cancel(&self, tenant: &TenantId, session: &SessionId) -> Result<SessionReport, ErrorResponse> {
        self.called(&format!("cancel {tenant} {session}")).await?;
        if let Some(error) = Self::unknown(tenant, session) {
            return Err(error);
        }
        Ok(self.current())
    }

    async fn usage(&self, tenant: &TenantId) -> Result<UsageReport, ErrorResponse> {
        self.called(&format!("usage {tenant}")).await?;
        Ok(example(2))
    }

    async fn health(&self) -> Result<HealthDocument, ErrorResponse> {
        self.called("health").await?;
        Ok(example(3))
    }

    async fn capabilities(&self) -> Result<CapabilitiesDocument, ErrorResponse> {
        self.called("capabilities").await?;
        Ok(example(4))
    }
}

fn fat(sequence: usize) -> Event {
    let text = format!(
        r#"{{"event_id":"e{sequence}","type":"x.fat","contract_version":"1.0.0","timestamp":"2026-03-09T07:41:00Z","execution_session_id":"ses_1","graph_id":"g","sequence":{sequence},"work_unit_id":null,"payload":"{}"}}"#,
        "x".repeat(1 << 20)
    );
    Event::read(text.as_bytes(), &WireLimits::default()).unwrap()
}
