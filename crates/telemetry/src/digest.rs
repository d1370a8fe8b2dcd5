//! The semantic digest: what a run meant, apart from when, where and at what price (S11).

use std::fmt;

use kora_ir::{GraphDigest, ValidatedOutput, write_canonical, write_string};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{TaskRecord, TaskStatus, TelemetryBundle, ValidationStatus};

/// Equal for two runs exactly if they are semantically equivalent (C2.6, C6.1).
///
/// SHA-256 over the canonical JSON (RFC 8785) of
///
/// ```json
/// {"graph": "sha256:…", "tasks": [{"escalated_to": "…", "failure": {"breach": "…", "error_type": "…"},
///  "id": "…", "output": …, "stages": "12357", "status": "…", "validation": "…"}]}
/// ```
///
/// with every task in canonical order and absent members left out, so that any language can compute it. A stage is
/// written as its place in KORA's list of eight, counted from 1: the words would be half of what is hashed.
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
        for (index, (record, output)) in bundle.tasks().iter().zip(outputs).enumerate() {
            if index > 0 {
                text.push(b',');
            }
            write_task(record, output, &mut text);
            if text.len() >= FLUSH_BYTES {
                hash.update(&text);
                text.clear();
            }
        }
        text.extend_from_slice(b"]}");
        hash.update(&text);
        Self(hash.finalize().into())
    }
}

/// Hashing larger pieces at once costs less a byte.
const FLUSH_BYTES: usize = 16 << 10;

fn write_task(record: &TaskRecord, output: Option<&ValidatedOutput>, text: &mut Vec<u8>) {
    text.push(b'{');
    if let Some(to) = &record.escalated_to {
        text.extend_from_slice(b"\"escalated_to\":");
        write_string(to.as_str(), text);
        text.push(b',');
    }
    if let Some(failure) = &record.failure {
        text.extend_from_slice(b"\"failure\":{");
        if let Some(breach) = &failure.breach {
            text.extend_from_slice(b"\"breach\":");
            write_string(breach.cap.as_str(), text);
            text.push(b',');
        }
        text.extend_from_slice(b"\"error_type\":");
        write_string(failure.error_type.as_str(), text);
        text.extend_from_slice(b"},");
    }
    text.extend_from_slice(b"\"id\":");
    write_string(record.task_id.as_str(), text);
    if let Some(output) = output {
        text.extend_from_slice(b",\"output\":");
        write_canonical(output.value(), text);
    }
    text.extend_from_slice(b",\"stages\":\"");
    text.extend(record.stages.iter().map(|&stage| b'1' + stage as u8));
    text.extend_from_slice(b"\",\"status\":\"");
    text.extend_from_slice(match record.status {
        TaskStatus::Success => b"success".as_slice(),
        TaskStatus::Failed => b"failed",
        TaskStatus::Skipped => b"skipped",
    });
    text.extend_from_slice(b"\",\"validation\":\"");
    text.extend_from_slice(match record.validation_status {
        ValidationStatus::Pass => b"pass".as_slice(),
        ValidationStatus::Fail => b"fail",
        ValidationStatus::Skipped => b"skipped",
    });
    text.extend_from_slice(b"\"}");
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
