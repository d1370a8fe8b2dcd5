//! How long a document of the wire may be (I8).

/// Bytes of each kind of document. A longer one is refused before it is read.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "both ends say every bound")]
pub struct WireLimits {
    /// Of a submission beside its graph, which has [`kora_ir::Limits::max_graph_bytes`] of its own.
    pub max_envelope_bytes: usize,
    /// Of an event, the output that it may carry included.
    pub max_event_bytes: usize,
    /// Of a session report, output and telemetry included.
    pub max_report_bytes: usize,
    /// Of every other document: errors, usage, health, capabilities.
    pub max_document_bytes: usize,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self {
            max_envelope_bytes: 64 << 10,
            // A graph's outputs are counted by what they hold, 16 MiB by default; as text, an escape takes six bytes for
            // one, and a number six times what it counts for.
            max_event_bytes: (7 * 16) << 20,
            max_report_bytes: 1 << 30,
            max_document_bytes: 4 << 20,
        }
    }
}
