//! The rules of one generation: what a worker may say when, counted here and believed nowhere (C7.2, C7.6).

use std::time::Duration;

use super::protocol::{Done, Failed, FromWorker, Piece, Started, WorkerFinish};
use crate::{AdapterError, AdapterErrorKind, CutOff, FinishReason, RawReply, TokenSink};

/// Characters of a worker's own words that are repeated.
const MAX_SAID: usize = 600;

/// One request on its way.
#[derive(Debug)]
pub(super) struct Call {
    id: u64,
    started: Option<u64>,
    deadline: Duration,
}

/// What one message of the worker means for the request.
#[derive(Debug)]
pub(super) enum Step {
    /// There is more to come.
    On,
    /// The request is over, and the worker is free for another.
    Over(Result<RawReply, AdapterError>),
    /// This side has enough; the worker is still at it and has to be told.
    Enough(CutOff),
    /// The worker ends, and says why.
    Ending(String),
    /// The worker broke the rules: nothing that it says can be relied upon.
    Broken(&'static str),
}

impl Call {
    pub(super) fn new(id: u64, deadline: Duration) -> Self {
        Self { id, started: None, deadline }
    }

    /// Takes the next message.
    pub(super) fn hear(&mut self, said: FromWorker, sink: &mut TokenSink) -> Step {
        let about = match &said {
            FromWorker::Alive => return Step::On,
            FromWorker::Ready(_) => return Step::Broken("it said twice that it is ready"),
            FromWorker::Fatal { message } => return Step::Ending(plain(message)),
            FromWorker::Started(Started { id, .. })
            | FromWorker::Piece(Piece { id, .. })
            | FromWorker::Done(Done { id, .. })
            | FromWorker::Failed(Failed { id, .. }) => *id,
        };
        if about != self.id {
            return Step::Broken("it answered what nobody asked");
        }
        match said {
            FromWorker::Started(Started { tokens_in, .. }) => {
                if self.started.replace(tokens_in).is_some() {
                    return Step::Broken("it began twice");
                }
                sink.prompted(tokens_in);
                Step::On
            }
            FromWorker::Piece(piece) => self.piece(&piece, sink),
            FromWorker::Done(done) => self.done(&done, sink),
            FromWorker::Failed(failed) => Step::Over(Err(reported(&failed))),
            FromWorker::Alive | FromWorker::Ready(_) | FromWorker::Fatal { .. } => Step::On,
        }
    }

    fn piece(&self, piece: &Piece, sink: &mut TokenSink) -> Step {
        if self.started.is_none() {
            return Step::Broken("it replied before it had read the prompt");
        }
        // Every piece is a token nearer to the cap, so there is an end to them.
        if piece.tokens == 0 {
            return Step::Broken("it sent a piece of no token");
        }
        match sink.push(&piece.text, piece.tokens) {
            Ok(()) => Step::On,
            Err(cut_off) => Step::Enough(cut_off),
        }
    }

    fn done(&self, done: &Done, sink: &mut TokenSink) -> Step {
        let counted = sink.counted();
        if done.tokens_out > counted {
            // What it says it generated is spent, although nobody saw it.
            let _ = sink.push("", done.tokens_out - counted);
        }
        if done.tokens_out != counted {
            return Step::Broken("its sum is not that of its pieces");
        }
        match (done.finish, self.started) {
            (WorkerFinish::Stop, Some(tokens_in)) => {
                Step::Over(sink.finish(FinishReason::Stop, Some(tokens_in), None))
            }
            (WorkerFinish::Length, Some(tokens_in)) => {
                Step::Over(sink.finish(FinishReason::Length, Some(tokens_in), None))
            }
            (WorkerFinish::Stop | WorkerFinish::Length, None) => {
                Step::Broken("it was done before it had read the prompt")
            }
            (WorkerFinish::Deadline, _) => Step::Over(Err(out_of_time(self.deadline))),
            (WorkerFinish::Cancelled, _) => Step::Broken("it stopped although nobody told it to"),
        }
    }
}

/// What the time's end is called, whoever notices it first.
pub(super) fn out_of_time(deadline: Duration) -> AdapterError {
    let message = format!("no complete reply within {} ms", deadline.as_millis());
    AdapterError::new(AdapterErrorKind::DeadlineExceeded, message)
}

/// A failure that the worker reports. It judges the request and the model; what else there is to judge is not its.
fn reported(failed: &Failed) -> AdapterError {
    let message = plain(&failed.message);
    match failed.kind {
        AdapterErrorKind::Rejected
        | AdapterErrorKind::ContextOverflow
        | AdapterErrorKind::ServerError
        | AdapterErrorKind::ReplyTooLarge
        | AdapterErrorKind::TokensExhausted
        | AdapterErrorKind::DeadlineExceeded
        | AdapterErrorKind::Protocol
        | AdapterErrorKind::Internal => {
            AdapterError::new(failed.kind, message).with_transient(failed.transient)
        }
        AdapterErrorKind::Unreachable
        | AdapterErrorKind::Unauthorized
        | AdapterErrorKind::RateLimited
        | AdapterErrorKind::ModelUnknown
        | AdapterErrorKind::ModelNotAllowed
        | AdapterErrorKind::RemoteForbidden
        | AdapterErrorKind::ContentFiltered => {
            let message = format!("the worker reports what no worker can know: {message}");
            AdapterError::new(AdapterErrorKind::Protocol, message).with_transient(false)
        }
    }
}

/// A worker's words on one line, and not too many of them.
pub(super) fn plain(words: &str) -> String {
    let mut plain: String = words
        .chars()
        .take(MAX_SAID)
        .map(|c| if c.is_control() || is_invisible(c) { ' ' } else { c })
        .collect();
    if words.chars().nth(MAX_SAID).is_some() {
        plain.push('…');
    }
    plain.trim().to_owned()
}

/// Marks that turn the direction of text around them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TokenCount;

