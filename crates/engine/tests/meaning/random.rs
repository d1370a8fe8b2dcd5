//! Large graphs, random worlds, random interleavings: one meaning, the oracle's.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::graphs::{G, graphs};
use crate::oracle;
use crate::script::{Act, End, Script};
use crate::world::{check_invariants, meaning, run};

fn scripts() -> impl Strategy<Value = Script> {
    let end = prop_oneof![
        5 => prop_oneof![Just(0.9), Just(0.2)].prop_map(|confidence| End::Output { confidence }),
        2 => Just(End::Mismatch),
        1 => any::<bool>().prop_map(|transient| End::Fails { transient }),
    ];
    let act = (end, 0_u64..8, prop_oneof![3 => Just(0_u64), 1 => 1_u64..6])
        .prop_map(|(end, tokens, ms)| Act { end, tokens, ms });
    prop::collection::btree_map((0_u32..40, 0_u32..4), act, 0..60).prop_map(|acts| {
        let acts: BTreeMap<_, _> =
            acts.into_iter().map(|((task, attempt), act)| ((format!("t{task:02}"), attempt), act)).collect();
        Script(acts)
    })
}

fn agrees(graph: &G, script: &Script, concurrency: usize, choices: &[u16]) {
    let graph = graph.check();
    let expected = oracle::interpret(&graph, script);
    let mut choices = choices.iter().copied().cycle();
    let outcome = run(&graph, script, concurrency, &mut |n| usize::from(choices.next().unwrap_or(0)) % n);
    same(&meaning(&outcome), &expected);
    check_invariants(&graph, &outcome);
}

/// Piece by piece, so that a difference is small enough to read.
#[track_caller]
fn same(got: &oracle::Meaning, expected: &oracle::Meaning) {
    assert_eq!(got.tasks.len(), expected.tasks.len());
    for (got, expected) in got.tasks.iter().zip(&expected.tasks) {
        assert_eq!(got, expected);
    }
    assert_eq!(got.failure, expected.failure);
    assert_eq!(got.final_output, expected.final_output);
}

proptest! {
    // shows C2.6, C6.1, C7.1, C7.2, C7.3, C7.4, C7.5, C8.1, C8.2, C9.1
    #[test]
    fn any_interleaving_means_what_one_after_the_other_means(
        graph in graphs(24),
        script in scripts(),
        concurrency in prop_oneof![Just(1_usize), 2_usize..8, Just(64)],
        choices in prop::collection::vec(any::<u16>(), 1..200),
    ) {
        agrees(&graph, &script, concurrency, &choices);
    }

    // shows C6.1
    #[test]
    fn a_small_crowded_graph_does_too(
        graph in graphs(6),
        script in scripts(),
        concurrency in 1_usize..6,
        choices in prop::collection::vec(any::<u16>(), 1..60),
    ) {
        agrees(&graph, &script, concurrency, &choices);
    }
}
