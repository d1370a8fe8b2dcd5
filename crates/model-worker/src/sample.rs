//! The real model, loaded once for all tests of a process.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::llama::Llama;
use crate::model::Model;

/// The default model. A test holds it for as long as it asks.
pub(crate) fn model() -> MutexGuard<'static, Model<Llama>> {
    static MODEL: OnceLock<Mutex<Model<Llama>>> = OnceLock::new();
    let load =
        || Mutex::new(Model::load(&model_store::testing::default_model(), None, None, 1).expect("it loads"));
    MODEL.get_or_init(load).lock().unwrap_or_else(PoisonError::into_inner)
}
