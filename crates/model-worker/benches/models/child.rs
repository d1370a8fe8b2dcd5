//! A process that is measured: told in lines, answering in lines, never waited for without end.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

/// Longer than any answer takes, on the slowest machine with others beside.
const PATIENCE: Duration = Duration::from_secs(600);

/// A child process. Dropped, it is killed.
pub(crate) struct Lines {
    name: &'static str,
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
}

impl Lines {
    pub(crate) fn start(name: &'static str, command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            anyhow::bail!("{name} has no pipes");
        };
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { name, child, input, output: receiver })
    }

    pub(crate) fn tell(&mut self, line: &[u8]) -> anyhow::Result<()> {
        self.input.write_all(line)?;
        Ok(self.input.flush()?)
    }

    /// The next line.
    pub(crate) fn hear(&self) -> anyhow::Result<String> {
        self.output.recv_timeout(PATIENCE).with_context(|| format!("{} says nothing more", self.name))
    }

    /// Time that all of its threads computed so far, those that are gone included. `None` where the system does not tell.
    pub(crate) fn computed(&self) -> Option<Duration> {
        let told = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // What stands before is its name, in which anything may stand.
        let (_, fields) = told.rsplit_once(')')?;
        let mut times = fields.split_whitespace().skip(11).map(|field| field.parse::<u64>().ok());
        let (own, of_the_system) = (times.next()??, times.next()??);
        // Linux tells hundredths of a second here, whatever its own clock has.
        Some(Duration::from_millis((own + of_the_system) * 10)).filter(|time| !time.is_zero())
    }

    /// Mebibytes that are resident, now and at most. `None` where the system does not tell.
    pub(crate) fn resident(&self) -> Option<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes / 1024)
        };
        Some((of("VmRSS:")?, of("VmHWM:")?))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // It fails only if the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
