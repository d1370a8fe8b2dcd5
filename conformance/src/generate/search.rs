//! Looks for a graph that breaks a family's relation, and for the smallest one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use serde_json::{Value, json};

use super::family::Family;
use super::world::{World, worlds};
use crate::case::{Allowed, Case, Requires, RunPlan};
use crate::judge::{self, Judgement};
use crate::own::Plain;
use crate::report::Finding;
use crate::run::{Observer, Seen};
use crate::subject::{InProcess, Introduction, Plug};
use crate::suite::CaseFolder;

/// How long to look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    pub(crate) seed: u64,
    /// Graphs.
    pub(crate) graphs: u32,
    /// Tries to make a graph that breaks the relation smaller.
    pub(crate) shrinks: u32,
}

/// The most tasks of a generated graph.
const MAX_TASKS: usize = 7;

/// What was found for a family.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What the judge says, of the smallest graph that breaks the relation if one does.
    pub(crate) judgement: Judgement,
    /// That graph and its script.
    pub(crate) minimal: Option<Value>,
    pub(crate) undeclared: Option<String>,
    pub(crate) untestable: Option<String>,
}

/// Runs random graphs until one breaks the relation of `family`, then smaller ones that still do. Blocks.
///
/// # Errors
///
/// A fault of the suite itself.
pub(crate) fn search(
    family: &Family,
    plug: &dyn Plug,
    observer: &Observer,
    search: Search,
) -> Result<Found, String> {
    let config = Config {
        cases: search.graphs,
        max_shrink_iters: search.shrinks,
        failure_persistence: None,
        ..Config::default()
    };
    // The algorithm is named, so that a seed means the same graphs in every version of the library's defaults.
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed_of(search.seed, family.id));
    let mut runner = TestRunner::new_with_rng(config, rng);
    let found: RefCell<Found> = RefCell::default();
    let harness_fault: RefCell<Option<String>> = RefCell::default();
    let outcome = runner.run(&worlds(MAX_TASKS), |world| {
        let tried = attempt(family, &world, plug, observer).map_err(|fault| {
            *harness_fault.borrow_mut() = Some(fault.clone());
            TestCaseError::fail(fault)
        })?;
        let mut found = found.borrow_mut();
        if tried.undeclared.is_some() || tried.untestable.is_some() {
            (found.undeclared, found.untestable) = (tried.undeclared, tried.untestable);
            return Ok(());
        }
        for (law, findings) in tried.judgement.laws {
            let all = found.judgement.laws.entry(law).or_default();
            if all.is_empty() {
                all.extend(findings);
            }
        }
        if tried.judgement.findings.is_empty() {
            return Ok(());
        }
        found.judgement.findings = tried.judgement.findings;
        found.judgement.timeline = tried.judgement.timeline;
        Err(TestCaseError::fail("the relation is broken"))
    });
    if let Some(fault) = harness_fault.into_inner() {
        return Err(fault);
    }
    let mut found = found.into_inner();
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(_, world)) => {
            let smallest = attempt(family, &world, plug, observer)?;
            // The smallest one is judged once more; a backend that now gives another answer has shown enough before.
            if !smallest.judgement.findings.is_empty() {
                found.judgement.findings = smallest.judgement.findings;
                found.judgement.timeline = smallest.judgement.timeline;
            }
            let world = prepared(family, &world);
            found.minimal = Some(json!({"graph": world.graph(), "model": world.steps()}));
            (found.undeclared, found.untestable) = (None, None);
        }
        Err(TestError::Abort(reason)) => return Err(reason.message().to_owned()),
    }
    Ok(found)
}

fn seed_of(seed: u64, family: &str) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(family);
    hash.finalize().into()
}

/// The world as the family runs it.
fn prepared(family: &Family, world: &World) -> World {
    match family.variant {
        // With a budget of the graph one task could take what another leaves, and in a run that fails fast it is a
        // matter of time who is still called.
        Some(_) => World { max_llm_calls: None, max_tokens: None, fail_fast: false, ..world.clone() },
        None => world.clone(),
    }
}

/// One world: the pair of runs, the laws on both, and the relation between them.
fn attempt(family: &Family, world: &World, plug: &dyn Plug, observer: &Observer) -> Result<Found, String> {
    let world = prepared(family, world);
    let graph = world.graph();
    let second = match (family.variant, family.rewritten) {
        (Some(variant), _) => Some(variant(&world).graph()),
        (None, Some(rewritten)) => Some(rewritten(&graph)),
        (None, None) => None,
    };
    let folder = folder(family, &world, graph, second);
    // A busy machine is no excuse here: no generated graph is about time.
    let Seen { observation, undeclared, untestable, .. } = observer.observe(&folder, plug)?;
    let mut judgement = judge::judge(family.id, &folder.case, &observation, undeclared.as_deref());
    if undeclared.is_some() || untestable.is_some() || !judgement.findings.is_empty() {
        return Ok(Found { judgement, minimal: None, undeclared, untestable });
    }
    let views = judge::views(&observation);
    let broken = match views.as_slice() {
        [first, second] => (family.broken)(first, second),
        [only] => {
            let plain = observer.observe(&folder, &plain())?;
            let expected = judge::views(&plain.observation);
            expected.first().map(|expected| (family.broken)(expected, only)).unwrap_or_default()
        }
        _ => Vec::new(),
    };
    judgement.findings = broken
        .into_iter()
        .map(|(at, expected, got)| Finding {
            clause: family.clauses.first().copied().unwrap_or_default().to_owned(),
            run: 0,
            seen_in: None,
            at,
            expected,
            got,
            because: family.title.to_owned(),
        })
        .collect();
    Ok(Found { judgement, ..Found::default() })
}

/// The oracle: the suite's plain backend, in this process whatever the transport of the one that is judged.
fn plain() -> InProcess {
    let introduction = Introduction {
        name: String::from("plain"),
        version: String::new(),
        backend_mode: String::from("local"),
    };
    InProcess::new(introduction, |endpoint| Arc::new(Plain::new(endpoint)))
}

fn folder(family: &Family, world: &World, graph: Value, second: Option<Value>) -> CaseFolder {
    let plan = |graph: &str| RunPlan {
        graph: graph.to_owned(),
        context: BTreeMap::new(),
        cancel_after_calls: None,
        model: BTreeMap::new(),
    };
    let (task_types, operations) = world.needs();
    let mut graphs = BTreeMap::from([(String::from("first.json"), graph)]);
    let mut runs = vec![plan("first.json")];
    let mut requires = Requires { task_types, operations, ..Requires::default() };
    if let Some(second) = second {
        graphs.insert(String::from("second.json"), second);
        runs.push(plan("second.json"));
        requires.operations.insert(String::from("constant"));
    }
    let case = Case {
        title: family.title.to_owned(),
        clauses: family.clauses.iter().map(|clause| (*clause).to_owned()).collect(),
        likely_cause: family.likely_cause.to_owned(),
        requires,
        draw_ids: true,
        runs,
        together: false,
        model: world.steps(),
        same_meaning: false,
        allowed: vec![Allowed {
            because: String::from("a graph that is well-formed and within the capabilities is run"),
            each: Some(json!({"status": {"$one_of": ["success", "failed"]}})),
            runs: Vec::new(),
            capabilities: None,
            health: None,
        }],
    };
    CaseFolder::generated(family.id, case, graphs)
}
