//! KORA's words and Krako's: one table a file, each member written out, so that a new one is a compile error here.

mod billing;
mod capability;
mod failure;
mod health;
mod refusal;
mod run_event;
mod stage;
mod telemetry;
mod work_unit;

pub use self::billing::line_item;
pub use self::capability::{capabilities, capabilities_document};
pub use self::failure::{categories, category, error_category, failure, stop_reason, unit_failure};
pub use self::health::{health_document, status};
pub use self::refusal::{refusal, response};
pub use self::run_event::{Beside, NotPublishable, Publisher, WrongUnit, is_reply, run_events};
pub use self::stage::{event_kinds, stage, stage_of_state, state};
pub use self::telemetry::{Difference, compare, session_telemetry};
pub use self::work_unit::{WrongSession, audit, execution_session, kind, work_unit};
