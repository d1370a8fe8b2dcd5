//! The whole fabric and its callers on a simulated network, by seeds (`cargo xtask simulate`).
//!
//! Seven hosts on one thread, TLS between all of them, a disk that outlives a crash. A seed says who asks for what and what
//! breaks when: links cut, one way too, held, slowed, lossy; processes killed, power failed. Then everything is mended, and
//! within a bound everything must have come to its end, and be what it would have been without any of that (C2.6, C6.1).
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod broken;
mod clients;
mod dice;
mod graphs;
mod hosts;
mod identity;
mod judge;
mod network;
mod plan;
mod story;
mod watched;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::broken::Broken;
use crate::plan::Plan;
use crate::story::{Story, tell};

/// Lives through seeds, on as many threads as there are processors. Gives what is not as it must be, by seed.
fn search(from: u64, seeds: u64) -> Vec<Story> {
    let next = AtomicU64::new(from);
    let stories = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        return;
                    }
                    let story = tell(seed, Broken::Nothing);
                    if !story.faults.is_empty() {
                        print(&story);
                    }
                    stories.lock().unwrap().push(story);
                }
            });
        }
    });
    let mut stories = stories.into_inner().unwrap();
    stories.sort_by_key(|story| story.seed);
    stories
}

fn print(story: &Story) {
    eprintln!("seed {} fails; repeat it with: cargo xtask simulate --seed {}", story.seed, story.seed);
    for fault in &story.faults {
        eprintln!("  {fault}");
    }
}

fn pass(stories: &[Story]) {
    let failed: Vec<u64> =
        stories.iter().filter(|story| !story.faults.is_empty()).map(|story| story.seed).collect();
    assert!(failed.is_empty(), "{} of {} seeds fail: {failed:?}", failed.len(), stories.len());
}

// shows C2.6, C6.1, C5.4
#[test]
fn whatever_breaks_every_run_means_what_it_means_on_one_machine() {
    pass(&search(0, 24));
}

#[test]
fn a_seed_is_one_history() {
    for seed in [1, 7, 12, 30, 77, 104] {
        let (one, other) = (tell(seed, Broken::Nothing), tell(seed, Broken::Nothing));
        assert_eq!(one.hash, other.hash, "seed {seed}: {:#?}", Plan::new(seed));
    }
}

/// Whether the simulation finds out, within so many seeds, something that is said in these words.
fn found(broken: Broken, within: u64, words: &[&str]) {
    let is_said = |fault: &String| words.iter().any(|words| fault.contains(words));
    let found = (0..within).map(|seed| tell(seed, broken)).find(|story| story.faults.iter().any(is_said));
    let story = found.unwrap_or_else(|| panic!("{broken:?} is not found within {within} seeds"));
    eprintln!("{broken:?} is found by seed {}: {:?}", story.seed, story.faults);
}

// shows C5.4
#[test]
fn a_log_that_acknowledges_before_it_is_durable_is_found() {
    // Lost are events that a caller knows, reports that a node was thanked for, or whole sessions.
    let words = ["and the last is", "no session", "the log has no session", "was taken from 2 claims"];
    found(Broken::AcknowledgesEarly, 60, &words);
}

// shows C11.1
#[test]
fn a_desk_that_takes_late_reports_is_found() {
    found(Broken::TakesLateReports, 100, &["was taken from 2 claims"]);
}

// shows C5.1
#[test]
fn a_client_that_submits_anew_is_found() {
    found(Broken::SubmitsAnew, 60, &["was run in 2 sessions", "was run in 3 sessions"]);
}

/// For `cargo xtask simulate`: as many seeds as it is told.
#[test]
#[ignore = "runs as many seeds as `cargo xtask simulate` says"]
fn search_as_told() {
    let told = |name: &str, otherwise: u64| {
        std::env::var(name).map_or(otherwise, |text| text.parse().expect("a whole number"))
    };
    let (from, seeds) = (told("KORA_SIMULATE_FROM", 0), told("KORA_SIMULATE_SEEDS", 1_000));
    if seeds == 1 {
        eprintln!("{:#?}", Plan::new(from));
    }
    let began = std::time::Instant::now();
    let stories = search(from, seeds);
    let sum = |of: fn(&Story) -> u64| stories.iter().map(of).sum::<u64>();
    eprintln!(
        "{} seeds in {:.1} s: {} s of simulated time, {} sessions, {} of them given up by their callers; {} times the \
         orchestrator was ended and its log taken up, {} times work was given again",
        stories.len(),
        began.elapsed().as_secs_f64(),
        sum(|story| story.took.as_secs()),
        sum(|story| story.sessions as u64),
        sum(|story| story.given_up as u64),
        sum(|story| story.recoveries as u64),
        sum(|story| story.given_again as u64),
    );
    pass(&stories);
}