    const DEADLINE: Duration = Duration::from_secs(2);

    fn started() -> FromWorker {
        FromWorker::Started(Started { id: 7, tokens_in: 90 })
    }

    fn piece(text: &str, tokens: u64) -> FromWorker {
        FromWorker::Piece(Piece { id: 7, text: text.into(), tokens })
    }

    fn done(finish: WorkerFinish, tokens_out: u64) -> FromWorker {
        FromWorker::Done(Done {
            id: 7,
            finish,
            tokens_out,
            timing: super::super::protocol::Timing::default(),
        })
    }

    fn failed(kind: AdapterErrorKind) -> FromWorker {
        FromWorker::Failed(Failed {
            id: 7,
            kind,
            transient: true,
            message: String::from("so\nit\u{1b}[31m is"),
        })
    }

    /// The last step of a conversation, and what was spent by then.
    fn talk(cap: u64, said: Vec<FromWorker>) -> (Step, TokenSink) {
        let mut sink = TokenSink::new(cap, 1000);
        sink.sent();
        sink.streaming();
        let mut call = Call::new(7, DEADLINE);
        let mut last = Step::On;
        for said in said {
            assert!(matches!(last, Step::On), "{last:?} was not the last");
            last = call.hear(said, &mut sink);
        }
        (last, sink)
    }

    fn check(cap: u64, said: Vec<FromWorker>, expected: &str) {
        let shown = match talk(cap, said).0 {
            Step::On => String::from("on"),
            Step::Over(Ok(reply)) => format!("reply, {:?}", reply.finish_reason()),
            Step::Over(Err(error)) => format!("{:?}, {}", error.kind, error.message),
            Step::Enough(cut_off) => format!("enough: {cut_off}"),
            Step::Ending(said) => format!("ending: {said}"),
            Step::Broken(rule) => format!("broken: {rule}"),
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_reply_is_pieces_and_an_end() {
        let (last, sink) =
            talk(9, vec![started(), piece("{", 1), piece("}", 2), done(WorkerFinish::Stop, 3)]);
        assert!(matches!(last, Step::Over(Ok(_))));
        assert_eq!(sink.usage().tokens_in, TokenCount::Reported(90));
        assert_eq!(sink.usage().tokens_out, TokenCount::Counted(3));
    }

    // shows C7.2
    #[test]
    fn a_token_beyond_the_cap_is_not_taken() {
        let over = "enough: cut off at token 3: the cap for this call is 2";
        check(2, vec![started(), piece("{", 1), piece("}", 2)], over);
        check(2, vec![started(), piece("{", 2)], "on");
        let many = "enough: cut off at token 18446744073709551615: the cap for this call is 2";
        check(2, vec![started(), piece("{", 2), piece("{", u64::MAX)], many);
    }

    // shows C7.6
    #[test]
    fn a_sum_that_is_not_that_of_the_pieces_is_believed_in_no_direction() {
        for told in [1, 3, u64::MAX] {
            let (last, sink) = talk(9, vec![started(), piece("{}", 2), done(WorkerFinish::Stop, told)]);
            assert!(matches!(last, Step::Broken("its sum is not that of its pieces")));
            assert_eq!(sink.usage().tokens_out, TokenCount::Counted(told.max(2)));
        }
    }

    #[test]
    fn a_length_reached_is_a_breach_and_no_reply() {
        let told = "TokensExhausted, the reply was not complete when its length limit was reached";
        check(2, vec![started(), piece("{", 2), done(WorkerFinish::Length, 2)], told);
        let late = "DeadlineExceeded, no complete reply within 2000 ms";
        check(2, vec![started(), piece("{", 2), done(WorkerFinish::Deadline, 2)], late);
        check(2, vec![done(WorkerFinish::Deadline, 0)], late);
    }

    #[test]
    fn whoever_breaks_the_rules_is_not_listened_to() {
        let another = FromWorker::Piece(Piece { id: 8, text: String::new(), tokens: 1 });
        check(9, vec![another], "broken: it answered what nobody asked");
        check(9, vec![piece("", 1)], "broken: it replied before it had read the prompt");
        check(9, vec![started(), started()], "broken: it began twice");
        check(9, vec![started(), piece("x", 0)], "broken: it sent a piece of no token");
        check(9, vec![done(WorkerFinish::Stop, 0)], "broken: it was done before it had read the prompt");
        let stopped = "broken: it stopped although nobody told it to";
        check(9, vec![started(), done(WorkerFinish::Cancelled, 0)], stopped);
    }

    #[test]
    fn a_workers_words_are_one_plain_line() {
        check(9, vec![failed(AdapterErrorKind::ContextOverflow)], "ContextOverflow, so it [31m is");
        check(9, vec![FromWorker::Fatal { message: "no\u{202e} room\n".into() }], "ending: no  room");
        assert_eq!(plain(&"x".repeat(5000)).chars().count(), MAX_SAID + 1);
    }

    #[test]
    fn a_worker_reports_nothing_that_it_cannot_know() {
        let told = "Protocol, the worker reports what no worker can know: so it [31m is";
        check(9, vec![failed(AdapterErrorKind::Unauthorized)], told);
    }
}
