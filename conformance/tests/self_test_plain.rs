//! Two backends that share no code about what a run means, held against each other: the plain one and LocalBackend.
//!
//! Every fixture, every malformed graph, and random graphs: what they answer and what they ask the model is the same
//! (C2.6, C6.1).
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be read is a failed test")]

#[path = "self_test_plain/fixture.rs"]
mod fixture;
#[path = "self_test_plain/meaning.rs"]
mod meaning;
#[path = "self_test_plain/random.rs"]
mod random;

use std::sync::Arc;
use std::time::Duration;

use backend_local::{Backoff, LocalBackend, LocalConfig};
use backend_server::{BackendService, Service};
use conformance::model::{BookAdapter, ModelEndpoint};
use conformance::own::{Behaviour, Plain, Quirk};
use models::ModelRouter;
use proptest::prelude::*;

use crate::fixture::Scene;
use crate::meaning::Meaning;

/// LocalBackend with so many tasks at a time.
fn local<const CONCURRENCY: u32>(endpoint: &ModelEndpoint) -> Arc<dyn Service> {
    let adapter = Arc::new(BookAdapter::new(Arc::clone(&endpoint.book)));
    let models = ModelRouter::new(vec![adapter]).unwrap();
    let wait = Duration::from_millis(5);
    let backoff = Backoff { initial: wait, max: wait };
    let config = LocalConfig { models, max_concurrency: CONCURRENCY, backoff, ..LocalConfig::default() };
    Arc::new(BackendService::new(Arc::new(LocalBackend::new(config))))
}

fn plain(endpoint: &ModelEndpoint) -> Arc<dyn Service> {
    Arc::new(Plain::new(endpoint))
}

/// The same backend, several tasks at a time and in another order.
fn odd(quirk: Quirk, endpoint: &ModelEndpoint) -> Arc<dyn Service> {
    Arc::new(Plain::that(Behaviour::Odd(quirk), endpoint))
}

fn assert_same(scene: &Scene) {
    let found = Meaning::of(scene, plain);
    for local in [local::<1>, local::<8>] {
        assert_eq!(found, Meaning::of(scene, local), "{}: plain (left), LocalBackend (right)", scene.name);
    }
}

// shows C2.6, C6.1
#[test]
fn every_fixture_means_the_same_to_both() {
    let scenes: Vec<Scene> = ["golden", "clauses", "v0_1"].into_iter().flat_map(fixture::all_in).collect();
    assert!(scenes.len() > 50, "{} fixtures found", scenes.len());
    scenes.iter().for_each(assert_same);
}

// shows C10.3
#[test]
fn both_refuse_every_malformed_graph() {
    let scenes = fixture::all_in("malformed");
    scenes.iter().for_each(assert_same);
    // The others are malformed under smaller limits than the usual ones.
    let refused = scenes.iter().filter(|scene| matches!(Meaning::of(scene, plain), Meaning::Refused { .. }));
    assert!(refused.count() > 100);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(random::cases()) })]

    // shows C2.6, C6.1
    #[test]
    fn every_random_graph_means_the_same_to_both(scene in random::scenes(12)) {
        let found = Meaning::of(&scene, plain);
        for local in [local::<1>, local::<8>] {
            let expected = Meaning::of(&scene, local);
            prop_assert_eq!(&found, &expected, "plain (left), LocalBackend (right)\n{}", scene.graph);
        }
        let backwards = Meaning::of(&scene, |endpoint| odd(Quirk::Backwards, endpoint));
        prop_assert_eq!(&backwards, &found, "backwards (left), plain (right)\n{}", scene.graph);
        let side_by_side = Meaning::of(&scene, |endpoint| odd(Quirk::FourLanes, endpoint));
        prop_assert_eq!(&side_by_side, &found, "side by side (left), plain (right)\n{}", scene.graph);
    }
}
