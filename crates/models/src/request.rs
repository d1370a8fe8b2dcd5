//! What a driver asks of an adapter, with every cap that holds for the call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kora_ir::{Message, ModelParameters, OutputSchema, Privacy, TaskId};

use crate::ModelId;

/// One attempt at one model task.
///
/// Its `Debug` output holds no message: prompts are content (I9).
#[derive(Clone)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a driver fills all of it; a new cap must not compile unfilled"
)]
pub struct ModelRequest {
    /// The model to use, this one and no other (C11.3): [`Route::model`](crate::Route::model) of the declared ceiling.
    pub model: ModelId,
    /// The conversation, placeholders filled.
    pub messages: Vec<Message<String>>,
    /// What the reply will have to pass. An adapter may steer the generation by it; the gate checks it in any case.
    pub schema: Arc<OutputSchema>,
    /// What is left of the token cap: the most that this call may generate (C7.2).
    pub max_output_tokens: u64,
    /// What is left of the time: the longest that this call may take, connecting included (C7.4).
    pub deadline: Duration,
    /// How to sample. What is `None` is greedy.
    pub parameters: ModelParameters,
    /// Where the messages may go.
    pub privacy: Privacy,
    /// For diagnostics only.
    pub task_id: TaskId,
    /// For diagnostics only. Counted from 0.
    pub attempt: u32,
}

impl fmt::Debug for ModelRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelRequest")
            .field("task_id", &self.task_id)
            .field("attempt", &self.attempt)
            .field("model", &self.model)
            .field("messages", &format_args!("{} (content withheld)", self.messages.len()))
            .field("max_output_tokens", &self.max_output_tokens)
            .field("deadline", &self.deadline)
            .field("parameters", &self.parameters)
            .field("privacy", &self.privacy)
            .finish_non_exhaustive()
    }
}
