//! The process that runs a model of our own: weights, tokens, constrained decoding.
//!
//! [`main`] is a whole worker: it loads a GGUF file, says that it is ready, and answers one request after the other,
//! each held to its task's schema while it is decoded. What it says and is told is [`models::protocol`]. It is a process
//! of its own so that a deadline can end it, a crash costs nothing, and its threads are fixed before it starts.
//!
//! A reply is a function of weights and request alone: not of the machine, of threads, or of what was asked before.

mod weights;

mod numbers;

mod llama;
#[cfg(feature = "llamacpp")]
mod llamacpp;
mod runtime;

mod template;
mod text;
mod tokenizer;

mod generation;
mod pace;
mod prefix;
mod sampler;

mod model;
mod worker;

#[cfg(test)]
mod sample;

pub use crate::weights::WeightsError;
pub use crate::worker::main;
