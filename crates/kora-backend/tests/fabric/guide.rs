//! The guide's commands are run as they stand there: what the page shows is what happens.

use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustix::process::Signal;

use crate::golden::{remote, script};
use crate::part::{PATIENCE, Part};
use crate::stage::{Stage, code, err, json_of, out, text};

const GUIDE: &str = include_str!("../../../../docs/guides/fabric.md");

/// Each block of this language, in order.
pub(crate) fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("\n```{language}\n");
    GUIDE.split(&fence).skip(1).map(|block| block.split("\n```").next().unwrap()).collect()
}

/// The commands of a block, without their comments, each in its words.
fn commands(block: &str) -> Vec<Vec<String>> {
    let lines = block.replace("\\\n", " ");
    let without_comments = lines.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let commands = without_comments.filter(|line| !line.is_empty());
    commands.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// The guide's command with other words in some places. Each of them must stand there.
fn with(words: &[String], others: &[(&str, &str)]) -> Vec<String> {
    let mut words = words.to_vec();
    for (word, other) in others {
        let place = words.iter_mut().find(|found| found == word);
        *place.unwrap_or_else(|| panic!("the guide has no `{word}` there")) = (*other).to_owned();
    }
    words
}

fn command(stage: &Stage, words: &[String]) -> Command {
    assert_eq!(words[0], "kora-backend");
    stage.command(&words[1..].iter().map(String::as_str).collect::<Vec<_>>())
}

fn run(stage: &Stage, words: &[String]) -> String {
    let output = Part::start(&mut command(stage, words)).output();
    assert_eq!(code(&output), 0, "{words:?}: {}", err(&output));
    out(&output)
}

#[test]
fn one_command_starts_what_the_guide_shows_and_its_line_runs_a_graph() {
    let stage = Stage::new();
    stage.write("script.json", &script().to_string());
    stage.write("graph.json", &remote("golden/support-triage-with-model"));
    let [up, _, tokens, replay, _] = blocks("sh")[..] else { panic!("other blocks than this test knows") };
    let [up] = &commands(up)[..] else { panic!("other commands than this test knows") };
    // The page says that it takes this.
    let chance = ["--listen", "127.0.0.1:0", "--scripted-model", "script.json"].map(String::from);
    let mut fabric = Part::start(&mut command(&stage, &[&up[..], &chance].concat()));
    let shown = |said: &str, _: &str| said.contains("--token-file").then(|| said.to_owned());
    let said = fabric.wait_for("the line that runs a graph", shown);
    let port = said.split("https://127.0.0.1:").nth(1).unwrap().split(',').next().unwrap().to_owned();
    let [screen] = blocks("text")[..] else { panic!("other blocks than this test knows") };
    assert_eq!(said.replace(&port, "7443").trim_end(), screen);

    // The line that it prints, and the configuration of the page.
    let line = commands(&said).into_iter().find(|words| words[0] == "kora-backend").unwrap();
    assert!(run(&stage, &with(&line, &[("GRAPH", "graph.json")])).contains("reporting"));
    let [toml, _] = blocks("toml")[..] else { panic!("other blocks than this test knows") };
    stage.write("fabric.toml", &toml.replace("7443", &port));
    let by_file = ["run", "graph.json", "--json", "--backend", "krako", "--config", "fabric.toml"];
    let ran = json_of(&stage.run(&by_file));
    assert_eq!(ran["status"], "success");
    // Who is asked by the environment.
    let mut by_environment = stage.command(&["health", "--backend", "krako"]);
    by_environment
        .env("KORA_BACKEND_ENDPOINT", format!("https://127.0.0.1:{port}"))
        .env("KORA_BACKEND_CA", "krako-fabric/ca.pem");
    for (name, value) in [
        ("KORA_BACKEND_TOKEN_FILE", "krako-fabric/local.token".to_owned()),
        ("KORA_BACKEND_TOKEN", stage.read("krako-fabric/local.token")),
    ] {
        let output = Part::start(by_environment.env(name, value)).output();
        assert_eq!(code(&output), 0, "{name}: {}", err(&output));
        by_environment.env_remove(name);
    }

    let [add, list, revoke] = &commands(tokens)[..] else { panic!("other commands than this test knows") };
    run(&stage, add);
    assert!(stage.read("northwind.token").starts_with("krako_"));
    assert!(run(&stage, list).contains("northwind"));
    run(&stage, revoke);
    assert!(!run(&stage, list).contains("northwind"));

    let [all, one] = &commands(replay)[..] else { panic!("other commands than this test knows") };
    let session = text(&ran["telemetry_bundle"], "execution_session_id");
    assert!(run(&stage, all).contains(&session));
    let replayed = run(&stage, &with(one, &[("SESSION", &session)]));
    let replayed: serde_json::Value = serde_json::from_str(&replayed).unwrap();
    assert_eq!(replayed["report"]["semantic_digest"], ran["execution_metadata"]["semantic_digest"]);
    assert!(replayed["report"]["billing"].is_object() && replayed["ledger"].is_array(), "its bill");
    assert_eq!(fabric.interrupted().0, Some(0));
}

#[test]
fn the_parts_of_the_guide_are_a_fabric() {
    let stage = Stage::new();
    stage.write("script.json", &script().to_string());
    let models =
        "[[openai]]\nname = \"nobody\"\nbase_url = \"http://127.0.0.1:9/v1\"\nmodels = [{ id = \"m\" }]\n";
    stage.write("models.toml", models);
    identities(&stage, ["desk", "gateway"]);
    let [_, parts, tokens, ..] = blocks("sh")[..] else { panic!("other blocks than this test knows") };
    let [orchestrator, gateway, cpu, pod] = &commands(parts)[..] else {
        panic!("other commands than this test knows")
    };
    // Machines whose trust is that of the page: whoever made the certificates.
    let start = |words: &[String]| {
        let mut words = words.to_vec();
        words.push(String::from("--json"));
        Part::start(command(&stage, &words).env("SSL_CERT_FILE", stage.path("authority.pem")))
    };
    let local = ("0.0.0.0:7444", "127.0.0.1:0");
    let mut middle = start(&with(orchestrator, &[("/srv/krako", "middle"), local]));
    let desk = text(&middle.said(), "desk").replace("127.0.0.1", "localhost");
    let there = ("https://desk.example:7444", desk.as_str());
    // Its first start wrote them.
    for token in ["node.token", "gateway.token"] {
        stage.write(token, &stage.read(&format!("middle/{token}")));
    }
    let mut edge = start(&with(gateway, &[("/srv/gateway", "edge"), ("0.0.0.0:7443", "127.0.0.1:0"), there]));
    let endpoint = text(&edge.said(), "endpoint").replace("127.0.0.1", "localhost");
    let workers = [cpu, pod].map(|worker| {
        let mut worker = start(&with(worker, &[there]));
        worker.said();
        worker
    });
    // Its directory has the tokens of the tenants.
    let add = &commands(tokens)[0];
    run(&stage, &[&add[..], &["--data", "edge"].map(String::from)].concat());
    stage.write("graph.json", &remote("golden/support-triage"));
    let end = std::time::Instant::now() + PATIENCE;
    let ran = loop {
        let asked = [
            "run",
            "graph.json",
            "--backend",
            "krako",
            "--endpoint",
            &endpoint,
            "--token-file",
            "northwind.token",
        ];
        let mut asked = stage.command(&asked);
        let ran = Part::start(asked.env("SSL_CERT_FILE", stage.path("authority.pem"))).output();
        // A token that was added, and a node that came, are noticed within seconds.
        if code(&ran) == 0 || std::time::Instant::now() > end {
            break ran;
        }
    };
    assert_eq!(code(&ran), 0, "{}", err(&ran));
    for part in workers.into_iter().chain([edge, middle]) {
        let mut part = part;
        part.signal(Signal::TERM);
        assert_eq!(part.ended().0, Some(0));
    }
}

#[test]
fn the_suite_that_the_guide_names_can_be_asked_for() {
    let judge = blocks("sh")[4];
    let [judge] = &commands(judge)[..] else { panic!("other commands than this test knows") };
    // One case of it: whole, it is no work for a test among others.
    let one = ["--only", "C1.4-chain-of-edges", "--json"].map(String::from);
    let judged = Part::start(&mut command(&Stage::new(), &[&judge[..], &one].concat())).output();
    assert_eq!(code(&judged), 31, "a part of the suite is no verdict: {}", err(&judged));
    assert_eq!(out(&judged).matches("\"verdict\": \"pass\"").count(), 1);
}

/// Certificates for this machine, as somebody has who runs it on many, and that of the authority which vouches for them.
fn identities(stage: &Stage, files: [&str; 2]) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    stage.write("authority.pem", &authority.self_signed(&authority_key).unwrap().pem());
    let issuer = Issuer::new(authority, authority_key);
    for name in files {
        let key = KeyPair::generate().unwrap();
        let names = ["localhost", "127.0.0.1"].map(String::from);
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        stage.write(&format!("{name}.pem"), &certificate.pem());
        stage.write(&format!("{name}.key.pem"), &key.serialize_pem());
    }
}
