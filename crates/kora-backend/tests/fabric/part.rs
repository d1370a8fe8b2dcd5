//! A process that serves until it is told to stop: it is heard while it runs, and ends with its owner.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Output};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Far more than any of these takes, so that a command that hangs is a failed test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// One process.
pub(crate) struct Part {
    child: Child,
    out: Heard,
    err: Heard,
}

/// What came through a pipe so far.
struct Heard {
    text: Arc<Mutex<String>>,
    hearing: Option<JoinHandle<()>>,
}

impl Part {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let out = Heard::of(child.stdout.take().unwrap());
        let err = Heard::of(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// The line of JSON that says where it listens.
    pub(crate) fn said(&mut self) -> Value {
        let line = self.wait_for("a line", |out, _| out.split_once('\n').map(|(line, _)| line.to_owned()));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Waits until it has told this.
    pub(crate) fn hears(&mut self, what: &str) {
        self.wait_for(what, |_, err| err.contains(what).then_some(()));
    }

    /// Waits until something can be found in what it printed, and told beside it.
    pub(crate) fn wait_for<T>(&mut self, what: &str, find: impl Fn(&str, &str) -> Option<T>) -> T {
        let patience = Instant::now() + PATIENCE;
        loop {
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() {
                self.out.whole();
                self.err.whole();
            }
            if let Some(found) = find(&self.out.text(), &self.err.text()) {
                return found;
            }
            let told = format!("no `{what}` in:\n{}{}", self.out.text(), self.err.text());
            assert!(ended.is_none() && Instant::now() < patience, "{told}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        assert_eq!(self.child.try_wait().unwrap(), None, "it is still there: {}", self.err.text());
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end: its exit code, what it printed, and what it told beside it.
    pub(crate) fn ended(self) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.output();
        (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    /// Waits for its end.
    pub(crate) fn output(mut self) -> Output {
        let patience = Instant::now() + PATIENCE;
        while Instant::now() < patience {
            if let Some(status) = self.child.try_wait().unwrap() {
                let [stdout, stderr] = [&mut self.out, &mut self.err].map(|heard| heard.whole().into_bytes());
                return Output { status, stdout, stderr };
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it hangs; it said {}{}", self.out.text(), self.err.text());
    }

    /// Ctrl-C, and the end that it brings.
    pub(crate) fn interrupted(mut self) -> (Option<i32>, String, String) {
        self.signal(Signal::INT);
        self.ended()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Heard {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&text);
        let hearing = std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = String::new();
            while pipe.read_line(&mut line).is_ok_and(|count| count > 0) {
                heard.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        Self { text, hearing: Some(hearing) }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// All of it, once nobody writes any more.
    fn whole(&mut self) -> String {
        if let Some(hearing) = self.hearing.take() {
            hearing.join().unwrap();
        }
        self.text()
    }
}
