//! Others who compute: processes that do nothing else.

use std::hint::black_box;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::thread;

/// Processes that compute until this is dropped.
pub(crate) struct Busy(Vec<Child>);

impl Busy {
    pub(crate) fn start(count: usize) -> anyhow::Result<Self> {
        let mut busy = Self(Vec::new());
        for _ in 0..count {
            let mut command = Command::new(std::env::current_exe()?);
            busy.0.push(command.arg("busy").stdin(Stdio::piped()).spawn()?);
        }
        Ok(busy)
    }

    /// Computes until the input ends: nobody is left behind by whoever started it.
    pub(crate) fn be() {
        thread::spawn(|| {
            let mut count = 0_u64;
            loop {
                count = black_box(count.wrapping_add(1));
            }
        });
        // Whatever ends it, it is over.
        let _ = std::io::stdin().read(&mut [0]);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It fails only if the process is gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
