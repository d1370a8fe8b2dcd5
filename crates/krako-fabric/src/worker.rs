//! Nodes that pull work: `cpu` nodes run operations, `llm_pod` nodes ask models (§5 of the contract).
//!
//! A node runs each attempt by the code that LocalBackend runs it by ([`backend_local::attempt`]), so where a work unit
//! runs changes nothing of what it means (C2.6). It knows nothing of a graph but the one unit that it claimed.

mod claiming;
mod cpu;
mod held;
mod kept;
mod pod;
mod reporting;

pub use self::cpu::CpuNode;
pub use self::pod::PodNode;
