//! Who is let in, as whom, and what is told of a token: nothing.

use krako_contract::TenantId;
use krako_fabric::{Holder, Token, TokenFile, TokenLine, Tokens};

use crate::served::{BOTH, Http, config, posting, reading, serve};

#[tokio::test]
async fn one_tenants_sessions_are_nobody_elses() {
    let served = serve(config()).await;
    let [northwind, contoso, node, gateway] = served.keys.held.clone();
    for http in BOTH {
        assert_eq!(served.ask(http, reading(&northwind, "/v1/execution/ses_1")).await.status, 200);
        // As if it did not exist.
        for request in [
            reading(&contoso, "/v1/execution/ses_1"),
            reading(&contoso, "/v1/execution/ses_1/events"),
            posting(&contoso, "/v1/execution/ses_1/cancel", ""),
        ] {
            let path = request.uri().path().replace("ses_1", "ses_2");
            let method = request.method().clone();
            let told = served.ask(http, request).await;
            let absent = if method == hyper::Method::GET {
                reading(&contoso, &path)
            } else {
                posting(&contoso, &path, "")
            };
            let absent = served.ask(http, absent).await;
            assert_eq!((told.status, &told.text), (404, &absent.text), "{path}");
        }
        for other in [&node, &gateway] {
            let told = served.ask(http, reading(other, "/v1/execution/ses_1")).await;
            assert_eq!((told.status, told.error_type().as_str()), (403, "FORBIDDEN"));
        }
    }
    let calls = served.sessions.calls();
    assert!(
        calls.iter().any(|call| call == "report contoso ses_1"),
        "asked as whom the token stands for: {calls:?}"
    );
}

#[tokio::test]
async fn whoever_is_not_known_reaches_nothing() {
    let served = serve(config()).await;
    let good = &served.keys.held[0];
    let wrong = format!("{}0", &good[..good.len() - 1]).replace("krako_", "krako-");
    for token in ["", "x", &wrong, &format!("{good}{good}")] {
        for path in ["/v1/health", "/v1/execution/ses_1", "/v1/nothing", "/"] {
            let told = served.ask(Http::One, reading(token, path)).await;
            assert_eq!((told.status, told.error_type().as_str()), (401, "UNAUTHENTICATED"), "{path}");
            assert_eq!(told.header("www-authenticate"), "Bearer");
            assert!(token.len() < 8 || !told.text.contains(token), "{}", told.text);
        }
    }
    assert_eq!(served.sessions.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn a_token_is_in_nothing_that_is_printed() {
    let served = serve(config()).await;
    let shown = format!("{:?} {:?} {:?}", served.gateway, served.keys.tokens, served.keys.identity);
    for token in &served.keys.held {
        assert!(!shown.contains(token.trim_start_matches("krako_")), "{shown}");
    }
    let pem = std::fs::read_to_string(served.keys.folder.path().join("ca.key.pem")).unwrap();
    let key = pem.lines().rev().nth(1).unwrap();
    assert!(!format!("{:?}", served.keys.authority).contains(key));
}

#[tokio::test]
async fn a_token_that_was_taken_back_opens_nothing_any_more() {
    let served = serve(config()).await;
    let mut sender = served.http_1().await;
    let first = sender.send_request(served.get("/v1/health")).await.unwrap();
    assert_eq!(crate::served::whole(first).await.status, 200);
    served.keys.tokens.replace(Vec::new());
    let second = sender.send_request(served.get("/v1/health")).await.unwrap();
    assert_eq!(second.status().as_u16(), 401);
}

#[test]
fn a_file_of_tokens_holds_none_and_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenants.toml");
    let mut file = TokenFile::open(&path).unwrap();
    let (token, other) = (Token::make().unwrap(), Token::make().unwrap());
    let tenant = Holder::Tenant(TenantId::new("northwind \"&\" sons").unwrap());
    let line = |holder: &Holder, name: &str, token: &Token| TokenLine {
        holder: holder.clone(),
        name: Some(name.to_owned()),
        digest: token.digest(),
    };
    file.add(line(&tenant, "laptop", &token)).unwrap();
    file.add(line(&Holder::Node(String::from("pods")), "pods", &other)).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(token.reveal()) && text.contains("sha256:"), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let mut again = TokenFile::open(&path).unwrap();
    let tokens: Tokens = again.tokens();
    assert_eq!(tokens.holder(&token), Some(tenant));
    assert_eq!(tokens.holder(&Token::make().unwrap()), None);
    assert_eq!(again.revoke(|line| line.name.as_deref() == Some("laptop")).unwrap(), 1);
    assert_eq!(TokenFile::open(&path).unwrap().tokens().holder(&token), None);
    assert_eq!(TokenFile::open(&path).unwrap().lines().len(), 1);
}

#[test]
fn two_who_change_the_file_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenants.toml");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let path = &path;
            scope.spawn(move || {
                // Opened before the others have changed it.
                let mut file = TokenFile::open(path).unwrap();
                for number in 0..8 {
                    let holder = Holder::Node(format!("n{thread}-{number}"));
                    let digest = Token::make().unwrap().digest();
                    file.add(TokenLine { holder, name: None, digest }).unwrap();
                }
            });
        }
    });
    assert_eq!(TokenFile::open(&path).unwrap().lines().len(), 32);
}

#[test]
fn a_file_that_is_wrong_says_where_and_quotes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenants.toml");
    let token = Token::make().unwrap();
    let secret = token.reveal();
    for text in [
        format!("[[token]]\ntenant = \"a\"\nsha256 = \"{secret}\"\n"),
        format!("[[token]]\ntenant = \"a\"\ntoken = \"{secret}\"\n"),
        format!("[[token]]\ntenant = \"a\"\nsha256 = \"{secret}\n"),
        String::from("[[token]]\n\nsha256 = \"sha256:00\"\n"),
    ] {
        std::fs::write(&path, &text).unwrap();
        let said = TokenFile::open(&path).unwrap_err().to_string();
        assert!(
            said.contains("line ") && said.contains("tenants.toml") && said.contains("token add"),
            "{said}"
        );
        assert!(!said.contains(&secret[8..]), "{said}");
    }
}

#[tokio::test]
async fn a_file_is_followed_and_a_broken_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenants.toml");
    let token = Token::make().unwrap();
    let tokens = Tokens::default();
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let hears = {
        let told = std::sync::Arc::clone(&told);
        move |error: &krako_fabric::TokenFileError| told.lock().unwrap().push(error.to_string())
    };
    let every = std::time::Duration::from_millis(1);
    let following = tokio::spawn(TokenFile::follow(path.clone(), tokens.clone(), every, hears));
    let line = TokenLine { holder: Holder::Node(String::from("n")), name: None, digest: token.digest() };
    TokenFile::open(&path).unwrap().add(line).unwrap();
    while tokens.holder(&token).is_none() {
        tokio::time::sleep(every).await;
    }
    std::fs::write(&path, "tokens? none").unwrap();
    while told.lock().unwrap().is_empty() {
        tokio::time::sleep(every).await;
    }
    assert!(tokens.holder(&token).is_some());
    std::fs::remove_file(&path).unwrap();
    while tokens.holder(&token).is_some() {
        tokio::time::sleep(every).await;
    }
    assert_eq!(told.lock().unwrap().len(), 1);
    following.abort();
}
