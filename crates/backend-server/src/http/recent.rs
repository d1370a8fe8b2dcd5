//! Telemetry of the last runs, as much as is allowed.

use std::collections::VecDeque;

use hyper::body::Bytes;
use serde_json::{Map, Value};

/// The last runs, the newest last.
#[derive(Debug)]
pub(super) struct Recent {
    max_runs: usize,
    max_bytes: usize,
    runs: VecDeque<(String, Bytes)>,
    // Invariant: of all `runs`.
    bytes: usize,
}

impl Recent {
    pub(super) fn new(max_runs: usize, max_bytes: usize) -> Self {
        Self { max_runs, max_bytes, runs: VecDeque::new(), bytes: 0 }
    }

    /// Keeps what `telemetry` says of a run, in place of an earlier run of the same name.
    pub(super) fn keep(&mut self, run_id: &str, document: Bytes) {
        if let Some(place) = self.runs.iter().position(|(kept, _)| kept == run_id) {
            self.remove(place);
        }
        if document.len() > self.max_bytes {
            return;
        }
        self.bytes += document.len();
        self.runs.push_back((run_id.to_owned(), document));
        while self.runs.len() > self.max_runs || self.bytes > self.max_bytes {
            self.remove(0);
        }
    }

    /// What is kept of a run.
    pub(super) fn of(&self, run_id: &str) -> Option<Bytes> {
        self.runs.iter().find(|(kept, _)| kept == run_id).map(|(_, document)| document.clone())
    }

    fn remove(&mut self, place: usize) {
        if let Some((_, document)) = self.runs.remove(place) {
            self.bytes -= document.len();
        }
    }
}

/// `{run_id, tasks, summary}`, and what a cloud adds.
pub(super) fn document(run_id: &str, telemetry: &Value) -> Bytes {
    let mut document = Map::new();
    document.insert(String::from("run_id"), Value::from(run_id));
    if let Value::Object(bundle) = telemetry {
        document.extend(bundle.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    Bytes::from(Value::Object(document).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room_and_a_name_stands_for_its_last_run() {
        let mut recent = Recent::new(2, 10);
        let keep =
            |recent: &mut Recent, run: &str, length: usize| recent.keep(run, vec![b' '; length].into());
        keep(&mut recent, "a", 3);
        keep(&mut recent, "b", 3);
        keep(&mut recent, "a", 4);
        assert_eq!((recent.of("a").map(|kept| kept.len()), recent.bytes), (Some(4), 7));
        keep(&mut recent, "c", 3);
        assert_eq!((recent.of("b"), recent.runs.len(), recent.bytes), (None, 2, 7));
        keep(&mut recent, "d", 8);
        assert_eq!((recent.runs.len(), recent.bytes), (1, 8));
        keep(&mut recent, "d", 11);
        assert_eq!((recent.of("d"), recent.bytes), (None, 0));
    }
}
