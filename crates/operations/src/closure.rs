//! An operation made of a closure.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::{About, Example, Meter, Operation, OperationCall, OperationError, PreparedOperation};

/// An operation made of a closure, by which KORA adds its own to the registry.
///
/// The closure must be pure: the same call, the same result. It checks its own arguments when it runs, and is
/// not metered while it runs; its output is bounded like any other. A panic in it is contained by the driver.
#[derive(Debug)]
pub struct ClosureOperation {
    about: About,
    body: Arc<Body>,
}

type Function = dyn Fn(&OperationCall<'_>) -> Result<Value, OperationError> + Send + Sync;

struct Body(Box<Function>);

impl ClosureOperation {
    /// An operation that runs `body`.
    #[must_use]
    pub fn new(
        about: About,
        body: impl Fn(&OperationCall<'_>) -> Result<Value, OperationError> + Send + Sync + 'static,
    ) -> Self {
        Self { about, body: Arc::new(Body(Box::new(body))) }
    }
}

impl Operation for ClosureOperation {
    fn name(&self) -> &str {
        &self.about.name
    }

    fn summary(&self) -> &str {
        &self.about.summary
    }

    fn args_schema(&self) -> &Value {
        &self.about.args_schema
    }

    fn example(&self) -> &Example {
        &self.about.example
    }

    fn prepare(&self, _args: &Value) -> Result<Arc<dyn PreparedOperation>, OperationError> {
        Ok(Arc::clone(&self.body) as Arc<dyn PreparedOperation>)
    }
}

impl PreparedOperation for Body {
    fn run(&self, call: &OperationCall<'_>, meter: &mut Meter) -> Result<Value, OperationError> {
        meter.step()?;
        (self.0)(call)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}
