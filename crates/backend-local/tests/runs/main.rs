//! The local backend at work: with a scripted stand-in for the model, since what is shown here is the driver.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cancelled;
mod contained;
mod cut_off;
mod honest;
mod parallel;
mod support;
