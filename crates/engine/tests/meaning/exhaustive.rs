//! Small graphs, every interleaving: all orders of starting and finishing, at every concurrency.

use serde_json::{Value, json};

use crate::graphs::{G, T};
use crate::oracle;
use crate::script::{Act, End, Script};
use crate::world::{check_invariants, meaning, run};

/// Tries every sequence of choices, and says how many there were.
fn every_interleaving(graph: &G, script: &Script) -> usize {
    let graph = graph.check();
    let expected = oracle::interpret(&graph, script);
    let mut tried = 0;
    for concurrency in 1..=graph.tasks().len() {
        // The choices of the run before, each with how many there were to choose from.
        let mut path: Vec<(usize, usize)> = Vec::new();
        loop {
            let mut turn = 0;
            let outcome = run(&graph, script, concurrency, &mut |n| {
                if turn == path.len() {
                    path.push((0, n));
                }
                let (choice, options) = path[turn];
                assert_eq!(options, n, "the same choices lead to the same place");
                turn += 1;
                choice
            });
            path.truncate(turn);
            assert_eq!(meaning(&outcome), expected, "concurrency {concurrency}, choices {path:?}");
            check_invariants(&graph, &outcome);
            tried += 1;
            while path.last().is_some_and(|&(choice, options)| choice + 1 == options) {
                path.pop();
            }
            match path.last_mut() {
                Some((choice, _)) => *choice += 1,
                None => break,
            }
        }
    }
    tried
}

fn free(id: &str, deps: &[&str]) -> T {
    let deps = deps.iter().map(|&dep| dep.to_owned()).collect();
    T { id: id.into(), deps, ms: 1_000, ..T::default() }
}

fn model(id: &str, deps: &[&str], tokens: u64, retries: u32) -> T {
    T { model: true, tokens, retries, ..free(id, deps) }
}

fn edge(mut task: T, on: &str, to: &str, more: &Value) -> T {
    let mut edge = json!({ "on": on, "to": to });
    if let (Some(edge), Some(more)) = (edge.as_object_mut(), more.as_object()) {
        edge.extend(more.clone());
    }
    task.escalation.push(edge);
    task
}

fn script(acts: &[(&str, u32, End, u64)]) -> Script {
    let acts = acts.iter().map(|(task, attempt, end, tokens)| {
        (((*task).to_owned(), *attempt), Act { end: end.clone(), tokens: *tokens, ms: 0 })
    });
    Script(acts.collect())
}

const SURE: End = End::Output { confidence: 0.9 };
const UNSURE: End = End::Output { confidence: 0.1 };
const BREAKS: End = End::Fails { transient: false };
const FLAKES: End = End::Fails { transient: true };

#[track_caller]
fn check(tasks: Vec<T>, budgets: Value, fail_fast: bool, acts: &[(&str, u32, End, u64)]) {
    let tried = every_interleaving(&G { tasks, budgets, fail_fast }, &script(acts));
    assert!(tried > 1, "there was nothing to interleave");
}

// shows C2.6, C6.1
#[test]
fn independent_models_share_a_token_budget_as_if_one_after_the_other() {
    let tasks = || vec![model("a", &[], 5, 0), model("b", &[], 5, 0), model("c", &[], 5, 0)];
    // `a` leaves 3, which `b` overdraws; `c` gets nothing.
    check(tasks(), json!({ "max_tokens": 7 }), false, &[("a", 0, SURE, 4), ("b", 0, SURE, 5)]);
    // `a` and `b` leave room for `c`, though all caps together would not fit.
    check(
        tasks(),
        json!({ "max_tokens": 9 }),
        false,
        &[("a", 0, SURE, 1), ("b", 0, SURE, 2), ("c", 0, SURE, 5)],
    );
    // A failure leaves what it did not use.
    check(
        tasks(),
        json!({ "max_tokens": 6 }),
        false,
        &[("a", 0, BREAKS, 1), ("b", 0, SURE, 5), ("c", 0, SURE, 1)],
    );
}

// shows C6.1, C7.3
#[test]
fn retries_share_a_budget_of_calls_as_if_one_after_the_other() {
    let tasks = || vec![model("a", &[], 9, 2), model("b", &[], 9, 1)];
    for max in 0..6 {
        let budgets = json!({ "max_llm_calls": max });
        check(
            tasks(),
            budgets.clone(),
            false,
            &[("a", 0, End::Mismatch, 1), ("a", 1, FLAKES, 1), ("b", 0, FLAKES, 1)],
        );
        check(
            tasks(),
            budgets,
            false,
            &[("a", 0, BREAKS, 1), ("b", 0, End::Mismatch, 1), ("b", 1, End::Mismatch, 1)],
        );
    }
}

