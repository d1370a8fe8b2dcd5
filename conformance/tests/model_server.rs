//! The suite's model over real sockets: what is heard, what is seen, and that it is the same as in process.
#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use conformance::model::{
    Act, Asked, BookAdapter, BookRun, CallEnd, Fault, ModelBook, ModelClient, ModelFault, ModelServer, Said,
    SeenCall, Step, marker,
};
use kora_ir::{CheckedGraph, Limits, Message, ModelParameters, Privacy, Role};
use models::{
    AdapterErrorKind, ModelAdapter, ModelId, ModelRequest, OpenAiAdapter, OpenAiConfig, TokenCount, TokenSink,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ENDING: &str = "a1b2c";

async fn world(step: Step) -> (ModelServer, BookRun) {
    let book = ModelBook::new();
    let run = book.begin(ENDING, BTreeMap::from([("x".to_owned(), vec![step])]));
    (ModelServer::start(book, 0).await.unwrap(), run)
}

fn chat(more: &Value) -> Value {
    let mut body = json!({
        "model": "suite-small", "max_tokens": 20,
        "messages": [{"role": "user", "content": format!("say it {}", marker(ENDING, "x"))}],
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn post(body: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends a request as it is, and reads what comes until the peer closes.
async fn raw(server: &ModelServer, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    drop(stream.read_to_end(&mut all).await);
    String::from_utf8(all).unwrap()
}

/// What was seen of the only call of the run, after it has had its time to end.
async fn ended(run: BookRun) -> SeenCall {
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (mut calls, stray) = run.finish();
    assert_eq!((calls.len(), stray), (1, 0));
    calls.remove(0)
}

#[tokio::test]
async fn an_answer_comes_as_an_event_for_each_token_with_the_usage_at_the_end() {
    let (server, run) = world(Step::new(Act::Reply(json!({"ok": true})))).await;
    let body = chat(&json!({"stream": true, "stream_options": {"include_usage": true}})).to_string();
    let answer = raw(&server, &post(&body)).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("text/event-stream"), "{answer}");
    let events: Vec<Value> = answer
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter_map(|data| serde_json::from_str(data).ok())
        .collect();
    let texts: Vec<_> =
        events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(texts, ["{\"ok", "\":tr", "ue}"]);
    assert_eq!(events[3]["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        (&events[4]["choices"], &events[4]["usage"]),
        (&json!([]), &json!({"prompt_tokens": 8, "completion_tokens": 3, "total_tokens": 11}))
    );
    assert!(answer.contains("data: [DONE]"));
    let call = ended(run).await;
    assert_eq!((call.tokens_out, call.end, call.max_tokens), (3, CallEnd::Said, Some(20)));
    assert_eq!(call.prompt, "say it [ref:a1b2c/x]");
}

#[tokio::test]
async fn an_answer_comes_whole_if_nobody_asks_for_a_stream() {
    let (server, _run) = world(Step::new(Act::Text("hello".into()))).await;
    let answer = raw(&server, &post(&chat(&json!({})).to_string())).await;
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "hello");
    assert_eq!(body["usage"]["completion_tokens"], 2);
}

#[tokio::test]
async fn a_whole_overrun_is_four_times_the_cap_with_honest_usage() {
    let (server, run) = world(Step::new(Act::Overrun)).await;
    let answer = raw(&server, &post(&chat(&json!({})).to_string())).await;
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body["usage"]["completion_tokens"], 80);
    assert_eq!(body["choices"][0]["message"]["content"].as_str().unwrap().len(), 80);
    assert_eq!(ended(run).await.tokens_out, 80);
}

#[tokio::test]
async fn a_whole_answer_that_breaks_off_is_none() {
    let (server, run) = world(Step::new(Act::CutOff("hello".into()))).await;
    let answer = raw(&server, &post(&chat(&json!({})).to_string())).await;
    assert!(answer.contains("hello") && !answer.contains("finish_reason"), "{answer}");
    assert!(!answer.ends_with("0\r\n\r\n"), "the last chunk never comes");
    assert_eq!(ended(run).await.end, CallEnd::Failed);
}

#[tokio::test]
async fn models_are_listed_and_everything_else_is_an_error_in_the_same_shape() {
    let (server, run) = world(Step::new(Act::Hang)).await;
    let list = raw(&server, "GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(list.contains("\"suite-small\"") && list.contains("\"suite-large\""), "{list}");
    let check = async |request: String, status: &str, code: &str| {
        let answer = raw(&server, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(body["error"]["code"], code, "{body}");
    };
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    check(get("/"), "404", "not_found").await;
    check(get("/v1/chat/completions"), "405", "method_not_allowed").await;
    check(post("{"), "400", "invalid_request").await;
    check(post(&chat(&json!({"model": "huge"})).to_string()), "404", "model_not_found").await;
    check(
        post(&chat(&json!({"messages": [{"role": "user", "content": "hi"}]})).to_string()),
        "400",
        "stray_call",
    )
    .await;
    let (calls, stray) = run.finish();
    assert_eq!((calls.len(), calls[0].model.as_str(), stray), (1, "huge", 1));
}

/// Sends a request and hangs up after `after` has come `times` times.
async fn hang_up(step: Step, after: &str, times: usize) -> SeenCall {
    let (server, run) = world(step).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let body = chat(&json!({"stream": true})).to_string();
    stream.write_all(post(&body).as_bytes()).await.unwrap();
    run.called(1).await;
    let mut seen = String::new();
    let mut buffer = [0; 1024];
    while seen.matches(after).count() < times {
        let length = stream.read(&mut buffer).await.unwrap();
        seen.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    drop(stream);
    ended(run).await
}

#[tokio::test]
async fn hanging_up_is_seen_wherever_the_answer_is() {
    let call = hang_up(Step::new(Act::Hang), "data", 0).await;
    assert_eq!((call.tokens_out, call.end), (0, CallEnd::HungUp));
    let slow = Step { delay_ms: 60_000, ..Step::new(Act::Text("hello".into())) };
    assert_eq!(hang_up(slow, "data", 0).await.end, CallEnd::HungUp);
    let slow = Step { ms_per_token: 60_000, ..Step::new(Act::Text("hello".into())) };
    assert_eq!(hang_up(slow, "\r\n\r\n", 1).await.end, CallEnd::HungUp);
}

#[tokio::test]
async fn an_overrun_goes_on_slowly_beyond_the_cap_so_that_hanging_up_there_is_seen() {
    let call = hang_up(Step::new(Act::Overrun), "data", 21).await;
    assert_eq!(call.end, CallEnd::HungUp);
    assert!((21..200).contains(&call.tokens_out), "{}", call.tokens_out);
}

#[tokio::test]
async fn a_server_that_is_dropped_is_gone_and_its_calls_with_it() {
    let (server, run) = world(Step::new(Act::Hang)).await;
    let address = server.address();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(post(&chat(&json!({})).to_string()).as_bytes()).await.unwrap();
    run.called(1).await;
    drop(server);
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0);
    assert_eq!(run.finish().0[0].end, CallEnd::HungUp);
    assert!(TcpStream::connect(address).await.is_err());
}

async fn heard(client: &ModelClient) -> (String, u64, Result<(u64, u64), Fault>) {
    let (mut text, mut pieces) = (String::new(), 0);
    let asked = Asked {
        model: "suite-small".into(),
        max_tokens: Some(5),
        prompt: format!("hi {}", marker(ENDING, "x")),
    };
    let mut answer = match client.call(asked).await {
        Ok(answer) => answer,
        Err(fault) => return (text, pieces, Err(fault)),
    };
    loop {
        match answer.next().await {
            Ok(Said::Piece { text: piece, tokens }) => {
                text.push_str(&piece);
                pieces += tokens;
            }
            Ok(Said::End { tokens_in, tokens_out }) => return (text, pieces, Ok((tokens_in, tokens_out))),
            Err(fault) => return (text, pieces, Err(fault)),
        }
    }
}

fn acts() -> Vec<Step> {
    let plain = [
        Act::Reply(json!({"ok": true})),
        Act::Text("né{".into()),
        Act::Text(String::new()),
        Act::CutOff("{\"ok\":".into()),
        Act::CutOff(String::new()),
        Act::Fail(ModelFault::Transient),
        Act::Fail(ModelFault::Final),
    ];
    let mut steps: Vec<_> = plain.into_iter().map(Step::new).collect();
    for tokens in [0, 9, 10, 11, 300] {
        steps.push(Step { tokens_out: Some(tokens), ..Step::new(Act::Reply(json!({"ok": true}))) });
    }
    steps.push(Step::new(Act::Text("x".repeat(5000))));
    steps
}

#[tokio::test]
async fn a_client_hears_the_same_in_process_and_over_http() {
    for step in acts() {
        let (server, run) = world(step.clone()).await;
        let book = heard(&ModelClient::of(&server.endpoint())).await;
        let http = heard(&ModelClient::at(&server.base_url()).unwrap()).await;
        assert_eq!(book, http, "{step:?}");
        let (calls, _) = run.finish();
        assert_eq!((calls[0].tokens_out, calls[0].end), (calls[1].tokens_out, calls[1].end), "{step:?}");
        assert_eq!(
            (calls[0].prompt.as_str(), calls[0].max_tokens),
            (calls[1].prompt.as_str(), calls[1].max_tokens)
        );
    }
}

#[tokio::test]
async fn a_client_that_nobody_answers_has_a_broken_connection() {
    let (server, _run) = world(Step::new(Act::Hang)).await;
    let client = ModelClient::at(&server.base_url()).unwrap();
    drop(server);
    assert_eq!(heard(&client).await.2, Err(Fault::Broken));
}

fn request() -> ModelRequest {
    let graph = json!({
        "kora_version": "1.0.0", "graph_id": "g", "root": "x", "tasks": [{
            "version": "1.0", "id": "x", "type": "model", "dependencies": [], "input": {},
            "schema": {"type": "object", "properties": {"ok": {"type": "boolean"}}},
            "budget": {"max_tokens": 10, "max_time_ms": 1000, "max_retries": 0},
            "run": {"model": "suite-small", "prompt": "?"},
        }],
    });
    let graph = CheckedGraph::parse(&graph.to_string(), &Limits::default()).unwrap();
    let task = graph.task(graph.root());
    ModelRequest {
        model: ModelId::from("suite-small"),
        messages: vec![Message { role: Role::User, content: format!("hi {}", marker(ENDING, "x")) }],
        schema: Arc::clone(&task.schema),
        max_output_tokens: 10,
        deadline: Duration::from_millis(300),
        parameters: ModelParameters::default(),
        privacy: Privacy::LocalOnly,
        task_id: task.id.clone(),
        attempt: 0,
    }
}

/// The kind of an error and whether it is transient, or the finish of a reply; and what was spent.
type Outcome = (Result<(), (AdapterErrorKind, bool)>, TokenCount, TokenCount);

async fn generated(adapter: &dyn ModelAdapter) -> Outcome {
    let request = request();
    let mut sink = TokenSink::for_request(&request);
    let (outcome, usage) = match adapter.generate(&request, &mut sink).await {
        Ok(reply) => (Ok(()), reply.usage()),
        Err(error) => (Err((error.kind, error.transient)), error.usage),
    };
    (outcome, usage.tokens_in, usage.tokens_out)
}

/// The suite's adapter stands in for the real one: whatever a step does to the one it does to the other.
#[tokio::test]
async fn an_adapter_gets_the_same_in_process_and_over_http() {
    let late = Step { delay_ms: 60_000, ..Step::new(Act::Text("{}".into())) };
    let slow = Step { ms_per_token: 60_000, ..Step::new(Act::Text("{}".into())) };
    let more = [Step::new(Act::Overrun), Step::new(Act::Hang), late, slow];
    for step in acts().into_iter().chain(more) {
        let (server, run) = world(step.clone()).await;
        let config: OpenAiConfig = serde_json::from_value(json!({
            "name": "suite", "base_url": server.base_url(), "models": [{"id": "suite-small", "tier": "small"}],
        }))
        .unwrap();
        let there = generated(&OpenAiAdapter::new(config).unwrap()).await;
        let here = generated(&BookAdapter::new(server.endpoint().book)).await;
        assert_eq!(there, here, "{step:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
        let (calls, stray) = run.finish();
        assert_eq!((calls.len(), stray), (2, 0), "{step:?}");
        let may_be_late = calls[0].end == CallEnd::Said && calls[1].end == CallEnd::HungUp;
        assert!(calls[0].end == calls[1].end || may_be_late, "{step:?}: {calls:?}");
        assert!(calls[0].tokens_out >= calls[1].tokens_out, "{step:?}: {calls:?}");
        assert!(calls[0].prompt.contains("hi [ref:"), "{}", calls[0].prompt);
    }
}

#[tokio::test]
async fn a_thousand_calls_at_one_time_are_each_answered_and_seen() {
    let book = ModelBook::new();
    let names: Vec<_> = (0..1000).map(|n| format!("task-{n}")).collect();
    let step = |name: &String| Step { delay_ms: 300, ..Step::new(Act::Reply(json!({"name": name}))) };
    let run = book.begin(ENDING, names.iter().map(|name| (name.clone(), vec![step(name)])).collect());
    let server = ModelServer::start(book, 0).await.unwrap();
    let client = ModelClient::at(&server.base_url()).unwrap();
    let began = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for name in names {
        let client = client.clone();
        calls.spawn(async move {
            let prompt = format!("? {}", marker(ENDING, &name));
            let asked = Asked { model: "suite-small".into(), max_tokens: None, prompt };
            let mut answer = client.call(asked).await.unwrap();
            let mut text = String::new();
            while let Said::Piece { text: piece, .. } = answer.next().await.unwrap() {
                text.push_str(&piece);
            }
            assert_eq!(text, json!({"name": name}).to_string());
        });
    }
    while let Some(done) = calls.join_next().await {
        done.unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let (calls, stray) = run.finish();
    assert_eq!((calls.len(), stray), (1000, 0));
    assert!(calls.iter().all(|call| call.end == CallEnd::Said && call.attempt == 0));
}
