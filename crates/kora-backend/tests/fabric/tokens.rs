//! Who may ask: tokens that are made, listed, taken back, and what is wrong with them.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::part::PATIENCE;
use crate::stage::{At, Stage, code, err, fixtures, json_of, out};
use crate::words;

const GRAPH: &str = "golden/support-triage.json";

/// Waits until a call with this token ends with this code: a file of tokens is looked at every two seconds.
fn soon(stage: &Stage, at: &At, expected: i32) {
    let end = Instant::now() + PATIENCE;
    loop {
        let asked = stage.on(at, &["health"]);
        if code(&asked) == expected {
            return;
        }
        assert!(Instant::now() < end, "never {expected}: {}", err(&asked));
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn mode(stage: &Stage, name: &str) -> u32 {
    std::fs::metadata(stage.path(name)).unwrap().permissions().mode() & 0o777
}

// shows C11.4
#[test]
fn a_token_opens_the_fabric_until_it_is_revoked() {
    let (stage, graph) = (Stage::new(), fixtures().join(GRAPH));
    let graph = graph.to_str().unwrap();
    let fabric = stage.up(&[]);
    let add = ["fabric", "token", "add", "--tenant", "northwind", "--out"];
    let added = stage.run(&[&add[..], &["laptop.token", "--name", "Dana's laptop"]].concat());
    assert_eq!((code(&added), err(&added)), (0, String::new()));
    assert_eq!(code(&stage.run(&[&add[..], &["server.token", "--name", "server"]].concat())), 0);
    let (laptop, server) = (fabric.at.with_token("laptop.token"), fabric.at.with_token("server.token"));
    soon(&stage, &laptop, 0);
    let ran = stage.on(&laptop, &["run", graph, "--json"]);
    assert_eq!(json_of(&ran)["status"], "success");

    // The token is in the file that was asked for, for its owner only, and nowhere else.
    let token = stage.read("laptop.token");
    assert_eq!((mode(&stage, "laptop.token"), mode(&stage, "krako-fabric/tokens.toml")), (0o600, 0o600));
    assert_eq!(mode(&stage, "krako-fabric/local.token"), 0o600);
    let listed = stage.run(&["fabric", "token", "list"]);
    assert!(token.starts_with("krako_") && !stage.read("krako-fabric/tokens.toml").contains(&token));
    assert!(!out(&listed).contains(&token) && !out(&added).contains(&token));
    words::read("token_list", &out(&listed));
    let listed = json_of(&stage.run(&["fabric", "token", "list", "--json"]));
    let holders: Vec<_> = listed["tokens"].as_array().unwrap().iter().map(|line| &line["name"]).collect();
    assert_eq!(holders, [&json!("first start"), &json!("Dana's laptop"), &json!("server")]);

    let revoke = ["fabric", "token", "revoke", "--tenant", "northwind"];
    let revoked = stage.run(&[&revoke[..], &["--name", "Dana's laptop"]].concat());
    assert_eq!((code(&revoked), out(&revoked).as_str()), (0, "1 token of tenant northwind revoked\n"));
    soon(&stage, &laptop, 24);
    let refused = stage.on(&laptop, &["run", graph]);
    assert_eq!((code(&refused), out(&refused).as_str()), (24, ""));
    words::read("revoked", &err(&refused));
    assert_eq!(code(&stage.on(&server, &["run", graph])), 0, "another of the same tenant");
    assert_eq!(out(&stage.run(&revoke)), "1 token of tenant northwind revoked\n");
    soon(&stage, &server, 24);
    assert_eq!(code(&fabric.on(&["run", graph])), 0, "that of another tenant");
}

#[test]
fn what_cannot_be_a_token_of_anybody_is_refused_and_leaves_nothing() {
    let stage = Stage::new();
    assert_eq!(code(&stage.run(&["fabric", "token", "add", "--node", "n", "--out", "n.token"])), 0);
    let before = stage.read("krako-fabric/tokens.toml");
    let long = "x".repeat(129);
    let mut said = String::new();
    for who in [
        ["--tenant", ""].as_slice(),
        &["--tenant", "a\nb"],
        &["--tenant", "\u{1b}[2J"],
        &["--tenant", &long],
        &["--node", ""],
        &["--node", "a\nb"],
        &["--gateway", "\u{1b}[2J"],
        &["--gateway", &long],
        &["--node", "n", "--name", ""],
        &["--node", "n", "--name", "a\rb"],
        &["--node", "n", "--name", &long],
    ] {
        let refused = stage.run(&[&["fabric", "token", "add", "--out", "x.token"], who].concat());
        assert_eq!((code(&refused), out(&refused).as_str()), (2, ""), "{who:?}");
        assert!(
            err(&refused).contains("is 1 to 128 bytes without control characters"),
            "{who:?}: {}",
            err(&refused)
        );
        assert!(!stage.path("x.token").exists(), "{who:?}");
        if !said.contains(&err(&refused)) {
            said += &err(&refused);
        }
    }
    assert_eq!(stage.read("krako-fabric/tokens.toml"), before);

    for args in [
        ["add", "--node", "n", "--out", "n.token"].as_slice(),
        &["add", "--node", "n", "--out", "no/such.token"],
        &["revoke", "--tenant", "n"],
        &["revoke", "--node", "n", "--name", "laptop"],
        &["revoke", "--node", "n", "--data", "elsewhere"],
    ] {
        let refused = stage.run(&[&["fabric", "token"], args].concat());
        assert_eq!((code(&refused), out(&refused).as_str()), (2, ""), "{args:?}");
        said += &err(&refused);
    }
    assert!(!stage.path("elsewhere").exists());
    assert_eq!(
        code(&stage.run(&["fabric", "token", "add", "--tenant", "t", "--node", "n", "--out", "x.token"])),
        2
    );
    assert_eq!(code(&stage.run(&["fabric", "token", "add", "--out", "x.token"])), 2);
    assert_eq!(code(&stage.run(&["fabric", "token", "revoke"])), 2);
    words::read("no_tokens", &stage.without_folder(&said));
}

#[test]
fn two_tokens_of_one_holder_have_two_names() {
    let stage = Stage::new();
    let add = |who: [&str; 2], name: &str, file: &str| {
        stage.run(&["fabric", "token", "add", who[0], who[1], "--name", name, "--out", file])
    };
    assert_eq!(code(&add(["--tenant", "a"], "laptop", "1.token")), 0);
    let refused = add(["--tenant", "a"], "laptop", "2.token");
    assert_eq!(code(&refused), 2);
    assert!(
        err(&refused).contains("tenant a has a token called `laptop`; call this one something else"),
        "{}",
        err(&refused)
    );
    assert!(!stage.path("2.token").exists());
    assert_eq!(code(&add(["--tenant", "a"], "server", "2.token")), 0);
    assert_eq!(code(&add(["--tenant", "b"], "laptop", "3.token")), 0, "of another holder");
    assert_eq!(code(&add(["--node", "a"], "laptop", "4.token")), 0, "of a holder of another kind");
}

// shows C11.4
#[test]
fn a_damaged_file_of_tokens_opens_nothing_and_is_not_quoted() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("krako-fabric")).unwrap();
    let (token, digest) = ("krako_".to_owned() + &"5ecret".repeat(8), format!("sha256:{}", "0".repeat(64)));
    let mut said = String::new();
    for text in [
        token.clone(),
        format!("[[token]]\ntenant = \"a\"\nsha256 = \"{token}\"\n"),
        format!("[[token]]\ntenant = \"a\"\nsha256 = \"{digest}\"\nsecret = \"{token}\"\n"),
        format!("[[token]]\ntenant = \"a\"\nnode = \"n\"\nsha256 = \"{digest}\"\n"),
        format!("[[token]]\nsha256 = \"{digest}\"\n"),
        format!("[[token]]\nnode = \"\"\nsha256 = \"{digest}\"\n"),
        format!("[[token]]\ntenant = \"a\nsha256 = \"{token}\"\n"),
    ] {
        stage.write("krako-fabric/tokens.toml", &text);
        for args in [
            ["token", "list"].as_slice(),
            &["token", "add", "--tenant", "a", "--out", "x.token"],
            &["token", "revoke", "--tenant", "a"],
            &["up", "--listen", "127.0.0.1:0"],
            &["orchestrator", "--listen", "127.0.0.1:0"],
        ] {
            let refused = stage.run(&[&["fabric"], args].concat());
            assert_eq!((code(&refused), out(&refused).as_str()), (2, ""), "{args:?}: {text}");
            assert!(!err(&refused).contains("5ecret"), "{}", err(&refused));
            if args == ["token", "list"] {
                said += &err(&refused);
            }
        }
        assert_eq!(stage.read("krako-fabric/tokens.toml"), text, "it is left as it is");
        assert!(!stage.path("x.token").exists());
    }
    let refused = json_of(&stage.run(&["fabric", "token", "list", "--json"]));
    assert_eq!(
        (&refused["error_type"], &refused["details"]["file"]),
        (&json!("USAGE_ERROR"), &json!("krako-fabric"))
    );
    words::read("damaged_tokens", &said);
}

