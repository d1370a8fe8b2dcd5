//! Sessions worked out again from the event log, beside what the fabric itself answers.

use std::path::Path;
use std::sync::Arc;

use krako_transport::{Call, Client, Endpoint, KeySource, Secret, TcpDial, TransportLimits, Trust};
use serde_json::{Value, json};

use crate::golden::{remote, script};
use crate::stage::{At, Stage, code, err, json_of, out, text};
use crate::words;

const REPLAY: [&str; 2] = ["fabric", "replay"];

/// What the fabric answers who asks for a session, as it came.
fn live(stage: &Stage, at: &At, session: &str) -> String {
    let token = Secret::read(&KeySource::File(stage.path(&at.token)), "token").unwrap();
    let trust = Trust::Pinned(stage.path(&at.ca));
    let endpoint = Endpoint::parse(&at.endpoint).unwrap();
    let dial = Arc::new(TcpDial);
    let client = Client::new(endpoint, trust, Some(token), dial, TransportLimits::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(client.request(Call::get(format!("/v1/execution/{session}")))).unwrap();
    assert!(answer.status.is_success(), "{}", answer.status);
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// Runs a golden graph and names its session.
fn session(stage: &Stage, at: &At, name: &str, expected: i32) -> (String, Value) {
    stage.write("graph.json", &remote(&format!("golden/{name}")));
    let ran = stage.on(at, &["run", "graph.json", "--json"]);
    assert_eq!(code(&ran), expected, "{name}: {}", err(&ran));
    let result = json_of(&ran);
    (text(&result["telemetry_bundle"], "execution_session_id"), result)
}

fn replayed(stage: &Stage, session: &str) -> Value {
    let replayed = stage.run(&["fabric", "replay", session, "--json"]);
    assert_eq!((code(&replayed), err(&replayed)), (0, String::new()));
    json_of(&replayed)
}

// shows C5.3, C5.4, C8.3
#[test]
fn a_session_is_worked_out_again_byte_for_byte_while_its_fabric_runs_and_afterwards() {
    let stage = Stage::new();
    stage.write("script.json", &script().to_string());
    // One at a time, so that what is billed is in one order.
    let fabric = stage.up(&["--scripted-model", "script.json", "--cpu-slots", "1", "--llm-slots", "1"]);
    let mut known = Vec::new();
    for (name, expected) in [("support-triage", 0), ("release-notes", 0), ("newsletter-over-budget", 12)] {
        let (session, result) = session(&stage, &fabric.at, name, expected);
        let live = live(&stage, &fabric.at, &session);
        let again = replayed(&stage, &session);
        assert_eq!(again["report"].to_string(), live, "{name}: replayed (left), live (right)");
        assert_eq!(again["report"]["semantic_digest"], result["execution_metadata"]["semantic_digest"]);
        assert_eq!(again["report"]["final_output"], result["final_output"]);
        known.push((session, live, again));
    }
    let page = stage.run(&["fabric", "replay", &known[0].0]);
    words::read("replayed", &out(&page));
    words::read("replayed_failure", &out(&stage.run(&["fabric", "replay", &known[2].0])));
    words::read("sessions", &out(&stage.run(&REPLAY)));

    assert_eq!(fabric.part.interrupted().0, Some(0));
    let before = bytes(&stage.path("krako-fabric/log"));
    for (session, live, while_it_ran) in &known {
        let again = replayed(&stage, session);
        assert_eq!((again["report"].to_string(), &again), (live.clone(), while_it_ran));
    }
    let listed = json_of(&stage.run(&["fabric", "replay", "--json"]));
    let listed = listed["sessions"].as_array().unwrap();
    assert_eq!(listed.len(), known.len());
    for (session, ..) in &known {
        assert!(listed.contains(&json!({"execution_session_id": session, "ended": true})), "{session}");
    }
    assert_eq!(bytes(&stage.path("krako-fabric/log")), before, "a replay changes nothing");
}

/// Every file of a folder.
fn bytes(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn what_is_not_in_a_log_or_no_log_is_said_to_be_so() {
    let stage = Stage::new();
    let mut said = String::new();
    let mut refused = |args: &[&str]| {
        let output = stage.run(&[&REPLAY, args].concat());
        assert_eq!((code(&output), out(&output).as_str()), (2, ""), "{args:?}: {}", err(&output));
        said += &err(&output);
    };
    refused(&[]);
    refused(&["ses_1"]);
    refused(&["--data", "elsewhere"]);
    assert_eq!(stage.up(&[]).part.interrupted().0, Some(0));
    refused(&["ses_1"]);
    refused(&["a session"]);
    refused(&["\u{1b}[2J"]);
    assert!(!stage.path("elsewhere").exists(), "looking makes nothing");
    words::read("no_session", &said);
    assert_eq!(out(&stage.run(&REPLAY)), "0 sessions in `krako-fabric/log`\n");
    let refused = json_of(&stage.run(&["fabric", "replay", "ses_1", "--json"]));
    assert_eq!((&refused["error_type"], refused["message"].is_string()), (&json!("USAGE_ERROR"), true));
}

// shows C5.4
#[test]
fn a_log_that_is_damaged_or_of_another_version_is_neither_replayed_nor_served() {
    let stage = Stage::new();
    let fabric = stage.up(&[]);
    let (first, _) = session(&stage, &fabric.at, "support-triage", 0);
    let (second, _) = session(&stage, &fabric.at, "survey-tally", 0);
    assert_eq!(fabric.part.interrupted().0, Some(0));
    let segment = stage.path("krako-fabric/log/00000001.kfl");
    let whole = std::fs::read(&segment).unwrap();
    let text = String::from_utf8_lossy(&whole).into_owned();
    let changed = |at: usize, to: u8| {
        let mut bytes = whole.clone();
        bytes[at] = to;
        bytes
    };
    let submitted = text.find("{\"submitted\"").unwrap();
    let mut said = String::new();
    for (what, bytes) in [
        ("one byte of the first submission", changed(submitted + 40, b'~')),
        ("the version", changed(8, 2)),
        ("what it is", changed(0, b'k')),
        ("the header's sum", changed(31, whole[31] ^ 1)),
        ("zeros", vec![0; whole.len()]),
    ] {
        std::fs::write(&segment, bytes).unwrap();
        let before = std::fs::read(&segment).unwrap();
        for args in [
            ["replay"].as_slice(),
            &["replay", &first],
            &["replay", &second],
            &["up", "--listen", "127.0.0.1:0"],
            &["orchestrator", "--listen", "127.0.0.1:0"],
        ] {
            let refused = stage.run(&[&["fabric"], args].concat());
            assert_eq!(
                (code(&refused), out(&refused).as_str()),
                (2, ""),
                "{what}, {args:?}: {}",
                err(&refused)
            );
            if args == ["replay"] {
                said += &err(&refused);
            }
        }
        assert_eq!(std::fs::read(&segment).unwrap(), before, "{what}: it is left as it is");
    }
    words::read("damaged_log", &said);
    let refused = json_of(&stage.run(&["fabric", "replay", &first, "--json"]));
    assert_eq!(
        (&refused["error_type"], &refused["details"]["file"]),
        (&json!("USAGE_ERROR"), &json!("krako-fabric"))
    );
    std::fs::write(&segment, &whole).unwrap();
    replayed(&stage, &first);
}

// shows C5.4
#[test]
fn a_record_that_a_crash_left_half_is_passed_over_and_cut_off_at_the_next_start() {
    let stage = Stage::new();
    let fabric = stage.up(&[]);
    let (first, _) = session(&stage, &fabric.at, "support-triage", 0);
    assert_eq!(fabric.part.interrupted().0, Some(0));
    let segment = stage.path("krako-fabric/log/00000001.kfl");
    let mut bytes = std::fs::read(&segment).unwrap();
    let whole = bytes.len();
    bytes.extend_from_slice(&[0, 1, 0, 0, 7, 7, 7, 7, 0, 0, 0]);
    std::fs::write(&segment, &bytes).unwrap();
    let told = stage.run(&["fabric", "replay", &first, "--json"]);
    assert_eq!(code(&told), 0);
    let before = json_of(&told);
    let end = whole.to_string();
    words::read("unfinished", &err(&told).replace(&end, "[offset]"));
    let mut fabric = stage.up(&[]);
    fabric.part.hears("the log ended in a record that was not finished: 11 bytes of ");
    assert_eq!(replayed(&stage, &first), before);
    assert_eq!(live(&stage, &fabric.at, &first), before["report"].to_string());
}
