//! A model of our own, in a worker process: the client side.

pub mod protocol;
