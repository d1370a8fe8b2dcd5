//! The envelope, read with its payload: what each kind of event must say is in its type.

use serde::de::DeserializeOwned;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::payload::{
    AttemptEnd, Claimed, Completed, Completion, Failed, ScheduleReason, Scheduled, SessionEnded,
    SessionStarted, SessionStopping, Started, Stopped, Validated,
};
use super::{EventKind, Sequence};
use crate::json::Json;
use crate::reading::{fields, negotiate, text};
use crate::version::{CONTRACT_VERSION, Declares};
use crate::{
    EventId, GraphId, InvalidDocument, SessionId, StopReason, Timestamp, Validation, WireLimits, WorkUnitId,
};

const NAME: &str = "event";

/// One event, consistent in itself. Whether it belongs here is for [`EventIntake`](super::EventIntake) to say, and
/// whether it can be true for the engine.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "Krako's envelope, and what orders it")]
pub struct Event {
    /// Globally unique.
    pub event_id: EventId,
    /// When, in UTC. For people: no decision is taken from it.
    pub timestamp: Timestamp,
    /// The session.
    pub execution_session_id: SessionId,
    /// The graph, as KORA wrote its id.
    pub graph_id: GraphId,
    /// The event's place in the session.
    pub sequence: Sequence,
    /// What happened.
    pub happening: Happening,
}

/// What happened: to the session, to one unit, or something that this version does not know.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "an event is of the session, of a unit, or not known")]
pub enum Happening {
    /// To the session. Its `work_unit_id` is null and its `attempt_index` 0.
    Session(SessionEvent),
    /// To a work unit.
    Unit(UnitHappening),
    /// An event of a newer MINOR: it has a place in the session, and means nothing here.
    Unknown(UnknownEvent),
}

/// Something that happened to a work unit.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "to whom, in which attempt, what")]
pub struct UnitHappening {
    /// The unit.
    pub work_unit_id: WorkUnitId,
    /// The attempt, counted from 0.
    pub attempt_index: u32,
    /// What.
    pub event: UnitEvent,
}

/// What can happen to a work unit.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "one for each name")]
pub enum UnitEvent {
    /// `workunit.scheduled`
    Scheduled(Scheduled),
    /// `workunit.claimed`
    Claimed(Claimed),
    /// `workunit.started`
    Started(Started),
    /// `workunit.validated`
    Validated(Validated),
    /// `workunit.completed`
    Completed(Completed),
    /// `workunit.failed`
    Failed(Failed),
    /// `workunit.stopped`
    Stopped(Stopped),
    /// `llm.invocation.started`
    LlmStarted(Started),
    /// `llm.invocation.completed`
    LlmCompleted(AttemptEnd),
    /// `llm.invocation.failed`
    LlmFailed(AttemptEnd),
}

/// What can happen to a session.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "one for each name")]
pub enum SessionEvent {
    /// `execution.session.started`
    Started(SessionStarted),
    /// `execution.session.stopping`
    Stopping(SessionStopping),
    /// `execution.session.completed`
    Completed(SessionEnded),
    /// `execution.session.failed`
    Failed(SessionEnded),
}

/// An event whose name is not known here. Kept as it came, so that it can be passed on.
#[derive(Clone, Debug, PartialEq)]
pub struct UnknownEvent {
    name: String,
    work_unit_id: Option<WorkUnitId>,
    attempt_index: u32,
    payload: Json,
}

impl UnknownEvent {
    /// Its name: at most 64 bytes of what names of events are made of.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl UnitEvent {
    /// Its name.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Scheduled(_) => EventKind::UnitScheduled,
            Self::Claimed(_) => EventKind::UnitClaimed,
            Self::Started(_) => EventKind::UnitStarted,
            Self::Validated(_) => EventKind::UnitValidated,
            Self::Completed(_) => EventKind::UnitCompleted,
            Self::Failed(_) => EventKind::UnitFailed,
            Self::Stopped(_) => EventKind::UnitStopped,
            Self::LlmStarted(_) => EventKind::LlmStarted,
            Self::LlmCompleted(_) => EventKind::LlmCompleted,
            Self::LlmFailed(_) => EventKind::LlmFailed,
        }
    }
}

