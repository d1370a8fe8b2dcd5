//! What is told of real cases and clauses, and of what does not exist.

use super::*;
use crate::suite::Suite;

fn explained(asked: &str) -> Result<String, String> {
    let mutants = [MutantInfo {
        name: String::from("retries-once-too-often"),
        clause: String::from("C7.3"),
        story: String::from("asks once too often"),
        caught_by: Some(vec![String::from("C7.3-two-retries")]),
    }];
    let cases = CaseInfo::all(&Suite::embedded().unwrap());
    explain(asked, Registry::load(), &cases, &mutants)
        .map(|text| text.replace('\u{1b}', "␛"))
        .map_err(|error| error.to_string())
}

#[test]
fn a_clause_is_told_with_its_section_and_its_cases() {
    insta::assert_snapshot!(explained("C8.3").unwrap());
    for spelling in ["7.3", "c7.3", "C7.3", " C7.3 "] {
        let text = explained(spelling).unwrap();
        for told in
            ["RemainingBudget_after_execution", "Retry caps are enforced", "retries-once-too-often", "C7.3-"]
        {
            assert!(text.contains(told), "{spelling}: {told}: {text}");
        }
    }
}

#[test]
fn a_case_is_told_with_the_mutants_that_it_catches() {
    assert!(explained("two-retries").unwrap().contains("kills"));
    assert!(!explained("C7.3-no-retries").unwrap().contains("kills"));
}

#[test]
fn a_section_is_told_clause_by_clause() {
    for spelling in ["7", "C7", "§7"] {
        let text = explained(spelling).unwrap();
        assert!(text.contains("§7. Budget Invariant") && text.contains("C7.6"), "{text}");
    }
}

#[test]
fn every_case_and_every_clause_can_be_told() {
    let cases = CaseInfo::all(&Suite::embedded().unwrap());
    for id in cases.iter().map(|case| &case.id).chain(Registry::load().clauses().iter().map(|c| &c.id)) {
        let text = explain(id, Registry::load(), &cases, &[]).unwrap();
        assert!(text.contains(id.as_str()) && !text.contains("no such clause"), "{text}");
    }
}

#[test]
fn a_case_is_told_with_its_graph_its_script_and_what_is_allowed() {
    let mut case = CaseInfo::all(&Suite::embedded().unwrap())
        .into_iter()
        .find(|case| matches!(&case.body, crate::CaseBody::Data { case, .. } if case.model.len() == 1))
        .unwrap();
    case.id = String::from("C7.3-told");
    case.title = String::from("what is told");
    case.clauses = vec![String::from("C7.3")];
    let crate::CaseBody::Data { case: data, graphs } = &mut case.body else { unreachable!() };
    *graphs = [(String::from("graph.json"), serde_json::json!({"tasks": [{"id": "ask"}]}))].into();
    **data = serde_json::from_value(serde_json::json!({
        "title": "", "clauses": [], "likely_cause": "",
        "requires": {"task_types": ["model"], "max_concurrency": 2},
        "runs": [{}, {"context": {"run_id": null}, "cancel_after_calls": 2, "model": {"ask": [{"act": "hang"}]}}],
        "together": true, "same_meaning": true,
        "model": {"ask": [
            {"act": {"text": "\u{1b}[2J"}, "delay_ms": 5},
            {"act": {"fail": "transient"}},
            {"act": {"reply": {"a": 1}}, "tokens_out": 3, "ms_per_token": 2}
        ]},
        "allowed": [{
            "because": "the contract leaves it open",
            "each": {"status": "failed", "tasks": {"ask": {"retry_count": {"$at_most": 2}}}},
            "runs": [{"refused": null}, {"refused": {"$present": true}}],
            "health": {"status": "healthy"}
        }]
    }))
    .unwrap();
    case.likely_cause = String::from("the cap is off by one");
    let text = case::explained(&case, Registry::load(), &[]);
    insta::assert_snapshot!(text.replace('\u{1b}', "␛"));
}

#[test]
fn what_does_not_exist_is_told_by_what_is_like_it() {
    assert_eq!(explained("C77.3").unwrap_err(), "`C77.3` is no case and no clause: did you mean `C7.3`?");
    assert_eq!(explained("banana").unwrap_err(), "`banana` is no case and no clause");
    assert!(explained("C7.3-").unwrap_err().contains("is part of several ids: C7.3-"));
    assert!(explained("").is_err());
    assert!(explained(&"x".repeat(1 << 20)).unwrap_err().len() < 300);
}
