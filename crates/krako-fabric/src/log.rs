//! The event log: what the fabric remembers (C5.4). One append-only file after the other, and everything else is a fold of it.
//!
//! Whoever appends waits until the record is durable; all that wait share one write and one sync. The format is
//! `docs/formats/event-log.md`.
mod error;
mod limits;

mod frame;
mod record;

mod files;
mod memory;
mod storage;

mod index;
mod scan;

mod event_log;
mod reader;
mod writer;

pub use self::error::{AppendError, BadBatch, Cut, LogError, NotBegun};
pub use self::event_log::{EventLog, Opened, Recorded, Standing};
pub use self::files::{FileReader, FileStorage};
pub use self::limits::LogLimits;
pub use self::memory::{MemoryDisk, MemoryStorage};
pub use self::reader::LogReader;
pub use self::record::Submitted;
pub use self::storage::{ReadSegments, Segment, SegmentNumber, WriteSegments};
