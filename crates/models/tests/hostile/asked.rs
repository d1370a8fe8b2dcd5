//! What is sent, and what an operator may configure.

use kora_ir::{Message, Role};
use models::{ModelAdapter, OpenAiAdapter, OpenAiConfig};
use serde_json::{Value, json};

use crate::peer::{Peer, good, json_response};
use crate::world::{ask, config, request};

async fn heard(more: Value, request: models::ModelRequest) -> crate::peer::Heard {
    let peer = Peer::start(vec![good()]).await;
    ask(&OpenAiAdapter::new(config(&peer, more)).unwrap(), &request).await.unwrap();
    peer.heard().remove(0)
}

#[tokio::test]
async fn a_request_tells_every_cap_and_is_greedy() {
    let heard = heard(json!({}), request()).await;
    assert!(heard.head.starts_with("post /v1/chat/completions http/1.1\r\n"), "{}", heard.head);
    assert!(heard.head.contains("connection: close"), "{}", heard.head);
    let mut body = heard.body;
    body.as_object_mut().unwrap().remove("response_format");
    insta::assert_json_snapshot!(body, @r#"
    {
      "model": "tiny",
      "messages": [
        {
          "role": "user",
          "content": "my secret question"
        }
      ],
      "stream": true,
      "stream_options": {
        "include_usage": true
      },
      "max_tokens": 10,
      "max_completion_tokens": 10,
      "temperature": 0.0
    }
    "#);
}

#[tokio::test]
async fn what_is_declared_and_configured_is_sent() {
    let mut request = request();
    request.parameters.seed = Some(7);
    request.parameters.top_p = Some(0.5);
    request.messages.insert(0, Message { role: Role::System, content: String::from("Be brief.") });
    let more = json!({
        "models": [{"id": "tiny", "served_as": "vendor/tiny:1b", "also_reported_as": ["tiny"]}],
        "structured_output": "prompt", "token_cap_fields": "max_completion_tokens", "ask_usage": false,
        "send_default_temperature": false,
    });
    let body = heard(more, request).await.body;
    assert_eq!(body["model"], "vendor/tiny:1b");
    assert_eq!((&body["seed"], &body["top_p"]), (&json!(7), &json!(0.5)));
    assert_eq!((&body["max_tokens"], &body["max_completion_tokens"]), (&Value::Null, &json!(10)));
    assert_eq!((&body["stream_options"], &body["temperature"]), (&Value::Null, &Value::Null));
    assert!(
        body["messages"][0]["content"]
            .as_str()
            .unwrap()
            .starts_with("Be brief.\n\nAnswer with one JSON value")
    );
    assert_eq!(body["messages"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_key_comes_from_a_file_and_shows_nowhere_else() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("api-key");
    std::fs::write(&path, "sk-secret-key\n").unwrap();
    let peer = Peer::start(vec![good()]).await;
    let config = config(&peer, json!({"api_key": {"file": path}}));
    let adapter = OpenAiAdapter::new(config).unwrap();
    ask(&adapter, &request()).await.unwrap();
    assert!(peer.heard()[0].head.contains("authorization: bearer sk-secret-key\r\n"));
    assert!(!format!("{adapter:?}").contains("secret-key"), "{adapter:?}");
}

#[tokio::test]
async fn a_key_that_the_server_repeats_is_not_repeated_here() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("repeated-api-key");
    std::fs::write(&path, "sk-repeated").unwrap();
    let keyed = json!({"api_key": {"file": path}});
    let code = json!({"error": {"code": "invalid:sk-repeated", "message": "Incorrect API key provided: sk-repeated"}});
    let name = json!({"model": "sk-repeated", "choices": [{"message": {"content": "{}"}}]});
    for script in [json_response("401 Unauthorized", &code), json_response("200 OK", &name)] {
        let peer = Peer::start(vec![script]).await;
        let adapter = OpenAiAdapter::new(config(&peer, keyed.clone())).unwrap();
        let error = ask(&adapter, &request()).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("repeated"), "{error:?}");
        assert!(error.to_string().contains("(key withheld)"), "{error}");
        assert!(!format!("{:?}", adapter.health().await).contains("repeated"));
    }
}

#[tokio::test]
async fn a_reply_in_one_is_asked_for_where_that_is_configured() {
    let told = json!({
        "model": "tiny", "choices": [{"index": 0, "message": {"content": "{\"ok\":true}"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 4},
    });
    let peer = Peer::start(vec![json_response("200 OK", &told)]).await;
    let adapter = OpenAiAdapter::new(config(&peer, json!({"stream": false}))).unwrap();
    assert!(ask(&adapter, &request()).await.is_ok());
    let body = &peer.heard()[0].body;
    assert_eq!((&body["stream"], &body["stream_options"]), (&json!(false), &Value::Null));
}

#[tokio::test]
async fn as_many_calls_at_once_as_configured_are_told_of() {
    let peer = Peer::start(vec![good()]).await;
    let at_once = |more| OpenAiAdapter::new(config(&peer, more)).unwrap().descriptor().concurrent_calls;
    assert_eq!(at_once(json!({})), None);
    assert_eq!(at_once(json!({"concurrent_calls": 2})).map(|calls| calls.get()), Some(2));
    assert!(
        fault(&json!({"name": "a", "base_url": "https://example.com", "concurrent_calls": 0}))
            .contains("nonzero")
    );
}

fn fault(config: &Value) -> String {
    match serde_json::from_value::<OpenAiConfig>(config.clone()) {
        Ok(config) => OpenAiAdapter::new(config).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn configurations_that_cannot_be_used_say_which_part_and_how_to_mend_it() {
    let with = |more: Value| {
        let mut config = json!({"name": "a", "base_url": "https://example.com/v1", "models": [{"id": "m"}]});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fault(&config)
    };
    let faults = [
        with(json!({"base_url": "http://example.com/v1"})),
        with(json!({"base_url": "https://me:pass@example.com/v1"})),
        with(json!({"base_url": "example.com"})),
        with(json!({"models": []})),
        with(json!({"api_key": {"env": "KORA_NO_SUCH_KEY"}})),
        with(json!({"api_key": {"env": "PATH"}, "base_url": "http://10.0.0.1/v1", "allow_plaintext": true})),
        with(json!({"api_key": "sk-literal"})),
        with(json!({"limits": {"max_header_bytes": 100}})),
        with(json!({"ca_file": "/nonexistent.pem"})),
        with(json!({"base_ulr": "x"})),
    ];
    insta::assert_snapshot!(faults.join("\n"));
}