impl SessionEvent {
    /// Its name.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Started(_) => EventKind::SessionStarted,
            Self::Stopping(_) => EventKind::SessionStopping,
            Self::Completed(_) => EventKind::SessionCompleted,
            Self::Failed(_) => EventKind::SessionFailed,
        }
    }
}

/// The fields, as text where another of them says how to read them.
#[derive(Debug, Deserialize)]
struct Fields<'d> {
    event_id: EventId,
    #[serde(rename = "type")]
    name: String,
    timestamp: Timestamp,
    execution_session_id: SessionId,
    graph_id: GraphId,
    sequence: Sequence,
    work_unit_id: Option<WorkUnitId>,
    #[serde(default)]
    attempt_index: u32,
    #[serde(borrow)]
    payload: &'d RawValue,
}

impl Event {
    /// Reads an event that somebody else wrote. Fields that this version does not know are accepted (S12).
    ///
    /// # Errors
    ///
    /// [`InvalidDocument`] says what is wrong, where, and how to mend it.
    pub fn read(bytes: &[u8], limits: &WireLimits) -> Result<Self, InvalidDocument> {
        let text = text(bytes, NAME, limits.max_event_bytes)?;
        negotiate(text, NAME, Declares::Contract)?;
        let read: Fields<'_> = fields(text, NAME)?;
        let happening = match EventKind::from_word(&read.name) {
            Some(kind) if kind.is_of_session() => {
                if read.work_unit_id.is_some() {
                    return Err(wrong("/work_unit_id", "an event of a session is of no unit; write null"));
                }
                if read.attempt_index != 0 {
                    return Err(wrong("/attempt_index", "an event of a session is of no attempt; write 0"));
                }
                Happening::Session(session_event(kind, read.payload)?)
            }
            Some(kind) => {
                let Some(work_unit_id) = read.work_unit_id else {
                    return Err(wrong("/work_unit_id", "an event of a unit names it"));
                };
                let event = unit_event(kind, read.payload)?;
                Happening::Unit(UnitHappening { work_unit_id, attempt_index: read.attempt_index, event })
            }
            None => {
                let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
                if !(1..=64).contains(&read.name.len()) || !read.name.bytes().all(named) {
                    return Err(wrong("/type", "a name is 1 to 64 letters, digits, `.`, `_` or `-`"));
                }
                Happening::Unknown(UnknownEvent {
                    name: read.name,
                    work_unit_id: read.work_unit_id,
                    attempt_index: read.attempt_index,
                    payload: payload(read.payload)?,
                })
            }
        };
        Ok(Self {
            event_id: read.event_id,
            timestamp: read.timestamp,
            execution_session_id: read.execution_session_id,
            graph_id: read.graph_id,
            sequence: read.sequence,
            happening,
        })
    }

