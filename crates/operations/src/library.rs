//! The operations themselves, one file each.

mod aggregate;
mod cel;
mod classify_regex;
mod collect;
mod constant;
mod deduplicate;
mod echo;
mod extract_regex;
mod kora_v0_1;
mod merge;
mod pick;
mod sort;
mod table_lookup;
mod template;
mod vote;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod totality;

use crate::OperationLimits;
use crate::built_in::BuiltIn;

/// Every operation of this crate.
pub(crate) fn all(limits: &OperationLimits) -> Vec<BuiltIn> {
    vec![
        aggregate::operation(limits),
        cel::operation(limits),
        classify_regex::operation(limits),
        collect::operation(limits),
        constant::operation(limits),
        deduplicate::operation(limits),
        echo::operation(limits),
        extract_regex::operation(limits),
        merge::operation(limits),
        pick::operation(limits),
        sort::operation(limits),
        table_lookup::operation(limits),
        template::operation(limits),
        vote::operation(limits),
        kora_v0_1::echo(limits),
        kora_v0_1::classify_simple(limits),
        kora_v0_1::flaky_once(limits),
    ]
}
