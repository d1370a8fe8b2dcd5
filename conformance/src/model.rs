//! The model that the suite owns, so that it judges what a backend did and not what it reports.

mod call;
mod step;

pub use self::call::{CallEnd, SeenCall};
pub use self::step::{Act, ModelFault, Step, tokens_of};
