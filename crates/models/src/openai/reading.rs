//! Reads an answer, streamed or whole, into the sink; refuses another model's, and one that never ends properly.

use crate::openai::failure::of_error_object;
use crate::openai::sse::SseError;
use crate::openai::wire::{Choice, Delta, Piece, ToldUsage};
use crate::openai::words::code_word;
use crate::{AdapterError, AdapterErrorKind, FinishReason, OpenAiModel, RawReply, TokenSink};

/// The most bytes that one token is taken to have. A piece that is longer counts as several, so that a server cannot
/// send everything as one. The longest tokens of known vocabularies are a few hundred bytes of white space.
const MAX_TOKEN_BYTES: usize = 1024;

/// What was read so far of one answer.
pub(super) struct Reading<'a> {
    model: &'a OpenAiModel,
    finish: Option<FinishReason>,
    tokens_in: Option<u64>,
    tokens_out: Option<u64>,
    done: bool,
    heard: bool,
}

impl From<SseError> for AdapterError {
    fn from(error: SseError) -> Self {
        Self::new(AdapterErrorKind::Protocol, error.to_string())
    }
}

impl<'a> Reading<'a> {
    pub(super) fn new(model: &'a OpenAiModel) -> Self {
        Self { model, finish: None, tokens_in: None, tokens_out: None, done: false, heard: false }
    }

    /// Whether the server said that nothing more comes.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the answer itself is complete. What may still come is its usage.
    pub(super) fn is_complete(&self) -> bool {
        self.done || self.finish.is_some()
    }

