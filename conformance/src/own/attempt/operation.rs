//! One attempt of a deterministic or aggregation task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use operations::{Meter, OperationCall, PreparedOperation};
use serde_json::Value;
use tokio::time::Instant;

use super::{Attempt, End};
use crate::model::Asked;
use crate::own::Defect;
use crate::own::world::World;

/// Runs an operation once, on a thread of its own. It sees its input and nothing else (C2.1).
pub(super) async fn operate(
    world: &World,
    operation: &Arc<dyn PreparedOperation>,
    input: &Arc<Value>,
    args: &Arc<Value>,
    attempt: u32,
    time_left: Duration,
) -> Attempt {
    let began = Instant::now();
    if world.has(Defect::ModelsForOperations) {
        let prompt = String::from("What comes out of this operation?");
        drop(world.client.call(Asked { model: "suite-small".into(), max_tokens: Some(1), prompt }).await);
    }
    let stop = StopOnDrop(Arc::default());
    let mut meter = Meter::stoppable(&world.limits, Arc::clone(&stop.0));
    let (operation, input, args) = (Arc::clone(operation), Arc::clone(input), Arc::clone(args));
    let running = tokio::task::spawn_blocking(move || {
        operation.run(&OperationCall { args: &args, input: &input, attempt }, &mut meter)
    });
    let end = match tokio::time::timeout(time_left, running).await {
        Ok(Ok(Ok(value))) => End::Said { text: value.to_string(), value: Ok(value) },
        Ok(Ok(Err(error))) => End::Failed { message: error.to_string(), transient: error.transient },
        Ok(Err(_)) => End::Failed { message: String::from("the operation panicked"), transient: false },
        Err(_) => End::OutOfTime,
    };
    Attempt { end, elapsed: began.elapsed(), tokens_in: 0, tokens_out: 0, estimated: false }
}

/// Tells an operation to stop when nobody waits for it any more (C7.4, S13).
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
