//! The suite's own backends: one that is plainly right, and what becomes of it with one defect or one oddity.
//!
//! [`Plain`] is as naive as can be: it runs one task after the other in canonical order, and shares no code with the
//! engine behind the other backends. Where the two disagree, one of them is wrong, which is how the suite's own
//! judgement is checked (C2.6). It speaks documents, because lies do not fit into the contract's types.
//!
//! With a [`Defect`] it is a mutant that the suite must catch, with a [`Quirk`] an odd backend that must pass.

mod behaviour; // which of them it is
mod defect;
mod quirk;

mod admission; // the plain backend, from request to result
mod attempt;
mod budget;
mod failure;
mod json;
mod offer;
mod record;
mod run;
mod world;

mod distortions; // what mutants do otherwise
mod edits;
mod lanes;
mod lies;
mod memory;
mod oddities;
mod readings;
mod turned_away;

mod service;

pub use self::behaviour::Behaviour;
pub use self::defect::Defect;
pub use self::quirk::Quirk;
pub use self::service::Plain;
