//! One attempt of one task, run to its end: the same code whoever drives it (C2.6).
//!
//! A driver knows the run, the clock and the room that there is. What an operation or a model makes of one attempt, what it
//! spent, and what its schema says of the output, is found here: for [`LocalBackend`](crate::LocalBackend), and for the
//! workers of a fleet, which hold one attempt and nothing else of its graph.

mod model;
mod operation;

pub use self::model::{Asked, Spending, ask};
pub use self::operation::{operate, out_of_time, prepare};
