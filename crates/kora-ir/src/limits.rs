//! Every bound on a graph, enforced before the work (I8).

/// How large a graph may be. [`Limits::default`] holds for every backend that declares no other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of the document.
    pub max_graph_bytes: usize,
    /// Tasks in a graph.
    pub max_tasks: usize,
    /// Dependencies of all tasks together.
    pub max_edges: usize,
    /// Dependencies of one task.
    pub max_fan_in: usize,
    /// Levels of nested arrays and objects in a payload, a schema or an output; more than 112 are never read.
    pub max_json_depth: usize,
    /// Bytes of one task's `input`, and of its `args`, as written; and of what the references of each bring in.
    pub max_input_bytes: usize,
    /// Bytes of one output as JSON.
    pub max_output_bytes: usize,
    /// Bytes of one schema.
    pub max_schema_bytes: usize,
    /// Distinct schemas in a graph.
    pub max_schemas: usize,
    /// Bytes of an id or a name.
    pub max_id_bytes: usize,
    /// Bytes of all messages of one model task.
    pub max_prompt_bytes: usize,
    /// Escalation edges of one task.
    pub max_escalation_edges: usize,
    /// The highest `max_tokens` of a task.
    pub max_tokens: u64,
    /// The highest `max_time_ms` of a task.
    pub max_time_ms: u64,
    /// The highest `max_retries` of a task.
    pub max_retries: u32,
    /// Violations reported before the rest is only counted.
    pub max_violations: usize,
    /// What a deterministic task that declares no `max_time_ms` gets.
    pub deterministic_time_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_graph_bytes: 1 << 30,
            max_tasks: 1_000_000,
            max_edges: 8_000_000,
            max_fan_in: 100_000,
            max_json_depth: 100,
            max_input_bytes: 16 << 20,
            max_output_bytes: 16 << 20,
            max_schema_bytes: 256 << 10,
            max_schemas: 10_000,
            max_id_bytes: 128,
            max_prompt_bytes: 1 << 20,
            max_escalation_edges: 16,
            max_tokens: 10_000_000,
            max_time_ms: 86_400_000,
            max_retries: 100,
            max_violations: 200,
            deterministic_time_ms: 60_000,
        }
    }
}
