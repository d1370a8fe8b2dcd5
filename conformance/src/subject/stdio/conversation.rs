//! Requests and their answers, any number at one time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backend_server::ExecuteRequest;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use super::answer::{Body, Line};
use crate::subject::{Mishap, shortened};

/// What is asked and not yet answered.
#[derive(Debug)]
pub(super) struct Conversation {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    // `None` once nothing more is asked.
    output: Option<mpsc::UnboundedSender<Vec<u8>>>,
    last_id: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Result<Body, Mishap>>>,
    // Nobody waits any more, and their answers may still come.
    given_up: BTreeSet<u64>,
    over: Option<Mishap>,
}

#[derive(Serialize)]
struct Request<'r, T> {
    id: u64,
    verb: &'r str,
    #[serde(flatten)]
    fields: T,
}

#[derive(Serialize)]
struct Execute<'r> {
    taskgraph: &'r RawValue,
    execution_context: &'r Value,
}

impl Conversation {
    /// A conversation that writes its lines to `output`.
    pub(super) fn new(output: mpsc::UnboundedSender<Vec<u8>>) -> Arc<Self> {
        let state = State {
            output: Some(output),
            last_id: 0,
            waiting: BTreeMap::new(),
            given_up: BTreeSet::new(),
            over: None,
        };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Asks for something that is quickly answered.
    pub(super) async fn ask(
        &self,
        verb: &str,
        fields: Map<String, Value>,
        patience: Duration,
    ) -> Result<Body, Mishap> {
        let waiting = self.send(false, |id| line(&Request { id, verb, fields: &fields }))?;
        waiting.answer(patience).await
    }

    /// Asks for a run. Dropping the future asks to cancel it.
    pub(super) async fn run(&self, request: ExecuteRequest, patience: Duration) -> Result<Body, Mishap> {
        let waiting = self.send(true, |id| {
            let fields =
                Execute { taskgraph: &request.taskgraph, execution_context: &request.execution_context };
            line(&Request { id, verb: "execute_taskgraph", fields })
        })?;
        waiting.answer(patience).await
    }

    fn send(
        &self,
        is_run: bool,
        line: impl FnOnce(u64) -> Result<Vec<u8>, Mishap>,
    ) -> Result<Waiting<'_>, Mishap> {
        let mut state = self.state();
        if let Some(over) = &state.over {
            return Err(over.clone());
        }
        let id = state.next_id();
        let line = line(id)?;
        let (sender, answer) = oneshot::channel();
        state.waiting.insert(id, sender);
        state.write(line);
        Ok(Waiting { conversation: self, id, is_run, answer })
    }

    /// Takes a line of the backend.
    ///
    /// # Errors
    ///
    /// The conversation is over: nobody knows what it is an answer to.
    pub(super) fn hear(&self, line: &[u8]) -> Result<(), Mishap> {
        let Line { id, body } = Line::read(line)?;
        let Some(id) = id else {
            let said = match body {
                Body::Error { message } => shortened(&message),
                Body::Ok(_) | Body::Refused(_) | Body::Cancelled | Body::Unsupported { .. } => {
                    shortened(&String::from_utf8_lossy(line))
                }
            };
            return Err(Mishap::Garbage { detail: format!("it takes a request for none: {said}") });
        };
        let mut state = self.state();
        if state.given_up.remove(&id) {
            return Ok(());
        }
        let Some(waiting) = state.waiting.remove(&id) else {
            let detail = format!("it answers request {id}, which was not asked or is answered already");
            return Err(Mishap::Garbage { detail });
        };
        // Who does not wait any more has said so before.
        drop(waiting.send(Ok(body)));
        Ok(())
    }

    /// Ends it: for all who wait, and for all who will ask.
    pub(super) fn end(&self, mishap: &Mishap) {
        let mut state = self.state();
        let mishap = state.over.get_or_insert_with(|| mishap.clone()).clone();
        state.output = None;
        for (_, waiting) in std::mem::take(&mut state.waiting) {
            drop(waiting.send(Err(mishap.clone())));
        }
    }

    /// Nothing more is asked: the backend's input ends when all that was asked is written.
    pub(super) fn say_no_more(&self) {
        self.state().output = None;
    }

