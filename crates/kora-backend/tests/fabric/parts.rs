//! A fabric of many processes: each part by its own command.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::golden::{remote, same, script};
use crate::part::{PATIENCE, Part};
use crate::stage::{At, Stage, code, err, json_of, out, text};
use crate::words;

/// The parts that there is one of.
struct Middle {
    orchestrator: Part,
    gateway: Part,
    /// What a worker needs to come to the orchestrator.
    desk: [String; 2],
    at: At,
}

impl Middle {
    fn start(stage: &Stage) -> Self {
        let mut orchestrator = stage.part(&["orchestrator", "--data", "desk", "--listen", "127.0.0.1:0"]);
        let said = orchestrator.said();
        let desk = [text(&said, "desk"), text(&said, "ca_file")];
        let add =
            ["fabric", "token", "add", "--data", "gate", "--tenant", "northwind", "--out", "northwind.token"];
        assert_eq!(code(&stage.run(&add)), 0);
        let token = text(&said, "gateway_token_file");
        let mut gateway = stage.part(&[
            "gateway",
            "--data",
            "gate",
            "--listen",
            "127.0.0.1:0",
            "--orchestrator",
            &desk[0],
            "--ca",
            &desk[1],
            "--token-file",
            &token,
        ]);
        let said = gateway.said();
        let (endpoint, ca) = (text(&said, "endpoint"), text(&said, "ca_file"));
        Self { orchestrator, gateway, desk, at: At { endpoint, ca, token: String::from("northwind.token") } }
    }

    fn worker(&self, stage: &Stage, more: &[&str]) -> Part {
        let to = ["--orchestrator", &self.desk[0], "--ca", &self.desk[1], "--token-file", "desk/node.token"];
        let mut worker = stage.part(&[&["worker"], more, &to].concat());
        worker.said();
        worker
    }
}

/// Waits until this much is offered.
fn offers(stage: &Stage, at: &At, enough: impl Fn(&Value) -> bool) {
    let end = Instant::now() + PATIENCE;
    loop {
        let told = stage.on(at, &["capabilities", "--json"]);
        if code(&told) == 0 && enough(&json_of(&told)) {
            return;
        }
        assert!(Instant::now() < end, "never offered: {}{}", out(&told), err(&told));
        std::thread::sleep(Duration::from_millis(50));
    }
}

// shows C1.2, C2.6, C11.2, C11.4
#[test]
fn a_graph_with_models_runs_through_a_fabric_of_processes() {
    let stage = Stage::new();
    stage.write("script.json", &script().to_string());
    let Middle { orchestrator, gateway, desk, at } = {
        let middle = Middle::start(&stage);
        let scripted = ["--scripted-model", "script.json"];
        let workers = [
            middle.worker(&stage, &["--pool", "cpu", "--name", "cpu-1", "--slots", "2"]),
            middle.worker(&stage, &["--pool", "cpu", "--name", "cpu-2", "--slots", "2"]),
            middle.worker(&stage, &[&["--pool", "llm_pod", "--name", "pod-1"], scripted.as_slice()].concat()),
        ];
        offers(&stage, &middle.at, |told| {
            told["supported_task_types"] == json!(["deterministic", "model", "aggregation"])
                && told["max_concurrency"].as_u64() >= Some(4)
        });
        for name in ["support-triage-with-model", "release-notes", "newsletter-over-budget", "survey-tally"] {
            stage.write("graph.json", &remote(&format!("golden/{name}")));
            let here = stage.run(&[&["run", "graph.json", "--json"], scripted.as_slice()].concat());
            same(name, &stage.on(&middle.at, &["run", "graph.json", "--json"]), &here);
        }
        // While they are up, nobody else takes their place.
        let second = ["fabric", "orchestrator", "--data", "desk", "--listen", "127.0.0.1:0"];
        let refused = stage.run(&second);
        assert_eq!((code(&refused), out(&refused).as_str()), (2, ""));
        words::read("second_orchestrator", &err(&refused));
        let refused = json_of(&stage.run(&[&second[..], &["--json"]].concat()));
        assert_eq!(refused["error_type"], "USAGE_ERROR");
        for worker in workers {
            let (ended, _, told) = worker.interrupted();
            assert_eq!((ended, told.as_str()), (Some(0), ""));
        }
        middle
    };
    let listed = json_of(&stage.run(&["fabric", "replay", "--data", "desk", "--json"]));
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 4);
    assert!(!stage.path("gate/log").exists(), "a gateway holds nothing");
    let (ended, _, told) = gateway.interrupted();
    assert_eq!((ended, told.as_str()), (Some(0), ""));
    let (ended, _, told) = orchestrator.interrupted();
    assert_eq!(
        (ended, told.as_str()),
        (Some(0), "stopping; what is under way goes on, Ctrl-C ends it at once\n")
    );
    drop((desk, at));
}

// shows C11.4
#[test]
fn each_part_comes_in_by_its_own_token_only() {
    let stage = Stage::new();
    let middle = Middle::start(&stage);
    let to = ["--orchestrator", &middle.desk[0], "--ca", &middle.desk[1], "--token-file"];
    let mut said = String::new();
    for token in ["desk/gateway.token", "desk/local.token", "northwind.token"] {
        let worker = ["fabric", "worker", "--pool", "cpu", "--name", "cpu-1"];
        let refused = stage.run(&[&worker[..], &to, &[token]].concat());
        assert_eq!(code(&refused), 2, "{token}: {}", err(&refused));
        said += &err(&refused);
    }
    for token in ["desk/node.token", "desk/local.token"] {
        let listen = ["gateway", "--data", "gate", "--listen", "127.0.0.1:0"];
        let mut gateway = stage.part(&[&listen[..], &to, &[token]].concat());
        let at = At { endpoint: text(&gateway.said(), "endpoint"), ..middle.at.clone() };
        let asked = stage.on(&at, &["capabilities"]);
        assert_eq!(code(&asked), 23, "{token}: {}", err(&asked));
        said += &err(&asked);
    }
    words::read("wrong_parts", &said);
}

