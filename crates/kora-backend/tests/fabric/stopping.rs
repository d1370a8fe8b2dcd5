//! Ctrl-C: the first lets end what is under way, another ends the process, and nothing that was accepted is lost.

use rustix::process::Signal;
use serde_json::json;
use tokio::net::TcpSocket;

use crate::model::ModelServer;
use crate::part::Part;
use crate::stage::{At, Fabric, Stage, code, err, fixtures, json_of};
use crate::words;

/// A fabric whose model the test plays, a caller whose question is asked, and how to submit without patience.
fn stage_with_model(model: &ModelServer) -> Stage {
    let stage = Stage::new();
    let models = "models = [{ id = \"m\", tier = \"small\" }]";
    let server = format!("[[openai]]\nname = \"played\"\nbase_url = \"{}\"\n{models}\n", model.base_url());
    stage.write("models.toml", &server);
    stage.write("hurried.toml", "[krako.limits]\nsubmission_patience_ms = 1\n");
    let graph = std::fs::read_to_string(fixtures().join("clauses/C4.2-model.json")).unwrap();
    // As patient as the test: what is slow here is the machine.
    stage.write("graph.json", &graph.replace("\"max_time_ms\": 5000", "\"max_time_ms\": 600000"));
    stage
}

fn caller(stage: &Stage, at: &At) -> Part {
    Part::start(&mut stage.asking(at, &["run", "graph.json", "--json"]))
}

fn hurried(stage: &Stage, at: &At) -> std::process::Output {
    stage.on(at, &["run", "graph.json", "--config", "hurried.toml"])
}

/// A port that nobody else is given while nobody listens on it.
fn kept() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket
}

// shows C1.2, C5.2
#[test]
fn the_first_lets_a_session_end_and_its_caller_gets_the_result() {
    for signal in [Signal::INT, Signal::TERM] {
        let model = ModelServer::start();
        let stage = stage_with_model(&model);
        let Fabric { mut part, at, .. } = stage.up(&["--config", "models.toml"]);
        let caller = caller(&stage, &at);
        let (_, question) = model.question();
        part.signal(signal);
        part.hears("stopping");
        let refused = hurried(&stage, &at);
        assert_eq!(code(&refused), 23, "{}", err(&refused));
        words::read("draining", &err(&refused));
        ModelServer::answer(question, "m", &json!({"text": "red"}));
        let (ended, said, told) = caller.ended();
        assert_eq!(ended, Some(0), "{said}{told}");
        assert_eq!(part.ended().0, Some(0));
    }
}

// shows C5.2, C5.4
#[test]
fn another_ends_it_at_once_and_the_session_goes_on_at_the_next_start() {
    let model = ModelServer::start();
    let stage = stage_with_model(&model);
    let port = kept();
    let listen = port.local_addr().unwrap().to_string();
    let up = ["up", "--listen", &listen, "--config", "models.toml"];
    let mut part = stage.part(&up);
    let at = At::of(&part.said());
    let caller = caller(&stage, &at);
    let (_, _question) = model.question();
    part.signal(Signal::INT);
    part.hears("stopping");
    part.signal(Signal::INT);
    assert_eq!(part.ended().0, Some(130));
    let open = json_of(&stage.run(&["fabric", "replay", "--json"]));
    assert_eq!(
        (&open["sessions"][0]["ended"], open["sessions"].as_array().unwrap().len()),
        (&json!(false), 1)
    );

    // Its caller waits for it: the fabric comes back where it was.
    let mut part = stage.part(&up);
    part.said();
    let (_, question) = model.question();
    ModelServer::answer(question, "m", &json!({"text": "red"}));
    let (ended, said, told) = caller.ended();
    assert_eq!(ended, Some(0), "{said}{told}");
    let sessions = json_of(&stage.run(&["fabric", "replay", "--json"]));
    assert_eq!(
        (&sessions["sessions"][0]["ended"], sessions["sessions"].as_array().unwrap().len()),
        (&json!(true), 1)
    );
    assert_eq!(part.interrupted().0, Some(0));
}

// shows C5.2
#[test]
fn what_does_not_end_in_time_is_told_and_kept() {
    let model = ModelServer::start();
    let stage = stage_with_model(&model);
    let Fabric { mut part, at, .. } = stage.up(&["--config", "models.toml", "--drain", "0"]);
    let _caller = caller(&stage, &at);
    let (_, _question) = model.question();
    part.signal(Signal::INT);
    let (ended, _, told) = part.ended();
    assert_eq!(ended, Some(0));
    words::read("not_ended", &told);
}
