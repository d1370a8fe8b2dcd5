//! What the adapter makes of real processes: how they start, what they know, how they end.

use std::sync::Arc;
use std::time::Duration;

use models::{AdapterErrorKind, EmbeddedConfig, ModelAdapter as _, TokenSink};
use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::world::{PATIENCE, World, gone, pid_of, request};

/// By name.
pub(crate) const ALL: &[(&str, fn())] = &[
    ("a_worker_knows_its_model_and_its_threads_and_no_secret", a_worker_knows_its_model),
    ("a_worker_serves_one_call_after_the_other_and_ends_with_the_adapter", one_after_the_other),
    ("a_worker_that_ignores_the_end_of_its_input_ends_with_the_adapter_too", it_ends_with_the_adapter),
    ("a_worker_that_dies_while_it_loads_leaves_its_last_words", last_words),
    ("a_crash_is_told_with_its_status_and_without_a_word_that_could_be_content", a_crash),
    ("a_worker_that_is_killed_costs_one_call_and_the_next_is_answered", killed),
    ("a_worker_that_stands_still_is_killed", it_stands_still),
    ("a_worker_that_does_not_listen_keeps_nobody_beyond_the_deadline", it_does_not_listen),
    ("a_program_that_cannot_be_started_is_told", no_program),
    ("a_dropped_call_leaves_a_worker_that_answers_the_next", dropped),
];

fn a_worker_knows_its_model() {
    let world = World::of("answers");
    let reply = world.ask(PATIENCE).unwrap();
    assert_eq!(reply["args"][0], "--weights");
    assert_eq!((&reply["args"][2], &reply["args"][3]), (&json!("--context-tokens"), &json!("64")));
    let environment: Vec<(String, String)> = serde_json::from_value(reply["environment"].clone()).unwrap();
    let value =
        |name: &str| environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    for name in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS", "OMP_NUM_THREADS"] {
        assert_eq!(value(name), Some("3"), "{name}");
    }
    assert_eq!((value("OMP_WAIT_POLICY"), value("GOMP_SPINCOUNT")), (Some("passive"), Some("0")));
    let known = [
        "CANDLE_NUM_THREADS",
        "DYLD_LIBRARY_PATH",
        "GOMP_SPINCOUNT",
        "HOME",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "LD_LIBRARY_PATH",
        "OMP_NUM_THREADS",
        "OMP_WAIT_POLICY",
        "PATH",
        "RAYON_NUM_THREADS",
        "RUST_BACKTRACE",
        "TMPDIR",
        "__CF_USER_TEXT_ENCODING",
    ];
    // Cargo gives this test dozens of variables, as a shell might give a key.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    for (name, _) in &environment {
        assert!(known.contains(&name.as_str()), "{name} was inherited");
    }
}

fn one_after_the_other() {
    let world = World::of("answers");
    let first = pid_of(&world.ask(PATIENCE).unwrap());
    assert_eq!(pid_of(&world.ask(PATIENCE).unwrap()), first);
    let World { adapter, runtime, .. } = world;
    let _running = runtime.enter();
    drop(adapter);
    gone(first);
}

fn it_ends_with_the_adapter() {
    let world = World::of("stays");
    let pid = pid_of(&world.ask(PATIENCE).unwrap());
    let World { adapter, runtime, .. } = world;
    let _running = runtime.enter();
    drop(adapter);
    gone(pid);
}

fn last_words() {
    let error = World::of("dies loading").ask(PATIENCE).unwrap_err();
    assert_eq!(error.kind, AdapterErrorKind::ServerError);
    assert_eq!(
        error.message,
        "the worker of model `m`: it closed its output, and ended by itself with exit status: 3; its last words: \
         there is no room for this model"
    );
}

fn a_crash() {
    let error = World::of("crashes").ask(PATIENCE).unwrap_err();
    assert!(error.transient);
    assert_eq!(
        error.message,
        "the worker of model `m`: it closed its output, and ended by itself with exit status: 101"
    );
    assert_eq!(error.usage.tokens_out.known(), Some(1));
}

fn killed() {
    let world = World::of("works on");
    let request = request("a secret prompt", PATIENCE);
    let adapter = Arc::clone(&world.adapter);
    let mut sink = TokenSink::for_request(&request);
    let meter = sink.meter();
    let call = world.runtime.spawn(async move { adapter.generate(&request, &mut sink).await });
    while meter.counted() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    world.now("answers");
    for child in world.workers() {
        kill_process(child, Signal::KILL).unwrap();
    }
    let error = world.runtime.block_on(call).unwrap().unwrap_err();
    assert!(error.transient);
    assert!(error.message.contains("signal: 9"), "{error}");
    assert!(world.ask(PATIENCE).is_ok());
}

fn it_stands_still() {
    let world = World::of("stops itself");
    let error = world.ask(PATIENCE).unwrap_err();
    assert_eq!(error.message, "the worker of model `m`: it gave no sign of life for 1000 ms, and was killed");
    assert_eq!(world.workers(), []);
    world.now("answers");
    assert!(world.ask(PATIENCE).is_ok());
}

fn it_does_not_listen() {
    let world = World::of("does not listen");
    let prompt = "x".repeat(8 << 20);
    let error = world.ask_at_length(&prompt, Duration::from_secs(2)).unwrap_err();
    assert_eq!(error.kind, AdapterErrorKind::DeadlineExceeded);
    let endless = "x".repeat(33 << 20);
    world.now("answers");
    let error = world.ask_at_length(&endless, PATIENCE).unwrap_err();
    assert_eq!(error.kind, AdapterErrorKind::Rejected);
    assert_eq!(error.message, "prompt and schema make a line of more than 33554432 bytes; make them smaller");
    assert!(world.ask_at_length(&prompt, PATIENCE).is_ok());
}

fn no_program() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("no-program");
    std::fs::write(&program, "text").unwrap();
    let config = EmbeddedConfig { worker: Some(program), ..EmbeddedConfig::default() };
    let error = World::with("answers", config).ask(PATIENCE).unwrap_err();
    assert!(!error.transient);
    assert!(error.message.starts_with("the worker of model `m`: it cannot be started: `"), "{error}");
}

fn dropped() {
    let world = World::of("works on");
    let error = world.ask(Duration::from_secs(1)).unwrap_err();
    assert_eq!(error.kind, AdapterErrorKind::DeadlineExceeded);
    let before = world.workers();
    assert_eq!(world.ask(Duration::from_secs(1)).unwrap_err().kind, AdapterErrorKind::DeadlineExceeded);
    assert_eq!(world.workers(), before, "it stopped when told to, and lives");
}
