//! An event of a session: an envelope that says which, of what and when, and a payload (C5.4).

mod envelope;
mod intake;
mod kind;
mod payload;
mod sequence;

pub use self::envelope::{Event, Happening, SessionEvent, UnitEvent, UnitHappening, UnknownEvent};
pub use self::intake::{EventIntake, Taken, WrongEvent};
pub use self::kind::EventKind;
pub use self::payload::{
    AttemptEnd, Claimed, Completed, Completion, Ending, Failed, ScheduleReason, Scheduled, SessionEnded,
    SessionStarted, SessionStopping, Skip, Started, Stopped, Stopping, Validated,
};
pub use self::sequence::{InvalidSequence, Sequence};
