//! How the suite's own backends call its model, whichever way it is reached.

mod http;

use std::sync::Arc;

use thiserror::Error;

use crate::loopback::{Address, AddressError};
use crate::model::{Asked, Beat, ModelBook, ModelEndpoint, ModelFault, OpenCall};

/// A way to the model.
#[derive(Clone, Debug)]
pub struct ModelClient(Way);

#[derive(Clone, Debug)]
enum Way {
    Book(Arc<ModelBook>),
    Http(Address),
}

impl ModelClient {
    /// In this process, through the endpoint's book.
    pub fn of(endpoint: &ModelEndpoint) -> Self {
        Self::within(Arc::clone(&endpoint.book))
    }

    /// In this process.
    pub fn within(book: Arc<ModelBook>) -> Self {
        Self(Way::Book(book))
    }

    /// By HTTP, at an address of this machine, up to and including `/v1`.
    ///
    /// # Errors
    ///
    /// [`AddressError`] if it is none.
    pub fn at(base_url: &str) -> Result<Self, AddressError> {
        Address::parse(base_url).map(|address| Self(Way::Http(address)))
    }

    /// Calls the model, and waits until it begins to answer.
    ///
    /// # Errors
    ///
    /// [`Fault`] if there is no answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future, or the [`Generation`], hangs up.
    pub async fn call(&self, asked: Asked) -> Result<Generation, Fault> {
        match &self.0 {
            Way::Book(book) => {
                let mut call = book.call(asked).map_err(|_| Fault::Final)?;
                match heard(call.next().await)? {
                    None => Ok(Generation(Coming::Book(call))),
                    Some(_) => Err(Fault::Broken),
                }
            }
            Way::Http(address) => {
                let stream = http::call(address, asked).await?;
                Ok(Generation(Coming::Http(Box::new(stream))))
            }
        }
    }
}

/// An answer on its way.
#[derive(Debug)]
pub struct Generation(Coming);

#[derive(Debug)]
enum Coming {
    Book(OpenCall),
    Http(Box<http::Stream>),
}

impl Generation {
    /// Waits for the next piece, or for the end. Nothing comes after the end or a fault.
    ///
    /// # Errors
    ///
    /// [`Fault`] if the answer breaks off.
    pub async fn next(&mut self) -> Result<Said, Fault> {
        match &mut self.0 {
            Coming::Book(call) => loop {
                if let Some(said) = heard(call.next().await)? {
                    return Ok(said);
                }
            },
            Coming::Http(stream) => stream.next().await,
        }
    }
}

/// The next of an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "an answer consists of pieces and has an end")]
pub enum Said {
    /// A piece of its text.
    Piece {
        /// The text.
        text: String,
        /// How many tokens it is taken for.
        tokens: u64,
    },
    /// The answer is complete.
    End {
        /// What the prompt cost, as the model's side says.
        tokens_in: u64,
        /// What the answer cost, as the model's side says.
        tokens_out: u64,
    },
}

/// Why there is no answer, or no whole one.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "worth another attempt or not, before or within the answer")]
pub enum Fault {
    /// The model's side cannot answer now.
    #[error("the model cannot answer now")]
    Transient,
    /// The model's side will not answer this.
    #[error("the model refuses the call")]
    Final,
    /// The connection broke, or what came is no answer. Worth another attempt.
    #[error("the connection to the model broke")]
    Broken,
}

