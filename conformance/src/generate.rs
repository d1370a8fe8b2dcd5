//! Generated cases: random graphs × scripts × budgets, judged by the suite's plain backend and by relations between
//! runs, and shrunk to the smallest graph that still shows the fault.

mod family;
mod relations;
mod search;
mod world;

pub(crate) use self::family::{FAMILIES, Family};
pub(crate) use self::search::{Search, search};
