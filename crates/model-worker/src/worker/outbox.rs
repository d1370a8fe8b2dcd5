//! Everything that the process says, a line at a time, whoever says it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use models::protocol::{FromWorker, HEARTBEAT};

pub(crate) struct Outbox<W>(Mutex<W>);

impl<W: Write> Outbox<W> {
    pub(crate) fn new(output: W) -> Self {
        Self(Mutex::new(output))
    }

    /// Says it now. Fails if nobody can hear it any more.
    pub(crate) fn say(&self, message: &FromWorker) -> io::Result<()> {
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        message.write(&mut *output).map_err(io::Error::other)
    }
}

impl<W: Write + Send + 'static> Outbox<W> {
    /// Says from now on, as often as agreed, that the process is alive.
    pub(crate) fn beat(self: &Arc<Self>) {
        let outbox = Arc::clone(self);
        thread::spawn(move || {
            while outbox.say(&FromWorker::Alive).is_ok() {
                thread::sleep(HEARTBEAT);
            }
            // Nobody listens: what is being computed is for nobody.
            std::process::exit(1);
        });
    }
}

#[cfg(test)]
impl<W> Outbox<W> {
    pub(crate) fn into_inner(self) -> W {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
