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
mod config;

mod log;

mod ledger;
mod replay;

mod node;
mod sessions;

mod orchestrator;
pub mod worker;

mod listen;
mod tenants;

mod certificates;
mod gateway;
mod remote;

pub use crate::certificates::{DevelopmentAuthority, DevelopmentError};
pub use crate::clock::{SystemWallClock, WallClock};
pub use crate::config::{Execution, NodeConfig, OrchestratorConfig};
pub use crate::gateway::{Gateway, GatewayConfig};
pub use crate::ledger::{Ledger, LedgerGap};
pub use crate::listen::{
    Accept, Accepted, Drained, InvalidIdentity, ListenLimits, TcpAccept, TlsIdentity, Wire,
};
pub use crate::log::{
    AppendError, BadBatch, Cut, EventLog, FileReader, FileStorage, LogError, LogLimits, LogReader,
    MemoryDisk, MemoryStorage, NotBegun, Opened, ReadSegments, Recorded, Segment, SegmentNumber, Standing,
    Submitted, WriteSegments,
};
pub use crate::node::{
    Claim, Heartbeat, HeartbeatAnswer, LeaseId, LeaseProgress, NodeDesk, NodeError, Offer, OrderOutcome,
    OrderReport, OrderWork, OrderedMessage, WorkOrder,
};
pub use crate::orchestrator::{Load, NotOpened, Orchestrator};
pub use crate::remote::{Desk, DeskConfig, RemoteDesk, RemoteSessions};
pub use crate::replay::{ReplayError, ReplayOptions, Replayed, replay, replay_records};
pub use crate::sessions::{EventPage, Sessions};
pub use crate::tenants::{
    Holder, InvalidToken, Token, TokenDigest, TokenFile, TokenFileError, TokenLine, Tokens,
};
