//! The two pipes of a worker: whole lines in, whole messages out, and an ear for silence.

use std::time::Duration;

use thiserror::Error;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::protocol::{FromWorker, ToWorker, WireError};

/// Messages that wait to be heard. The pipe itself holds back what comes after.
const WAITING: usize = 16;
/// Signs of life that are plausible within a second.
const MAX_ALIVE_PER_SECOND: u32 = 100;

/// Talks with one worker. Dropping it closes both pipes, which tells the worker to exit.
#[derive(Debug)]
pub(super) struct Link {
    lines: mpsc::Sender<Vec<u8>>,
    heard: mpsc::Receiver<Result<FromWorker, Lost>>,
    tasks: [JoinHandle<()>; 2],
}

/// Why nothing more will be heard of a worker.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(super) enum Lost {
    #[error("it closed its output")]
    Closed,
    #[error("it gave no sign of life for {} ms", .0.as_millis())]
    Silent(Duration),
    #[error("it sent {0}")]
    Garbled(String),
    #[error("it floods its output")]
    Flood,
}

impl Link {
    /// Talks over these pipes. Once it is ready, a worker that is silent for `silence` is lost. Before, it has as long
    /// as whoever listens.
    pub(super) fn new(
        output: impl AsyncRead + Send + Unpin + 'static,
        input: impl AsyncWrite + Send + Unpin + 'static,
        silence: Duration,
    ) -> Self {
        let (lines, to_write) = mpsc::channel(WAITING);
        let (tell, heard) = mpsc::channel(WAITING);
        let tasks = [tokio::spawn(write(input, to_write)), tokio::spawn(read(output, tell, silence))];
        Self { lines, heard, tasks }
    }

    /// Hands a message over to be written. A message is written whole or, once the pipe is gone, not at all: whoever
    /// waits for the answer hears that the worker was lost.
    ///
    /// # Errors
    ///
    /// [`WireError::TooLong`], and then nothing is written.
    pub(super) fn say(&self, message: &ToWorker) -> Result<(), WireError> {
        // One request and one cancellation at a time: the queue is full only if the pipe has long been stuck.
        let _ = self.lines.try_send(message.to_line()?);
        Ok(())
    }

    /// The next message that is no mere sign of life.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no message.
    pub(super) async fn hear(&mut self) -> Result<FromWorker, Lost> {
        self.heard.recv().await.unwrap_or(Err(Lost::Closed))
    }