    /// The event as one line of JSON.
    pub fn write(&self) -> String {
        // Names, numbers, words and JSON: nothing in it fails to be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The event's name.
    pub fn name(&self) -> &str {
        match &self.happening {
            Happening::Session(event) => event.kind().as_str(),
            Happening::Unit(unit) => unit.event.kind().as_str(),
            Happening::Unknown(unknown) => &unknown.name,
        }
    }
}

fn wrong(pointer: &str, message: &str) -> InvalidDocument {
    InvalidDocument::field(NAME, pointer, message)
}

/// Reads a payload, with places counted from the top of the event.
fn payload<T: DeserializeOwned>(raw: &RawValue) -> Result<T, InvalidDocument> {
    fields(raw.get(), NAME).map_err(|error| match error {
        InvalidDocument::Field { document, pointer, message } => {
            InvalidDocument::Field { document, pointer: format!("/payload{pointer}"), message }
        }
        // Positions of a parser that began at the payload.
        InvalidDocument::Syntax { message, .. } => wrong("/payload", &message),
        other @ (InvalidDocument::TooLarge { .. }
        | InvalidDocument::NotUtf8 { .. }
        | InvalidDocument::Version(_)) => other,
    })
}

/// A payload that is an object, as all that are known here.
fn object<T: DeserializeOwned>(raw: &RawValue) -> Result<T, InvalidDocument> {
    if raw.get().starts_with('{') { payload(raw) } else { Err(wrong("/payload", "this is no JSON object")) }
}

fn session_event(kind: EventKind, raw: &RawValue) -> Result<SessionEvent, InvalidDocument> {
    Ok(match kind {
        EventKind::SessionStarted => SessionEvent::Started(object(raw)?),
        EventKind::SessionStopping => SessionEvent::Stopping(object(raw)?),
        EventKind::SessionCompleted => {
            let ended: SessionEnded = object(raw)?;
            if ended.stop_reason != Some(StopReason::Success) || ended.failure.is_some() {
                return Err(wrong(
                    "/payload/stop_reason",
                    "a session completes for `success`, without a failure",
                ));
            }
            SessionEvent::Completed(ended)
        }
        EventKind::SessionFailed => {
            let ended: SessionEnded = object(raw)?;
            match (ended.stop_reason, &ended.failure) {
                (Some(reason), Some(failure))
                    if crate::mapping::categories(reason).contains(&failure.error_type) => {}
                // Cancelled.
                (None, None) => {}
                (Some(_), _) | (None, Some(_)) => {
                    let message = "a session fails for a reason and with a failure that goes with it";
                    return Err(wrong("/payload/failure", message));
                }
            }
            SessionEvent::Failed(ended)
        }
        EventKind::UnitScheduled
        | EventKind::UnitClaimed
        | EventKind::UnitStarted
        | EventKind::UnitValidated
        | EventKind::UnitCompleted
        | EventKind::UnitFailed
        | EventKind::UnitStopped
        | EventKind::LlmStarted
        | EventKind::LlmCompleted
        | EventKind::LlmFailed => return Err(wrong("/type", "this is an event of a unit")),
    })
}

fn unit_event(kind: EventKind, raw: &RawValue) -> Result<UnitEvent, InvalidDocument> {
    Ok(match kind {
        EventKind::UnitScheduled => UnitEvent::Scheduled(scheduled(object(raw)?)?),
        EventKind::UnitClaimed => UnitEvent::Claimed(object(raw)?),
        EventKind::UnitStarted => UnitEvent::Started(object(raw)?),
        EventKind::UnitValidated => UnitEvent::Validated(validated(object(raw)?)?),
        EventKind::UnitCompleted => {
            let completed: Completed = object(raw)?;
            if (completed.status == Completion::Skipped) != completed.skip_reason.is_some() {
                return Err(wrong("/payload/skip_reason", "what was skipped has a reason, and nothing else"));
            }
            UnitEvent::Completed(completed)
        }
        EventKind::UnitFailed => UnitEvent::Failed(object(raw)?),
        EventKind::UnitStopped => UnitEvent::Stopped(object(raw)?),
        EventKind::LlmStarted => UnitEvent::LlmStarted(object(raw)?),
        EventKind::LlmCompleted => {
            let end: AttemptEnd = object(raw)?;
            if !crate::mapping::is_reply(end.ended) {
                return Err(wrong("/payload/ended", "an invocation that completed brought a reply"));
            }
            UnitEvent::LlmCompleted(end)
        }
        EventKind::LlmFailed => {
            let end: AttemptEnd = object(raw)?;
            if crate::mapping::is_reply(end.ended) {
                return Err(wrong("/payload/ended", "an invocation that failed brought no reply"));
            }
            UnitEvent::LlmFailed(end)
        }
        EventKind::SessionStarted
        | EventKind::SessionStopping
        | EventKind::SessionCompleted
        | EventKind::SessionFailed => return Err(wrong("/type", "this is an event of a session")),
    })
}

/// Each reason has its field, and no other.
fn scheduled(scheduled: Scheduled) -> Result<Scheduled, InvalidDocument> {
    let (retry, resumed, escalation) = match scheduled.reason {
        ScheduleReason::Ready => (false, false, false),
        ScheduleReason::Retry => (true, false, false),
        ScheduleReason::Resumed => (false, true, false),
        ScheduleReason::Escalation => (false, false, true),
    };
    let fits = scheduled.because.is_some() == retry
        && (retry || scheduled.attempt_end.is_none())
        && scheduled.waited_us.is_some() == resumed
        && scheduled.escalated_from.is_some() == escalation;
    let message =
        "`because` goes with `retry`, `waited_us` with `resumed`, `escalated_from` with `escalation`";
    if fits { Ok(scheduled) } else { Err(wrong("/payload/reason", message)) }
}

fn validated(validated: Validated) -> Result<Validated, InvalidDocument> {
    if validated.faults.len() > 8 {
        return Err(wrong("/payload/faults", "at most 8 are told"));
    }
    match (validated.validation_status, &validated.output) {
        (Validation::Pass, Some(_)) if validated.faults.is_empty() => Ok(validated),
        (Validation::Fail, None) => Ok(validated),
        (Validation::Pass, _) => Err(wrong("/payload/output", "what passed is there, and has no faults")),
        (Validation::Fail, Some(_)) => {
            Err(wrong("/payload/output", "what a schema refused does not travel; leave it out"))
        }
        (Validation::Skipped, _) => Err(wrong("/payload/validation_status", "write `pass` or `fail`")),
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (unit, attempt) = match &self.happening {
            Happening::Session(_) => (None, 0),
            Happening::Unit(unit) => (Some(&unit.work_unit_id), unit.attempt_index),
            Happening::Unknown(unknown) => (unknown.work_unit_id.as_ref(), unknown.attempt_index),
        };
        let mut envelope = serializer.serialize_struct("Event", 10)?;
        envelope.serialize_field("event_id", &self.event_id)?;
        envelope.serialize_field("type", self.name())?;
        envelope.serialize_field("contract_version", CONTRACT_VERSION)?;
        envelope.serialize_field("timestamp", &self.timestamp)?;
        envelope.serialize_field("execution_session_id", &self.execution_session_id)?;
        envelope.serialize_field("graph_id", &self.graph_id)?;
        envelope.serialize_field("sequence", &self.sequence)?;
        envelope.serialize_field("work_unit_id", &unit)?;
        envelope.serialize_field("attempt_index", &attempt)?;
        match &self.happening {
            Happening::Session(SessionEvent::Started(payload)) => {
                envelope.serialize_field("payload", payload)
            }
            Happening::Session(SessionEvent::Stopping(payload)) => {
                envelope.serialize_field("payload", payload)
            }
            Happening::Session(SessionEvent::Completed(payload) | SessionEvent::Failed(payload)) => {
                envelope.serialize_field("payload", payload)
            }
            Happening::Unit(unit) => match &unit.event {
                UnitEvent::Scheduled(payload) => envelope.serialize_field("payload", payload),
                UnitEvent::Claimed(payload) => envelope.serialize_field("payload", payload),
                UnitEvent::Started(payload) | UnitEvent::LlmStarted(payload) => {
                    envelope.serialize_field("payload", payload)
                }
                UnitEvent::Validated(payload) => envelope.serialize_field("payload", payload),
                UnitEvent::Completed(payload) => envelope.serialize_field("payload", payload),
                UnitEvent::Stopped(payload) => envelope.serialize_field("payload", payload),
                UnitEvent::Failed(payload) => envelope.serialize_field("payload", payload),
                UnitEvent::LlmCompleted(payload) | UnitEvent::LlmFailed(payload) => {
                    envelope.serialize_field("payload", payload)
                }
            },
            Happening::Unknown(unknown) => envelope.serialize_field("payload", &unknown.payload),
        }?;
        envelope.end()
    }
}
