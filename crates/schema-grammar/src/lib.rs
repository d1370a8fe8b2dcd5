//! A schema as a grammar: what constrained decoding can hold a model to.
