//! What the reference page tells about an operation.

use serde_json::Value;

/// Everything that describes an operation to people and to `check`.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "whoever registers an operation has to say all of it")]
pub struct About {
    /// The name under which a graph asks for it.
    pub name: String,
    /// What it does, in Markdown.
    pub summary: String,
    /// A JSON Schema of its arguments.
    pub args_schema: Value,
    /// One call and its output.
    pub example: Example,
}

/// One call of an operation and what it returns.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "an example is a call and its output, nothing more")]
pub struct Example {
    /// The arguments, all literal.
    pub args: Value,
    /// The input.
    pub input: Value,
    /// What the operation returns on its first attempt that succeeds.
    pub output: Value,
}
