//! The result as a document (C3.4), and what it says of the run that was asked for.

use serde_json::{Value, json};

use crate::judge::law::{Faults, Law, Occasion, Sight};

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "C3.4-result-has-its-parts",
        title: "A result has a final output, a telemetry bundle and execution metadata",
        clauses: &["C3.4", "C3.1"],
        likely_cause: "a part is left out when a run fails; `final_output` is null then, and the rest is there",
        judge: has_its_parts,
    },
    Law {
        id: "C3.4-status-and-failure-agree",
        title: "A result has a failure exactly if its status is `failed`",
        clauses: &["C3.4", "C9.1"],
        likely_cause: "the status is taken from the root alone, or the failure of another task is dropped",
        judge: status_and_failure_agree,
    },
    Law {
        id: "C3.3-names-are-echoed",
        title: "The metadata name the run, the trace and the kind of backend of the context",
        clauses: &["C3.3"],
        likely_cause: "the backend makes names of its own, or keeps those of an earlier run",
        judge: names_are_echoed,
    },
    Law {
        id: "C10.1-interface-version-is-said",
        title: "The metadata say which version of the interface the backend kept to",
        clauses: &["C10.1"],
        likely_cause: "`execution_metadata.interface_version` is missing or of another MAJOR",
        judge: interface_version_is_said,
    },
    Law {
        id: "C3.2-graph-is-the-one-that-was-sent",
        title: "Where a result names its graph, by id or by digest, it is the graph that was sent",
        clauses: &["C3.2", "C5.5"],
        likely_cause: "the graph is changed before it runs, or the digest is not over canonical JSON (RFC 8785)",
        judge: graph_is_the_one,
    },
    Law {
        id: "C10.3-refused-means-nothing-ran",
        title: "A refusal is typed, says why, and no model was called before it",
        clauses: &["C10.3", "C9.2"],
        likely_cause: "the graph is checked while it runs and not before",
        judge: refused_means_nothing_ran,
    },
];

fn has_its_parts(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let Some(result) = sight.result() else { return Occasion::None };
    if result.get("final_output").is_none() {
        faults.add("/result/final_output", "an output, or null", Value::Null);
    }
    let pattern = json!({
        "status": {"$one_of": ["success", "failed"]},
        "telemetry_bundle": {"tasks": {"$type": "array"}, "summary": {"$type": "object"}},
        "execution_metadata": {"$type": "object"},
    });
    faults.unless_matches("/result", &pattern, result);
    Occasion::Given
}

fn status_and_failure_agree(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let Some(result) = sight.result() else { return Occasion::None };
    let failed = result["status"] == "failed";
    if failed && result["failure"].is_null() {
        faults.add("/failure", "the first root cause in canonical order", Value::Null);
    }
    if !failed && !result["failure"].is_null() {
        faults.add("/failure", Value::Null, result["failure"].clone());
    }
    Occasion::Given
}

fn names_are_echoed(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let Some(result) = sight.result() else { return Occasion::None };
    let metadata = &result["execution_metadata"];
    for (sent, echoed) in [("run_id", "run_id"), ("trace_id", "trace_id"), ("backend_mode", "backend")] {
        if let Some(name) = sight.context.get(sent)
            && metadata[echoed] != *name
        {
            faults.add(format!("/metadata/{echoed}"), name.clone(), metadata[echoed].clone());
        }
    }
    Occasion::Given
}

fn interface_version_is_said(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let Some(result) = sight.result() else { return Occasion::None };
    let said = &result["execution_metadata"]["interface_version"];
    if said.as_str().is_none_or(|version| version.split('.').next() != Some("1")) {
        faults.add("/metadata/interface_version", "1.x.y", said.clone());
    }
    Occasion::Given
}

fn graph_is_the_one(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let (Some(result), Some(graph), Some(digest)) = (sight.result(), sight.graph, sight.digest) else {
        return Occasion::None;
    };
    let metadata = &result["execution_metadata"];
    let mut named = false;
    for (member, expected) in
        [("graph_digest", digest.to_string()), ("graph_id", graph.graph_id().to_owned())]
    {
        if let Some(said) = metadata.get(member) {
            named = true;
            if *said != expected {
                faults.add(format!("/metadata/{member}"), expected, said.clone());
            }
        }
    }
    Occasion::given_if(named)
}

fn refused_means_nothing_ran(sight: &Sight<'_>, faults: &mut Faults) -> Occasion {
    let Some(refusal) = sight.view.get("refused") else { return Occasion::None };
    let pattern = json!({
        "error_type": {"$type": "string", "$length": {"$at_least": 1}},
        "message": {"$type": "string", "$length": {"$at_least": 1}},
    });
    faults.unless_matches("/refused", &pattern, refusal);
    if !sight.calls.is_empty() {
        faults.add("/seen/total", 0, sight.calls.len());
    }
    Occasion::Given
}
