//! The published form of a report.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

use super::{ENOUGH, Fault};
use crate::report::plain;

const SCHEMA: &str = include_str!("../../schemas/report-1.0.json");

#[expect(clippy::unwrap_used, reason = "the schema is part of the program, and a test compiles it")]
static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
});

/// Where `report` is not as the schema wants it.
pub(super) fn mismatches(report: &Value) -> Vec<Fault> {
    let fault = |error: jsonschema::ValidationError<'_>| Fault::Schema {
        at: plain::line(&error.instance_path().to_string(), plain::VALUE),
        message: plain::line(&error.masked_with("what is there").to_string(), plain::VALUE),
    };
    VALIDATOR.iter_errors(report).take(ENOUGH).map(fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Report, sample};

    #[test]
    fn the_schema_has_every_member_that_is_written_and_requires_it() {
        let report = serde_json::to_value(sample::report()).unwrap();
        assert_eq!(mismatches(&report), []);
        // Whatever is taken away is missed, however deep.
        let case =
            report["cases"].as_array().unwrap().iter().position(|case| case["id"] == "C7.3-always-bad");
        let case = format!("/cases/{}", case.unwrap());
        for place in ["", "/suite", "/subject", "/provenance", "/counts", "/clauses/0", &case] {
            without_each_member(&report, place);
        }
        for place in ["findings", "timeline"] {
            without_each_member(&report, &format!("{case}/{place}/0"));
        }
        let known = report["cases"].as_array().unwrap().iter().position(|case| !case["known"].is_null());
        without_each_member(&report, &format!("/cases/{}/known", known.unwrap()));
        without_each_member(&report, "/measures/C2.1-three-times");
    }

    #[track_caller]
    fn without_each_member(report: &Value, place: &str) {
        let members = report.pointer(place).unwrap().as_object().unwrap();
        assert!(!members.is_empty());
        for name in members.keys() {
            let mut report = report.clone();
            report.pointer_mut(place).unwrap().as_object_mut().unwrap().shift_remove(name);
            assert!(!mismatches(&report).is_empty(), "{place}/{name} is not required");
        }
        let mut report = report.clone();
        report.pointer_mut(place).unwrap()["unheard-of"] = Value::Bool(true);
        assert!(!mismatches(&report).is_empty(), "{place} is open");
    }

    #[test]
    fn what_the_schema_admits_can_be_read() {
        let report = serde_json::to_value(sample::report()).unwrap();
        assert_eq!(serde_json::from_value::<Report>(report).unwrap(), sample::report());
    }
}