    /// Takes the data of one event.
    pub(super) fn event(&mut self, data: &str, sink: &mut TokenSink) -> Result<(), AdapterError> {
        if self.done || data.trim().is_empty() {
            return Ok(());
        }
        self.heard = true;
        if data.trim() == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        let piece: Piece = serde_json::from_str(data).map_err(|error| not_agreed("an event", &error))?;
        self.piece(piece, |text, tokens| Ok(sink.push(text, tokens)?))?;
        // Some servers tell as they go; there is no need to wait for the end of an overrun.
        match self.tokens_out {
            Some(told) if told > sink.max_tokens() => {
                Err(match sink.finish(FinishReason::Stop, self.tokens_in, Some(told)) {
                    Err(error) => error,
                    Ok(_) => AdapterError::new(
                        AdapterErrorKind::TokensExhausted,
                        "more tokens were told than allowed",
                    ),
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Takes a whole answer that was not streamed.
    pub(super) fn whole(&mut self, body: &[u8], sink: &mut TokenSink) -> Result<(), AdapterError> {
        let piece: Piece = serde_json::from_slice(body).map_err(|error| not_agreed("the answer", &error))?;
        if piece.error.is_none() && piece.choices.as_ref().is_none_or(Vec::is_empty) {
            return Err(protocol("the answer has no `choices`"));
        }
        self.piece(piece, |text, _| Ok(sink.push_uncounted(text)?))?;
        self.done = true;
        Ok(())
    }

    /// Closes the reply, once nothing more comes.
    pub(super) fn conclude(self, sink: &mut TokenSink) -> Result<RawReply, AdapterError> {
        let finish = match self.finish {
            Some(finish) => finish,
            None if self.done => FinishReason::Unstated,
            None if self.heard => return Err(protocol("the stream ended before the reply was complete")),
            None => {
                return Err(protocol(
                    "the stream ended before anything came, as with servers that find the prompt too long for the \
                     model only then; set `stream` to false to be told why",
                ));
            }
        };
        if self.tokens_out.is_none() {
            // Pieces are no count of a whole reply: servers join tokens, and drop white space, fences and end marks
            // that were generated all the same. Nobody knows what it was; nothing is only the least of it (C7.6).
            sink.push_uncounted("")?;
        }
        sink.finish(finish, self.tokens_in, self.tokens_out)
    }

    fn piece(
        &mut self,
        piece: Piece,
        mut push: impl FnMut(&str, u64) -> Result<(), AdapterError>,
    ) -> Result<(), AdapterError> {
        if let Some(error) = &piece.error {
            return Err(of_error_object(error));
        }
        self.told(piece.usage.as_ref());
        if let Some(reported) = piece.model.as_deref() {
            self.check_model(reported)?;
        }
        for choice in piece.choices.into_iter().flatten() {
            self.choice(&choice, &mut push)?;
        }
        Ok(())
    }

    fn choice(
        &mut self,
        choice: &Choice,
        push: &mut impl FnMut(&str, u64) -> Result<(), AdapterError>,
    ) -> Result<(), AdapterError> {
        let first = choice.index.unwrap_or(0) == 0;
        if let Some(delta) = &choice.delta {
            let bytes = delta.generated_bytes();
            if bytes > 0 {
                if first && self.finish.is_some() {
                    return Err(protocol("more text came after the reply was finished"));
                }
                let text = if first { delta.content.as_deref().unwrap_or("") } else { "" };
                push(text, tokens_at_least(bytes))?;
            }
            if first && is_refusal(delta) {
                return Err(filtered("the model refused to answer"));
            }
        }
        match choice.finish_reason.as_deref() {
            Some(reason) if first => self.finish = Some(finish_reason(reason)?),
            Some(_) | None => {}
        }
        Ok(())
    }

    fn told(&mut self, usage: Option<&ToldUsage>) {
        if let Some(usage) = usage {
            // Told more than once, the most that was told counts.
            self.tokens_in = self.tokens_in.max(usage.tokens_in());
            self.tokens_out = self.tokens_out.max(usage.tokens_out());
        }
    }

    fn check_model(&self, reported: &str) -> Result<(), AdapterError> {
        if is_same_model(self.model, reported) {
            return Ok(());
        }
        let asked = served_as(self.model);
        let reported = code_word(reported).unwrap_or("(a name that is none)");
        let message = format!(
            "`{asked}` was asked and `{reported}` answered; if that is another name of the same model, \
             add it to `also_reported_as` of `{}`",
            self.model.id
        );
        Err(AdapterError::new(AdapterErrorKind::ModelNotAllowed, message))
    }
}

/// The server's name for a model.
pub(super) fn served_as(model: &OpenAiModel) -> &str {
    model.served_as.as_deref().unwrap_or(model.id.as_str())
}

/// Whether a server that answers as `reported` answers for `model`.
pub(super) fn is_same_model(model: &OpenAiModel, reported: &str) -> bool {
    let names = std::iter::once(served_as(model)).chain(model.also_reported_as.iter().map(String::as_str));
    names
        .into_iter()
        .any(|name| reported.strip_prefix(name).is_some_and(|rest| rest.is_empty() || is_edition(rest)))
}

/// Whether what follows a model's name says which edition of it: a date, or the latest. A size would be another model.
fn is_edition(rest: &str) -> bool {
    if rest == ":latest" {
        return true;
    }
    let Some(date) = rest.strip_prefix('-') else { return false };
    // Bytes, because what a server sends may be cut anywhere.
    let is_date = |parts: &[&[u8]]| parts.iter().all(|part| part.iter().all(u8::is_ascii_digit));
    match date.as_bytes() {
        [y @ .., b'-', m1, m2, b'-', d1, d2] if y.len() == 4 => is_date(&[y, &[*m1, *m2], &[*d1, *d2]]),
        all => all.len() == 8 && is_date(&[all]),
    }
}

fn finish_reason(reason: &str) -> Result<FinishReason, AdapterError> {
    match reason {
        "stop" | "eos" | "eos_token" | "stop_sequence" => Ok(FinishReason::Stop),
        "length" | "max_tokens" => Ok(FinishReason::Length),
        "content_filter" => Err(filtered("the server withheld the reply")),
        "tool_calls" | "function_call" => Err(protocol("the model called a tool, and none was offered")),
        "error" => {
            Err(AdapterError::new(AdapterErrorKind::ServerError, "the server failed during generation"))
        }
        _ => Ok(FinishReason::Unstated),
    }
}

fn is_refusal(delta: &Delta) -> bool {
    delta.refusal.as_deref().is_some_and(|refusal| !refusal.is_empty())
}

fn tokens_at_least(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(MAX_TOKEN_BYTES)).unwrap_or(u64::MAX)
}

fn filtered(what: &str) -> AdapterError {
    AdapterError::new(AdapterErrorKind::ContentFiltered, what)
}

fn protocol(what: &str) -> AdapterError {
    AdapterError::new(AdapterErrorKind::Protocol, what)
}

fn not_agreed(what: &str, error: &serde_json::Error) -> AdapterError {
    // Not the parser's words: they may repeat a value.
    let place = format!("line {}, column {}", error.line(), error.column());
    protocol(&format!("{what} is not what an OpenAI-compatible server sends ({place})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelId;

    #[test]
    fn an_edition_is_the_same_model_and_a_size_is_not() {
        let model = OpenAiModel {
            id: ModelId::from("tiny"),
            served_as: Some("gpt-4o".into()),
            also_reported_as: vec!["/models/a.gguf".into()],
            tier: None,
            context_tokens: None,
            parameters: None,
        };
        for name in ["gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-20240806", "gpt-4o:latest", "/models/a.gguf"] {
            assert!(is_same_model(&model, name), "{name}");
        }
        for name in [
            "gpt-4o-mini",
            "gpt-4",
            "gpt-4o-large-405b",
            "tiny",
            "",
            "gpt-4o-2024é0806",
            "gpt-4o-éééé12345678",
        ] {
            assert!(!is_same_model(&model, name), "{name}");
        }
    }
}