    fn give_up(&self, id: u64, is_run: bool) {
        let mut state = self.state();
        if state.waiting.remove(&id).is_none() {
            return;
        }
        state.given_up.insert(id);
        if is_run && state.over.is_none() {
            let cancel = state.next_id();
            let fields = Map::from_iter([("target".to_owned(), Value::from(id))]);
            if let Ok(line) = line(&Request { id: cancel, verb: "cancel", fields: &fields }) {
                state.given_up.insert(cancel);
                state.write(line);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing inside of the lock panics halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn write(&mut self, line: Vec<u8>) {
        if let Some(output) = &self.output {
            // Who reads no more has ended, which is seen where it is read.
            drop(output.send(line));
        }
    }
}

/// A request on its way. Dropping it gives it up.
struct Waiting<'c> {
    conversation: &'c Conversation,
    id: u64,
    is_run: bool,
    answer: oneshot::Receiver<Result<Body, Mishap>>,
}

impl Waiting<'_> {
    async fn answer(mut self, patience: Duration) -> Result<Body, Mishap> {
        match tokio::time::timeout(patience, &mut self.answer).await {
            Ok(Ok(answer)) => answer,
            // Only with the conversation itself.
            Ok(Err(_)) => Err(Mishap::Ended { detail: String::from("the conversation was given up") }),
            Err(_) => {
                let after_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
                Err(Mishap::Silent { after_ms })
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.conversation.give_up(self.id, self.is_run);
    }
}

fn line(request: &impl Serialize) -> Result<Vec<u8>, Mishap> {
    let mut line = serde_json::to_vec(request)
        .map_err(|error| Mishap::Unreachable { detail: format!("the request cannot be written: {error}") })?;
    // A graph is sent as its author wrote it, in any number of lines. Between two tokens a space is as good as a break,
    // and within a text no break can stand.
    for byte in &mut line {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn conversation() -> (Arc<Conversation>, mpsc::UnboundedReceiver<Vec<u8>>) {
        let (output, lines) = mpsc::unbounded_channel();
        (Conversation::new(output), lines)
    }

    fn said(lines: &mut mpsc::UnboundedReceiver<Vec<u8>>) -> Value {
        serde_json::from_slice(&lines.try_recv().unwrap()).unwrap()
    }

    fn request() -> ExecuteRequest {
        let taskgraph = RawValue::from_string("{\"a\": \"x\\ny\",\r\n\"a\": 2}".to_owned()).unwrap();
        ExecuteRequest { taskgraph, execution_context: json!({"run_id": "r"}) }
    }

    const PATIENCE: Duration = Duration::from_millis(50);

    #[tokio::test(start_paused = true)]
    async fn answers_find_who_asked_in_any_order() {
        let (conversation, _lines) = conversation();
        let ask = |verb| conversation.ask(verb, Map::new(), PATIENCE);
        let (one, two, heard) = tokio::join!(ask("one"), ask("two"), async {
            conversation.hear(br#"{"id":2,"ok":{"n":2}}"#).and(conversation.hear(br#"{"id":1,"ok":{"n":1}}"#))
        });
        heard.unwrap();
        assert_eq!(one.unwrap().document("").unwrap(), json!({"n": 1}));
        assert_eq!(two.unwrap().document("").unwrap(), json!({"n": 2}));
    }

    #[tokio::test(start_paused = true)]
    async fn a_graph_is_sent_on_one_line_in_its_authors_words() {
        let (conversation, mut lines) = conversation();
        let silent = conversation.run(request(), PATIENCE).await.unwrap_err();
        assert_eq!(silent, Mishap::Silent { after_ms: 50 });
        let line = String::from_utf8(lines.try_recv().unwrap()).unwrap();
        let expected = r#"{"id":1,"verb":"execute_taskgraph","taskgraph":{"a": "x\ny",  "a": 2},"execution_context":{"run_id":"r"}}"#;
        assert_eq!(line, format!("{expected}\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_a_run_cancels_it_and_late_answers_harm_nobody() {
        let (conversation, mut lines) = conversation();
        assert!(conversation.run(request(), PATIENCE).await.is_err());
        drop(lines.try_recv());
        assert_eq!(said(&mut lines), json!({"id": 2, "verb": "cancel", "target": 1}));
        conversation.hear(br#"{"id":2,"ok":{}}"#).unwrap();
        conversation.hear(br#"{"id":1,"cancelled":{}}"#).unwrap();
        let twice = conversation.hear(br#"{"id":1,"cancelled":{}}"#).unwrap_err();
        assert!(twice.to_string().contains("answers request 1"), "{twice}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_is_told_to_all_who_wait_and_all_who_come() {
        let (conversation, _lines) = conversation();
        let ended = Mishap::Ended { detail: "exit status: 1".into() };
        let (waited, ()) =
            tokio::join!(conversation.run(request(), PATIENCE), async { conversation.end(&ended) });
        assert_eq!(waited.unwrap_err(), ended);
        conversation.end(&Mishap::Garbage { detail: "later".into() });
        assert_eq!(conversation.ask("hello", Map::new(), PATIENCE).await.unwrap_err(), ended);
    }

    #[test]
    fn an_answer_to_no_request_is_out_of_the_protocol() {
        let (conversation, _lines) = conversation();
        let check = |line: &str, words: &str| {
            let mishap = conversation.hear(line.as_bytes()).unwrap_err();
            assert!(mishap.to_string().contains(words), "{mishap}");
        };
        check(r#"{"id":7,"ok":{}}"#, "answers request 7, which was not asked");
        check(r#"{"id":null,"error":{"message":"no JSON"}}"#, "takes a request for none: no JSON");
        check("hello", "is no answer");
    }
}