// shows C6.1, C11.2
#[test]
fn operations_share_units_though_models_stand_between_them() {
    // Canonical order is free1, m, then free2 behind the model: free2's units wait for what is before it.
    let tasks =
        || vec![free("free1", &[]), model("m", &["free1"], 3, 0), free("free2", &["m"]), free("free3", &[])];
    for max in 0..4 {
        check(tasks(), json!({ "max_cpu_units": max }), false, &[]);
    }
}

// shows C9.1
#[test]
fn what_depends_on_a_failure_fails_and_the_rest_goes_on() {
    let tasks = vec![free("a", &[]), free("b", &["a"]), free("c", &[]), free("d", &["b", "c"])];
    check(tasks, json!({}), false, &[("a", 0, BREAKS, 0)]);
}

#[test]
fn fail_fast_counts_nothing_after_the_first_failure_in_canonical_order() {
    let tasks = || {
        vec![model("a", &[], 3, 0), model("b", &[], 3, 0), model("c", &[], 3, 0), model("d", &["a"], 3, 0)]
    };
    check(tasks(), json!({}), true, &[("b", 0, BREAKS, 1)]);
    check(tasks(), json!({}), true, &[("b", 0, BREAKS, 1), ("a", 0, End::Mismatch, 1)]);
    check(tasks(), json!({ "max_tokens": 5 }), true, &[("a", 0, SURE, 3), ("c", 0, BREAKS, 1)]);
}

// shows C5.5, C1.4
#[test]
fn an_edge_wakes_its_target_and_only_then() {
    let tasks = |on: &str, more: Value| {
        vec![
            edge(model("a", &[], 4, 0), on, "z", &more),
            model("z", &[], 4, 0),
            free("after", &["a"]),
            free("side", &[]),
        ]
    };
    for end in [SURE, UNSURE, End::Mismatch, BREAKS] {
        for rescue in [SURE, BREAKS] {
            let acts = [("a", 0, end.clone(), 2), ("z", 0, rescue, 2)];
            check(tasks("failure", json!({})), json!({}), false, &acts);
            check(tasks("schema_mismatch", json!({})), json!({}), true, &acts);
            check(tasks("confidence_below_threshold", json!({ "threshold": 0.5 })), json!({}), false, &acts);
            for max in [3, 5, 7] {
                let budgets = json!({ "max_tokens": max });
                check(tasks("budget_remaining", json!({ "min_tokens": 2 })), budgets, false, &acts);
            }
        }
    }
}

#[test]
fn a_chain_of_edges_resolves_the_first_task() {
    let tasks = || {
        let a = edge(model("a", &[], 2, 0), "failure", "y", &json!({}));
        let y = edge(model("y", &[], 2, 0), "failure", "z", &json!({}));
        vec![a, y, model("z", &[], 2, 0), free("after", &["a"]), model("other", &[], 2, 0)]
    };
    for (y, z) in [(SURE, SURE), (BREAKS, SURE), (BREAKS, BREAKS)] {
        for budgets in [json!({}), json!({ "max_tokens": 4 }), json!({ "max_llm_calls": 2 })] {
            check(
                tasks(),
                budgets,
                false,
                &[("a", 0, BREAKS, 2), ("y", 0, y.clone(), 2), ("z", 0, z.clone(), 2)],
            );
        }
    }
}

#[test]
fn of_two_targets_the_first_edge_that_holds_wakes_one_and_the_other_stays_dormant() {
    let tasks = || {
        let a = edge(model("a", &[], 2, 0), "schema_mismatch", "y", &json!({}));
        let a = edge(a, "failure", "z", &json!({}));
        vec![a, model("y", &[], 2, 0), model("z", &[], 2, 0), free("after", &["a"])]
    };
    for end in [SURE, End::Mismatch, BREAKS] {
        check(tasks(), json!({ "max_llm_calls": 2 }), false, &[("a", 0, end, 1)]);
    }
}

#[test]
fn a_target_may_read_the_task_that_it_stands_in_for() {
    let tasks = vec![
        edge(model("a", &[], 4, 0), "confidence_below_threshold", "z", &json!({ "threshold": 0.5 })),
        model("z", &["a"], 4, 0),
        free("after", &["a"]),
        free("side", &[]),
    ];
    check(tasks, json!({}), false, &[("a", 0, UNSURE, 1)]);
}

#[test]
fn a_skipped_model_spends_nothing_and_its_declared_output_stands() {
    let conditions = vec![("a".into(), "nobody".into()), ("a".into(), "a".into())];
    let skipping = T { skip_if: conditions, ..model("m", &["a"], 5, 1) };
    let tasks = vec![free("a", &[]), skipping, model("n", &["a"], 5, 0), free("after", &["m", "n"])];
    check(tasks, json!({ "max_tokens": 5, "max_llm_calls": 1 }), false, &[("n", 0, SURE, 5)]);
}
