//! The other end of the pipes, which holds every message against the schema.

use std::sync::LazyLock;
use std::time::Duration;

use backend_server::{HelloModels, Served, StdioError, StdioLimits, serve_stdio};
use jsonschema::Validator;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Far more than anything here takes, so that what hangs is a failed test.
const PATIENCE: Duration = Duration::from_secs(20);
/// Less than a line may have, so that lines come in parts.
const PIPE: usize = 1 << 10;

pub(crate) struct Caller {
    input: Option<DuplexStream>,
    output: Lines<BufReader<DuplexStream>>,
    server: JoinHandle<Result<(), StdioError>>,
}

impl Caller {
    pub(crate) fn of(limits: StdioLimits, served: Served) -> Self {
        Self::with(limits, move |_| Ok(served.clone()))
    }

    pub(crate) fn with(
        limits: StdioLimits,
        make: impl FnMut(Option<&HelloModels>) -> Result<Served, String> + Send + 'static,
    ) -> Self {
        let (input, servers_input) = tokio::io::duplex(PIPE);
        let (servers_output, output) = tokio::io::duplex(PIPE);
        let server =
            tokio::spawn(async move { serve_stdio(servers_input, servers_output, limits, make).await });
        Self { input: Some(input), output: BufReader::new(output).lines(), server }
    }

    /// Sends a request that the protocol has.
    pub(crate) async fn say(&mut self, request: Value) {
        assert!(is_request(&request), "not in the schema: {request}");
        self.say_bytes(request.to_string().as_bytes()).await;
    }

    /// Sends any line.
    pub(crate) async fn say_bytes(&mut self, line: &[u8]) {
        let input = self.input.as_mut().unwrap();
        timeout(PATIENCE, async {
            input.write_all(line).await.unwrap();
            input.write_all(b"\n").await.unwrap();
        })
        .await
        .expect("the server reads");
    }

    /// The next answer.
    pub(crate) async fn hear(&mut self) -> Value {
        let line = timeout(PATIENCE, self.output.next_line()).await.expect("the server answers");
        let answer: Value = serde_json::from_str(&line.unwrap().expect("one more answer")).unwrap();
        assert!(is_answer(&answer), "not in the schema: {answer}");
        answer
    }

    /// Holds the answer to a verb against what the schema says of it.
    pub(crate) fn fits(&self, definition: &str, document: &Value) {
        let faults: Vec<String> =
            validator(definition).iter_errors(document).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{definition}: {}", faults.join("\n"));
    }

    pub(crate) fn hang_up(&mut self) {
        self.input = None;
    }

    /// The server has ended, and said nothing more.
    pub(crate) async fn is_over(&mut self) {
        let line = timeout(PATIENCE, self.output.next_line()).await.expect("the server ends");
        assert_eq!(line.unwrap(), None);
        (&mut self.server).await.unwrap().unwrap();
    }
}

pub(crate) fn is_request(message: &Value) -> bool {
    static REQUEST: LazyLock<Validator> = LazyLock::new(|| validator("request"));
    REQUEST.is_valid(message)
}

pub(crate) fn is_answer(message: &Value) -> bool {
    static ANSWER: LazyLock<Validator> = LazyLock::new(|| validator("answer"));
    ANSWER.is_valid(message)
}

fn validator(definition: &str) -> Validator {
    let mut schema: Value = serde_json::from_str(include_str!("../../../schemas/stdio-1.0.json")).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    let root = schema.as_object_mut().unwrap();
    root.remove("anyOf");
    root.insert(String::from("$ref"), json!(format!("#/$defs/{definition}")));
    jsonschema::validator_for(&schema).unwrap()
}