// shows C11.4
#[test]
fn a_file_of_tokens_that_is_damaged_while_it_is_used_changes_nothing_but_is_told() {
    let stage = Stage::new();
    let mut fabric = stage.up(&[]);
    let tokens = stage.read("krako-fabric/tokens.toml");
    stage.write("krako-fabric/tokens.toml", "damaged");
    fabric.part.hears("`krako-fabric/tokens.toml` holds no tokens");
    assert_eq!(code(&fabric.on(&["health"])), 0, "who was known is known");
    stage.write("krako-fabric/tokens.toml", "");
    soon(&stage, &fabric.at, 24);
    stage.write("krako-fabric/tokens.toml", &tokens);
    soon(&stage, &fabric.at, 0);
}

// shows C11.4
#[test]
fn each_token_opens_what_it_is_for() {
    let stage = Stage::new();
    let token = |kind: &str, file: &str| {
        assert_eq!(code(&stage.run(&["fabric", "token", "add", kind, "somebody", "--out", file])), 0);
    };
    token("--node", "node.token");
    token("--gateway", "gateway.token");
    let fabric = stage.up(&[]);
    let mut said = String::new();
    for file in ["node.token", "gateway.token"] {
        let refused = stage.on(&fabric.at.with_token(file), &["health"]);
        assert_eq!(code(&refused), 24, "{}", err(&refused));
        said += &err(&refused);
    }
    stage.write("other.token", &format!("krako_{}", "0".repeat(64)));
    stage.write("no.token", "not a token\n");
    for (file, expected) in [("other.token", 24), ("no.token", 2), ("absent.token", 2), ("krako-fabric", 2)] {
        let refused = stage.on(&fabric.at.with_token(file), &["health"]);
        assert_eq!(code(&refused), expected, "{file}: {}", err(&refused));
        said += &err(&refused);
    }
    words::read("wrong_tokens", &said);
}

#[test]
fn a_private_key_that_others_may_read_is_not_served_with() {
    let stage = Stage::new();
    assert_eq!(stage.up(&[]).part.interrupted().0, Some(0));
    let key = stage.path("krako-fabric/ca.key.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = stage.run(&["fabric", "up", "--listen", "127.0.0.1:0"]);
    assert_eq!(code(&refused), 2);
    words::read("exposed_key", &err(&refused));
    let refused: Value = json_of(&stage.run(&["fabric", "up", "--listen", "127.0.0.1:0", "--json"]));
    assert_eq!(refused["error_type"], "USAGE_ERROR");
}
