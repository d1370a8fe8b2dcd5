//! What holds for every graph: order, normal form, digest.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so")]

use std::collections::BTreeMap;

use kora_ir::{CheckedGraph, Limits};
use proptest::prelude::*;
use serde_json::{Value, json};

#[derive(Clone, Debug)]
struct Plan {
    kinds: Vec<u8>,
    arrows: Vec<(usize, usize)>,
    targets: Vec<usize>,
    seed: u64,
}

fn plan() -> impl Strategy<Value = Plan> {
    (1..14_usize).prop_flat_map(|count| {
        (
            prop::collection::vec(0..3_u8, count),
            prop::collection::vec((0..count, 0..count), 0..count * 2),
            prop::collection::vec(0..count, 0..4),
            any::<u64>(),
        )
            .prop_map(|(kinds, arrows, targets, seed)| Plan { kinds, arrows, targets, seed })
    })
}

/// A valid graph: dependencies point backwards, the first task is plain, targets have no dependents.
fn document(plan: &Plan) -> Value {
    let count = plan.kinds.len();
    let mut target_of: BTreeMap<usize, usize> = BTreeMap::new();
    for &target in &plan.targets {
        let wanted = target > 0 && target + 1 < count;
        let free = !plan.arrows.iter().any(|&(from, to)| from.min(to) == target && from != to);
        if wanted && free {
            target_of.insert(target, target - 1);
        }
    }
    let tasks: Vec<Value> = (0..count)
        .map(|place| {
            let mut dependencies: Vec<usize> = plan
                .arrows
                .iter()
                .filter(|(from, to)| (*from).max(*to) == place && from != to)
                .map(|(from, to)| (*from).min(*to))
                .filter(|from| target_of.get(&place) != Some(from) && !target_of.contains_key(from))
                .collect();
            dependencies.sort_unstable();
            dependencies.dedup();
            // A target waits for nothing that could wait for what it stands in for.
            if target_of.contains_key(&place) {
                dependencies.clear();
            }
            let names: Vec<String> = dependencies.iter().map(|from| format!("t{from}")).collect();
            let edges: Vec<Value> = target_of
                .iter()
                .filter(|&(_, source)| *source == place)
                .map(|(target, _)| json!({"on": "failure", "to": format!("t{target}")}))
                .collect();
            let kind = if plan.kinds[place] == 2 && names.is_empty() { 0 } else { plan.kinds[place] };
            let mut task = json!({
                "version": "1.0",
                "id": format!("t{place}"),
                "type": (["deterministic", "model", "aggregation"][usize::from(kind)]),
                "dependencies": names,
                "input": {"n": place, "all": names.iter().map(|from| json!({"$from": from})).collect::<Vec<_>>()},
                "schema": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "object"}}},
            });
            task["run"] = if kind == 1 {
                json!({"model": "m", "prompt": "say {{/n}} {{{{", "parameters": {"seed": place}})
            } else {
                json!({"operation": "echo", "args": {"x": names.first().map(|from| json!({"$from": from, "pointer": "/a"}))}})
            };
            if !edges.is_empty() {
                task["escalation"] = Value::Array(edges);
            }
            task
        })
        .collect();
    let root = (0..count).rev().find(|place| !target_of.contains_key(place)).unwrap();
    json!({
        "kora_version": "1.0.0",
        "graph_id": "g",
        "root": format!("t{root}"),
        "defaults": {"budget": {"max_tokens": 5, "max_time_ms": 6, "max_retries": 7}},
        "tasks": tasks,
    })
}

fn check(document: &Value) -> CheckedGraph {
    CheckedGraph::from_value(document, &Limits::default()).unwrap_or_else(|refused| {
        panic!("{:#?}\n{document}", refused.violations);
    })
}

proptest! {
    // shows C6.1, C11.2
    #[test]
    fn canonical_order_is_topological_and_puts_models_last_at_each_depth(plan in plan()) {
        let graph = check(&document(&plan));
        for (index, task) in graph.iter() {
            for &dependency in &task.dependencies {
                prop_assert!(dependency < index);
                // Whatever may stand in for the dependency comes before the dependent too.
                for edge in &graph.task(dependency).escalation {
                    prop_assert!(edge.to < index);
                }
            }
            for edge in &task.escalation {
                prop_assert!(index < edge.to);
                prop_assert_eq!(graph.task(edge.to).resolves, Some(index));
            }
            for &dependent in graph.dependents(index) {
                prop_assert!(graph.task(dependent).dependencies.contains(&index));
            }
            prop_assert_eq!(graph.index_of(task.id.as_str()), Some(index));
        }
    }

    // shows C6.1
    #[test]
    fn the_order_of_tasks_in_the_file_changes_nothing_but_the_digest(plan in plan()) {
        let written = document(&plan);
        let mut shuffled = written.clone();
        let tasks = shuffled["tasks"].as_array_mut().unwrap();
        let mut state = plan.seed | 1;
        for at in (1..tasks.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            tasks.swap(at, (state >> 33) as usize % (at + 1));
        }
        let (one, other) = (check(&written), check(&shuffled));
        prop_assert_eq!(one.to_document(), other.to_document());
        prop_assert_eq!(one.digest() == other.digest(), written == shuffled);
    }

    // shows C3.2
    #[test]
    fn a_normalised_document_reads_as_the_same_graph(plan in plan()) {
        let normal = check(&document(&plan)).to_document();
        let again = check(&normal);
        prop_assert_eq!(&again.to_document(), &normal);
        prop_assert_eq!(*again.digest(), *check(&again.to_document()).digest());
    }

    #[test]
    fn the_digest_does_not_see_white_space_or_the_order_of_fields(plan in plan()) {
        let written = document(&plan);
        let pretty = serde_json::to_string_pretty(&written).unwrap();
        let graph = CheckedGraph::parse(&pretty, &Limits::default()).unwrap();
        let mut fields: Vec<_> = written.as_object().unwrap().clone().into_iter().collect();
        fields.reverse();
        let reversed = Value::Object(fields.into_iter().collect());
        prop_assert_eq!(*graph.digest(), *check(&written).digest());
        prop_assert_eq!(*graph.digest(), *check(&reversed).digest());
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[\\[\\]{}\",:0-9a-z\\\\ .e+-]{0,80}") {
        let _ = CheckedGraph::parse(&text, &Limits::default());
        let graph = format!("{{\"kora_version\":\"1.0.0\",\"tasks\":[{text}]}}");
        let _ = CheckedGraph::parse(&graph, &Limits::default());
    }

    // The reader's tokens are another library's: both must agree about what is JSON.
    #[test]
    fn json_is_what_serde_json_takes_for_json(text in "[\\[\\]{}\",:0-9a-u\\\\ .eE+-]{0,24}") {
        let ours = CheckedGraph::parse(&format!("[{text}]"), &Limits::default()).unwrap_err();
        let broken = ours.violations.iter().any(|violation| violation.code == kora_ir::ViolationCode::Syntax);
        let theirs = serde_json::from_str::<Value>(&format!("[{text}]"));
        // `[…]` has no version, so it is not read further; a graph is.
        let graph = format!("{{\"kora_version\":\"1.0.0\",\"graph_id\":[{text}]}}");
        let ours = CheckedGraph::parse(&graph, &Limits::default()).unwrap_err();
        let broken = broken || ours.violations.iter().any(|violation| violation.code == kora_ir::ViolationCode::Syntax);
        match theirs {
            Ok(_) => prop_assert!(!broken, "{text}"),
            Err(error) => prop_assert!(broken || error.to_string().contains("out of range"), "{text}"),
        }
    }
}