    /// What was said, or lost, unasked.
    pub(super) fn overhear(&mut self) -> Option<Result<FromWorker, Lost>> {
        match self.heard.try_recv() {
            Ok(heard) => Some(heard),
            Err(mpsc::error::TryRecvError::Empty) => None,
            Err(mpsc::error::TryRecvError::Disconnected) => Some(Err(Lost::Closed)),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn write(mut input: impl AsyncWrite + Unpin, mut lines: mpsc::Receiver<Vec<u8>>) {
    while let Some(line) = lines.recv().await {
        if input.write_all(&line).await.is_err() || input.flush().await.is_err() {
            return;
        }
    }
}

async fn read(
    output: impl AsyncRead + Unpin,
    tell: mpsc::Sender<Result<FromWorker, Lost>>,
    silence: Duration,
) {
    let mut output = BufReader::new(output);
    let mut alive = Alive { since: Instant::now(), count: 0 };
    let mut ready = false;
    loop {
        let next = next(&mut output);
        let heard = if ready { tokio::time::timeout(silence, next).await } else { Ok(next.await) };
        let heard = match heard {
            Ok(Ok(FromWorker::Alive)) if alive.is_plausible() => continue,
            Ok(Ok(FromWorker::Alive)) => Err(Lost::Flood),
            Ok(heard) => heard,
            Err(_) => Err(Lost::Silent(silence)),
        };
        let lost = heard.is_err();
        ready |= matches!(heard, Ok(FromWorker::Ready(_)));
        if tell.send(heard).await.is_err() || lost {
            return;
        }
    }
}

async fn next(output: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> Result<FromWorker, Lost> {
    let mut line = Vec::new();
    let read = output.take(FromWorker::MAX_BYTES as u64).read_until(b'\n', &mut line).await;
    let garbled = |error: WireError| Lost::Garbled(error.to_string());
    match (read, line.split_last()) {
        (Err(_), _) | (Ok(_), None) => Err(Lost::Closed),
        (Ok(_), Some((b'\n', line))) => FromWorker::from_line(line).map_err(garbled),
        (Ok(_), Some(_)) if line.len() >= FromWorker::MAX_BYTES => {
            Err(garbled(WireError::TooLong { max_bytes: FromWorker::MAX_BYTES }))
        }
        // It ended in the middle of a line.
        (Ok(_), Some(_)) => Err(Lost::Closed),
    }
}

/// Counts signs of life: they are cheap to send and cost this side some work each.
struct Alive {
    since: Instant,
    count: u32,
}

impl Alive {
    fn is_plausible(&mut self) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            *self = Self { since: Instant::now(), count: 0 };
        }
        self.count += 1;
        self.count <= MAX_ALIVE_PER_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_secs(5);
    const READY: &[u8] = b"{\"type\":\"ready\",\"protocol\":1,\"version\":\"0\",\"architecture\":\"llama\",\
        \"context_tokens\":1,\"parameters\":1,\"threads\":1}\n";

    async fn hear(said: &[u8]) -> Result<FromWorker, Lost> {
        let (ours, mut theirs) = tokio::io::duplex(4 << 20);
        theirs.write_all(said).await.unwrap();
        drop(theirs);
        let (output, input) = tokio::io::split(ours);
        Link::new(output, input, SILENCE).hear().await
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_message_is_told_without_a_word_of_it() {
        assert_eq!(hear(b"").await, Err(Lost::Closed));
        assert_eq!(hear(b"{\"type\":\"ali").await, Err(Lost::Closed));
        let garbled = hear(b"secret\n").await.unwrap_err().to_string();
        assert_eq!(
            garbled,
            "it sent a line that is no message of this protocol: it is not JSON at byte 0 of 6"
        );
        let long = vec![b' '; FromWorker::MAX_BYTES + 1];
        assert_eq!(hear(&long).await.unwrap_err().to_string(), "it sent a line of more than 1048576 bytes");
    }

    #[tokio::test(start_paused = true)]
    async fn signs_of_life_are_heard_by_nobody_and_a_flood_of_them_is_the_end() {
        assert_eq!(hear(b"{\"type\":\"alive\"}\n{\"type\":\"alive\"}\n").await, Err(Lost::Closed));
        assert_eq!(hear(&b"{\"type\":\"alive\"}\n".repeat(101)).await, Err(Lost::Flood));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_noticed_and_a_sign_of_life_breaks_it() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let (output, input) = tokio::io::split(ours);
        let mut link = Link::new(output, input, SILENCE);
        tokio::time::sleep(10 * SILENCE).await;
        assert!(link.overhear().is_none(), "loading may be silent");
        theirs.write_all(READY).await.unwrap();
        assert!(matches!(link.hear().await, Ok(FromWorker::Ready(_))));
        let began = Instant::now();
        for _ in 0..10 {
            tokio::time::sleep(SILENCE - Duration::from_millis(1)).await;
            theirs.write_all(b"{\"type\":\"alive\"}\n").await.unwrap();
        }
        assert!(link.overhear().is_none());
        assert_eq!(link.hear().await, Err(Lost::Silent(SILENCE)));
        assert!(began.elapsed() < 11 * SILENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_does_not_read_blocks_nobody() {
        let (ours, mut theirs) = tokio::io::duplex(READY.len());
        theirs.write_all(READY).await.unwrap();
        let (output, input) = tokio::io::split(ours);
        let mut link = Link::new(output, input, SILENCE);
        assert!(link.hear().await.is_ok());
        for id in 0..100 {
            link.say(&ToWorker::Cancel { id }).unwrap();
        }
        assert_eq!(link.hear().await, Err(Lost::Silent(SILENCE)));
    }
}
