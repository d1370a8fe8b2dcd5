//! The table of lies: each is the truth with one edit, and what it is found out for.

mod content;
mod end;
mod order;
mod report;
mod spending;

use super::lie::Lie;

/// Everything that a fabric of this table lies about: what happened when, what came of it, what it cost, how it ended,
/// and what the report says of all that.
pub fn lies() -> Vec<Lie> {
    [order::LIES, content::LIES, spending::LIES, end::LIES, report::LIES].concat()
}
