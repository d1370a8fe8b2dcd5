//! The process that runs a model of our own: weights, tokens, constrained decoding.
