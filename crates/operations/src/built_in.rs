//! How the operations of this crate are made: a description and a function that prepares.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::fields::Fields;
use crate::{
    About, Example, Meter, Operation, OperationCall, OperationError, OperationLimits, PreparedOperation,
};

/// What a built-in operation prepares to: a closure over its checked arguments.
pub(crate) type Run =
    Box<dyn Fn(&OperationCall<'_>, &mut Meter) -> Result<Value, OperationError> + Send + Sync>;

/// An operation of this crate.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    about: About,
    prepare: Prepare,
    limits: OperationLimits,
}

/// Checks the arguments, of which [`Fields`] has already checked the names.
type Prepare = fn(&Fields<'_>, &OperationLimits) -> Result<Run, OperationError>;

impl BuiltIn {
    pub(crate) fn new(about: About, prepare: Prepare, limits: &OperationLimits) -> Self {
        Self { about, prepare, limits: limits.clone() }
    }
}

/// A description of a built-in, from literals.
pub(crate) fn about(name: &str, summary: &str, args_schema: Value, example: Example) -> About {
    About { name: name.to_owned(), summary: summary.to_owned(), args_schema, example }
}

impl Operation for BuiltIn {
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

    fn prepare(&self, args: &Value) -> Result<Arc<dyn PreparedOperation>, OperationError> {
        let fields = Fields::of_args(args, &self.about.args_schema)?;
        Ok(Arc::new(Prepared((self.prepare)(&fields, &self.limits)?)))
    }
}

struct Prepared(Run);

impl PreparedOperation for Prepared {
    fn run(&self, call: &OperationCall<'_>, meter: &mut Meter) -> Result<Value, OperationError> {
        meter.step()?;
        (self.0)(call, meter)
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prepared")
    }
}
