//! The model that the suite owns, so that it judges what a backend did and not what it reports.
//!
//! [`ModelBook`] plays [`Step`]s and notes [`SeenCall`]s, whichever way it is reached.

mod call;
mod step;

mod marker;
mod served;

mod book;
mod open_call;
mod pieces;
mod run_log;

mod adapter;
mod client;
mod server;

pub use self::adapter::BookAdapter;
pub use self::book::{Asked, BookRun, ModelBook, Stray};
pub use self::call::{CallEnd, SeenCall};
pub use self::client::{Fault, Generation, ModelClient, Said};
pub use self::marker::marker;
pub use self::open_call::{Beat, OpenCall};
pub use self::served::{MODELS, ModelEndpoint, SuiteModel};
pub use self::server::ModelServer;
pub use self::step::{Act, ModelFault, Step, tokens_of};
