//! The conformance suite of the ExecutionBackend contract: the judge that no backend can talk its way past.
//!
//! A case is data: a graph, what the suite's own model answers, the outcomes that the contract allows. A backend is
//! plugged in in process, as a command, or by its URL, and is seen as documents only, so the same case gives the same
//! verdict everywhere. What a backend reports is held against what the suite's model saw.
mod case;
mod loopback;
pub mod model;
mod observation;
mod subject;

mod doctor;
mod draw;
mod generate;
mod harness;
mod judge;
mod run;
mod suite;

pub mod own;
pub mod self_test;

mod case_info;
pub mod registry;
mod report;
mod verdict;

mod day;
mod diff;
mod explain;
mod gate;
mod known;
mod verify;

pub use crate::case::{Allowed, Case, Requires, RunPlan};
pub use crate::case_info::{CaseBody, CaseInfo};
pub use crate::day::{Day, NotADay};
pub use crate::diff::{Change, ChangeKind, Diff, MeasureChange, Side, diff};
pub use crate::doctor::{Check, Health, doctor};
pub use crate::explain::{MutantInfo, Unexplained, explain};
pub use crate::gate::{Block, Decision, GateResult, Growth, Guards, Override, Policy, PolicyError, gate};
pub use crate::harness::harness;
pub use crate::known::{KnownFailure, KnownFailures, KnownFault};
pub use crate::loopback::AddressError;
pub use crate::observation::{Observation, RunEnd, SeenRun};
pub use crate::report::{
    CaseReport, ClauseReport, Finding, Known, Measure, Provenance, REPORT_SCHEMA_VERSION, Report,
    SubjectIdentity, SuiteIdentity, TimelineEntry,
};
pub use crate::run::{Progress, RunOptions, run_suite};
pub use crate::subject::{
    Carrier, Clock, CommandLineError, FabricPlug, Http, HttpLimits, InProcess, Introduction, Mishap, Plug,
    Stdio, StdioLimits, Subject, Transport,
};
pub use crate::suite::{CaseError, CaseFolder, Suite};
pub use crate::verdict::{Conformance, Verdict};
pub use crate::verify::{Fault, VerifiedReport, verify};
