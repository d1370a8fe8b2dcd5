//! The reference Krako: a gateway, orchestration that drives the engine, and workers that pull (contract §5).
//!
//! Three parts with one seam between each two, so that they run in one process or in many:
//!
//! ```text
//! callers ── gateway ──[ Sessions ]── orchestrator ──[ NodeDesk ]── workers (cpu, llm_pod)
//!                                         │
//!                                     event log ── ledger, replay
//! ```
mod clock;

mod log;

mod node;
mod sessions;

pub use crate::clock::{SystemWallClock, WallClock};
pub use crate::log::{
    AppendError, BadBatch, Cut, EventLog, LogError, LogLimits, LogReader, MemoryDisk, MemoryStorage, Opened,
    ReadSegments, Recorded, Segment, SegmentNumber, Standing, Submitted, WriteSegments,
};
pub use crate::node::{
    Claim, Heartbeat, HeartbeatAnswer, LeaseId, LeaseProgress, NodeDesk, NodeError, Offer, OrderOutcome,
    OrderReport, OrderWork, OrderedMessage, WorkOrder,
};
pub use crate::sessions::{EventPage, Sessions};