/// What a beat tells somebody who listens. `None`: nothing yet.
fn heard(beat: Beat) -> Result<Option<Said>, Fault> {
    match beat {
        Beat::Begun => Ok(None),
        Beat::Piece(text) => Ok(Some(Said::Piece { text, tokens: 1 })),
        Beat::Done { tokens_in, tokens_out } => Ok(Some(Said::End { tokens_in, tokens_out })),
        Beat::Failed(ModelFault::Transient) => Err(Fault::Transient),
        Beat::Failed(ModelFault::Final) => Err(Fault::Final),
        Beat::Broken => Err(Fault::Broken),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::model::{Act, BookRun, CallEnd, Step, marker};

    fn world(step: Step) -> (ModelClient, BookRun) {
        let book = ModelBook::new();
        let run = book.begin("aaaaa", BTreeMap::from([("x".to_owned(), vec![step])]));
        (ModelClient::within(book), run)
    }

    fn asked(task: &str) -> Asked {
        Asked { model: "suite-small".into(), max_tokens: Some(5), prompt: marker("aaaaa", task) }
    }

    async fn all(client: &ModelClient) -> (String, Result<(u64, u64), Fault>) {
        let mut text = String::new();
        let mut answer = match client.call(asked("x")).await {
            Ok(answer) => answer,
            Err(fault) => return (text, Err(fault)),
        };
        loop {
            match answer.next().await {
                Ok(Said::Piece { text: piece, tokens: _ }) => text.push_str(&piece),
                Ok(Said::End { tokens_in, tokens_out }) => return (text, Ok((tokens_in, tokens_out))),
                Err(fault) => return (text, Err(fault)),
            }
        }
    }

    async fn check(act: Act, text: &str, end: Result<(u64, u64), Fault>, seen: (u64, CallEnd)) {
        let (client, run) = world(Step::new(act.clone()));
        assert_eq!(all(&client).await, (text.to_owned(), end), "{act:?}");
        let (calls, stray) = run.finish();
        assert_eq!((calls[0].tokens_out, calls[0].end, stray), (seen.0, seen.1, 0), "{act:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn every_act_is_heard_and_seen() {
        check(Act::Reply(json!({"ok": 1})), r#"{"ok":1}"#, Ok((8, 2)), (2, CallEnd::Said)).await;
        check(Act::Text("no".into()), "no", Ok((8, 1)), (1, CallEnd::Said)).await;
        check(Act::CutOff("{\"o".into()), "{\"o", Err(Fault::Broken), (1, CallEnd::Failed)).await;
        check(Act::Fail(ModelFault::Transient), "", Err(Fault::Transient), (0, CallEnd::Failed)).await;
        check(Act::Fail(ModelFault::Final), "", Err(Fault::Final), (0, CallEnd::Failed)).await;
        let overrun = 5 + 4096;
        let text = "x".repeat(overrun);
        let overrun = u64::try_from(overrun).unwrap();
        check(Act::Overrun, &text, Ok((8, overrun)), (overrun, CallEnd::Said)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn hanging_up_is_seen_with_what_was_generated_by_then() {
        let (client, run) = world(Step { ms_per_token: 10, ..Step::new(Act::Overrun) });
        let heard = tokio::time::timeout(Duration::from_millis(45), all(&client)).await;
        assert!(heard.is_err());
        let (calls, _) = run.finish();
        assert_eq!((calls[0].tokens_out, calls[0].end), (4, CallEnd::HungUp));
    }

    #[tokio::test(start_paused = true)]
    async fn who_hangs_is_heard_of_no_more() {
        let (client, run) = world(Step::new(Act::Hang));
        assert!(tokio::time::timeout(Duration::from_secs(3600), all(&client)).await.is_err());
        assert_eq!(run.finish().0[0].end, CallEnd::HungUp);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_takes_its_time() {
        let step = Step { delay_ms: 100, ms_per_token: 10, ..Step::new(Act::Text("12345678".into())) };
        let (client, _run) = world(step);
        let start = tokio::time::Instant::now();
        assert!(all(&client).await.1.is_ok());
        assert_eq!(start.elapsed(), Duration::from_millis(120));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stray_call_is_a_final_fault() {
        let (client, run) = world(Step::new(Act::Hang));
        assert_eq!(client.call(asked("y")).await.unwrap_err(), Fault::Final);
        assert_eq!(run.finish().1, 1);
    }
}
