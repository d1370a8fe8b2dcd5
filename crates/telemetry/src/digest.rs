//! The semantic digest: what a run meant, apart from when, where and at what price (S11).

use std::fmt;

use kora_ir::{GraphDigest, TaskIndex, TaskNames, TaskType, ValidatedOutput, write_canonical, write_string};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::entry::Entry;
use crate::{Stage, TaskStatus, TelemetryBundle, ValidationStatus};

/// Equal for two runs exactly if they are semantically equivalent (C2.6, C6.1).
///
/// SHA-256 over the canonical JSON (RFC 8785) of
///
/// ```json
/// {"graph": "sha256:…", "tasks": [{"escalated_to": "…", "failure": {"breach": "…", "error_type": "…"},
///  "output": …, "stages": "12357", "status": "…", "validation": "…"}]}
/// ```
///
/// with every task in canonical order, so that any language can compute it. What is absent is left out, and so is
/// whatever is as it is of a task that succeeded at once: a `status` of `success`, a `validation` of `pass`, the five
/// `stages` of its type. The graph's digest stands for types and ids, and determines their order. A stage is written as
/// its place in KORA's list of eight, counted from 1. What says nothing new would be most of what is hashed (decision 0012).
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct SemanticDigest([u8; 32]);

impl SemanticDigest {
    /// The digest of a run: its graph, its records, and each task's output in the same order.
    pub fn of<'o>(
        graph: &GraphDigest,
        bundle: &TelemetryBundle,
        outputs: impl IntoIterator<Item = Option<&'o ValidatedOutput>>,
    ) -> Self {
        let mut hash = Sha256::new();
        let mut text = Vec::with_capacity(FLUSH_BYTES * 2);
        text.extend_from_slice(format!("{{\"graph\":\"{graph}\",\"tasks\":[").as_bytes());
        let entries = bundle.names.indices().zip(&bundle.entries).zip(outputs);
        for (nth, ((index, entry), output)) in entries.enumerate() {
            if nth > 0 {
                text.push(b',');
            }
            write_task(index, entry, &bundle.names, output, &mut text);
            if text.len() >= FLUSH_BYTES {
                hash.update(&text);
                text.clear();
            }
        }
        text.extend_from_slice(b"]}");
        hash.update(&text);
        Self(hash.finalize().into())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Hashing larger pieces at once costs less a byte.
const FLUSH_BYTES: usize = 16 << 10;

fn write_task(
    index: TaskIndex,
    entry: &Entry,
    names: &TaskNames,
    output: Option<&ValidatedOutput>,
    text: &mut Vec<u8>,
) {
    text.push(b'{');
    let mut first = true;
    let mut member = |name: &[u8], text: &mut Vec<u8>| {
        text.extend_from_slice(if std::mem::take(&mut first) { b"" } else { b"," });
        text.extend_from_slice(name);
    };
    if let Some(to) = entry.escalated_to {
        member(b"\"escalated_to\":", text);
        write_string(names.id(to).as_str(), text);
    }
    if let Some(failure) = &entry.failure {
        member(b"\"failure\":{", text);
        if let Some(breach) = &failure.breach {
            text.extend_from_slice(b"\"breach\":");
            write_string(breach.cap.as_str(), text);
            text.push(b',');
        }
        text.extend_from_slice(b"\"error_type\":");
        write_string(failure.error_type.as_str(), text);
        text.push(b'}');
    }
    if let Some(output) = output {
        member(b"\"output\":", text);
        write_canonical(output.value(), text);
    }
    if entry.stages[..] != at_once(names.task_type(index)) {
        member(b"\"stages\":\"", text);
        text.extend(entry.all_stages().map(|stage| b'1' + stage as u8));
        text.push(b'"');
    }
    match entry.status {
        TaskStatus::Success => {}
        TaskStatus::Failed => member(b"\"status\":\"failed\"", text),
        TaskStatus::Skipped => member(b"\"status\":\"skipped\"", text),
    }
    match entry.validation_status {
        ValidationStatus::Pass => {}
        ValidationStatus::Fail => member(b"\"validation\":\"fail\"", text),
        ValidationStatus::Skipped => member(b"\"validation\":\"skipped\"", text),
    }
    text.push(b'}');
}

/// The stages that a task adds which succeeds at its first attempt.
fn at_once(task_type: TaskType) -> [Stage; 3] {
    let work = match task_type {
        TaskType::Deterministic => Stage::DeterministicExecution,
        TaskType::Model => Stage::ModelInvocation,
        TaskType::Aggregation => Stage::Aggregation,
    };
    [work, Stage::SchemaValidation, Stage::TaskCompleted]
}

impl fmt::Display for SemanticDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SemanticDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for SemanticDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