#[test]
fn what_a_part_cannot_use_is_said_before_it_starts() {
    let stage = Stage::new();
    stage.write("node.token", &format!("krako_{}", "0".repeat(64)));
    let worker = ["worker", "--pool", "cpu", "--orchestrator"];
    let url = "https://127.0.0.1:1";
    let with_token = ["--token-file", "node.token"];
    let mut said = String::new();
    for args in [
        [&worker[..], &["http://127.0.0.1:1"], &with_token].concat(),
        [&worker[..], &["desk"], &with_token].concat(),
        [&worker[..], &[url, "--token-file", "absent"]].concat(),
        [&worker[..], &[url, "--ca", "absent.pem"], &with_token].concat(),
        [&worker[..], &[url, "--ca", "node.token"], &with_token].concat(),
        [&worker[..], &[url, "--name", "a b"], &with_token].concat(),
        vec!["up", "--listen", "127.0.0.1:0", "--cert", "absent.pem", "--key", "node.token"],
        vec!["up", "--listen", "127.0.0.1:0", "--cert", "node.token", "--key", "node.token"],
        vec!["up", "--listen", "127.0.0.1:0", "--name", "a name"],
        vec!["up", "--listen", "127.0.0.1:0", "--scripted-model", "absent.json"],
    ] {
        let refused = stage.run(&[&["fabric"], &args[..]].concat());
        assert_eq!((code(&refused), out(&refused).as_str()), (2, ""), "{args:?}: {}", err(&refused));
        said += &err(&refused);
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for part in ["up", "orchestrator"] {
        let refused = stage.run(&["fabric", part, "--listen", &address]);
        assert_eq!(code(&refused), 2);
        assert!(err(&refused).starts_with("error: cannot listen on `127.0.0.1:"), "{}", err(&refused));
    }
    words::read("unusable_parts", &said);
}

#[test]
fn a_worker_tells_why_it_gets_no_work_and_when_it_does_again() {
    let stage = Stage::new();
    let middle = Middle::start(&stage);
    stage.write("node.token", &stage.read("desk/node.token"));
    // Another authority than the one that vouches for this desk.
    assert_eq!(stage.up(&[]).part.interrupted().0, Some(0));
    let worker =
        ["worker", "--pool", "cpu", "--name", "cpu-1", "--token-file", "node.token", "--orchestrator"];
    let mut lost = stage.part(&[&worker[..], &[&middle.desk[0], "--ca", "krako-fabric/ca.pem"]].concat());
    lost.hears("; trying again");
    let (ended, _, told) = lost.interrupted();
    assert_eq!(ended, Some(0));
    words::read("lost_worker", &stage.without_folder(&told));

    let address = middle.desk[0].strip_prefix("https://").unwrap().to_owned();
    let mut worker = stage.part(&[&worker[..], &[&middle.desk[0], "--ca", &middle.desk[1]]].concat());
    worker.said();
    offers(&stage, &middle.at, |told| told["max_concurrency"].as_u64() >= Some(1));
    assert_eq!(middle.orchestrator.interrupted().0, Some(0));
    worker.hears("the orchestrator cannot be asked: ");
    let mut again = stage.part(&["orchestrator", "--data", "desk", "--listen", &address]);
    again.said();
    offers(&stage, &middle.at, |told| told["max_concurrency"].as_u64() >= Some(1));
    stage.write("graph.json", &remote("golden/survey-tally"));
    let ran = stage.on(&middle.at, &["run", "graph.json"]);
    assert_eq!(code(&ran), 0, "{}", err(&ran));
    worker.hears("the orchestrator can be asked again\n");
    assert_eq!(worker.interrupted().0, Some(0));
}

#[test]
fn each_part_says_where_it_is_and_how_to_come_to_it() {
    let stage = Stage::new();
    let start = |args: &[&str], last: &str| {
        let mut part = Part::start(&mut stage.command(&[&["fabric"], args].concat()));
        let said = part.wait_for(last, |out, _| out.contains(last).then(|| out.to_owned()));
        (part, said)
    };
    let (orchestrator, told) = start(&["orchestrator", "--listen", "127.0.0.1:0"], "llm_pod");
    let url = told.split("orchestrator at ").nth(1).unwrap().split(',').next().unwrap().to_owned();
    let to = ["--orchestrator", &url, "--ca", "krako-fabric/ca.pem", "--token-file"];
    let gateway = ["gateway", "--data", "gate", "--listen", "127.0.0.1:0"];
    let (gateway, of_gateway) = start(&[&gateway[..], &to, &["krako-fabric/gateway.token"]].concat(), "\n");
    let worker = ["worker", "--pool", "cpu"];
    let (worker, of_worker) = start(&[&worker[..], &to, &["krako-fabric/node.token"]].concat(), "\n");
    words::read("parts", &(told + &of_gateway + &of_worker));
    for part in [worker, gateway, orchestrator] {
        assert_eq!(part.interrupted().0, Some(0));
    }
}
