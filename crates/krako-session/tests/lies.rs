//! Every lie of the table is found out, for what it is, and in words that a person understands.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use krako_contract::{Event, SessionReport, WireLimits, read, write};
use krako_session::testing::lies;

// shows C2.2, C2.3, C2.4, C5.4, C5.5, C7.2, C7.3, C7.4, C7.6, C11.1, C11.2
#[test]
fn every_lie_is_found_out() {
    let mut said = String::new();
    let mut names = BTreeSet::new();
    let lies = lies();
    let mut missed = Vec::new();
    for lie in &lies {
        assert!(names.insert(lie.name), "two lies are called `{}`", lie.name);
        match lie.find_out() {
            Some(found) if found.name() == lie.found => {
                let _ = writeln!(said, "{}\n    {found}", lie.name);
            }
            found => missed.push((lie.name, lie.found, found.map(|found| found.to_string()))),
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
    assert!(lies.len() >= 100, "{}", lies.len());
    insta::assert_snapshot!(said);
}

// What no reader of JSON would take could not be served to test anybody.
#[test]
fn every_lie_can_be_written() {
    let limits = WireLimits::default();
    for lie in lies() {
        let told = lie.tell();
        for event in &told.events {
            assert_eq!(Event::read(event.write().as_bytes(), &limits).as_ref(), Ok(event), "{}", lie.name);
        }
        let report = read::<SessionReport>(write(&told.report).as_bytes(), &limits);
        assert_eq!(report, Ok(told.report), "{}", lie.name);
    }
}
