//! What tasks have in common, kept once: tasks by the thousand name the same members, point to the same places and do the
//! same with other inputs. It also stays in the processor's cache when they run.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde_json::Value;

use crate::pointer::Pointer;
use crate::shape::{Shape, hash_value, same_value};
use crate::{OperationUse, Template};

#[derive(Debug, Default)]
pub(crate) struct Shared {
    names: HashMap<Box<str>, Arc<str>>,
    pointers: HashMap<Box<str>, Arc<Pointer>>,
    shapes: HashSet<Arc<Shape>>,
    /// The one before is most often the one that comes.
    last_shape: Option<Arc<Shape>>,
    operations: HashSet<Operation>,
    last_operation: Option<Arc<OperationUse>>,
}

impl Shared {
    pub(crate) fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = name.into();
        self.names.insert(name.into(), Arc::clone(&shared));
        shared
    }

    pub(crate) fn pointer(&mut self, pointer: &str) -> Arc<Pointer> {
        if let Some(known) = self.pointers.get(pointer) {
            return Arc::clone(known);
        }
        let shared = Arc::new(Pointer::new(pointer));
        self.pointers.insert(pointer.into(), Arc::clone(&shared));
        shared
    }

    pub(crate) fn shape(&mut self, shape: Shape) -> Arc<Shape> {
        if let Some(last) = self.last_shape.as_ref().filter(|last| ***last == shape) {
            return Arc::clone(last);
        }
        let shared = match self.shapes.get(&shape) {
            Some(known) => Arc::clone(known),
            None => {
                let new = Arc::new(shape);
                self.shapes.insert(Arc::clone(&new));
                new
            }
        };
        self.last_shape = Some(Arc::clone(&shared));
        shared
    }

    /// An operation with arguments that refer to nothing.
    pub(crate) fn operation(&mut self, name: &str, args: Arc<Value>) -> Arc<OperationUse> {
        if let Some(last) = self.last_operation.as_ref().filter(|last| is_use(last, name, &args)) {
            return Arc::clone(last);
        }
        let operation = self.name(name);
        let new = Operation(Arc::new(OperationUse { operation, args: Template::shared(args) }));
        let shared = match self.operations.get(&new) {
            Some(Operation(known)) => Arc::clone(known),
            None => {
                let shared = Arc::clone(&new.0);
                self.operations.insert(new);
                shared
            }
        };
        self.last_operation = Some(Arc::clone(&shared));
        shared
    }
}

fn is_use(operation: &OperationUse, name: &str, args: &Value) -> bool {
    *operation.operation == *name && operation.args.as_fixed().is_some_and(|known| same_value(known, args))
}

/// Found by what it does.
#[derive(Debug)]
struct Operation(Arc<OperationUse>);

impl PartialEq for Operation {
    fn eq(&self, other: &Self) -> bool {
        other.0.args.as_fixed().is_some_and(|args| is_use(&self.0, &other.0.operation, args))
    }
}

impl Eq for Operation {}

impl Hash for Operation {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.operation.hash(state);
        if let Some(args) = self.0.args.as_fixed() {
            hash_value(args, state);
        }
    }
}
