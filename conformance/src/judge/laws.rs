//! The laws, by what they are about.

mod budgets;
mod descriptor;
mod failures;
mod gate;
mod records;
mod result;
mod totals;
mod truth;

use super::law::Law;

/// Every law.
pub(crate) fn all() -> impl Iterator<Item = &'static Law> {
    [
        budgets::LAWS,
        descriptor::LAWS,
        failures::LAWS,
        gate::LAWS,
        records::LAWS,
        result::LAWS,
        totals::LAWS,
        truth::LAWS,
    ]
    .into_iter()
    .flatten()
}
