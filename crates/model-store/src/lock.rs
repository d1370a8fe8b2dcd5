//! One process at a time works on a model: a lock that ends with its process.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use fs4::{FileExt, TryLockError};

use crate::files::{During as _, Ended, FileError};
use crate::progress::{Observe, Phase, tell};

/// How often one who waits looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The right to change what is in a model's folder, until it is dropped or the process ends, however it ends.
///
/// The file that is locked stays: were it removed, one process could hold what is gone and another what is new.
#[derive(Debug)]
pub(crate) struct ModelLock(File);

/// Waits until nobody else holds the lock.
pub(crate) fn wait_for(path: &Path, observe: &mut Observe<'_>) -> Result<ModelLock, Ended> {
    loop {
        match try_for(path)? {
            Attempt::Held(lock) => return Ok(lock),
            Attempt::Busy(process) => tell(observe, Phase::Waiting { process }, 0, None)?,
        }
        thread::sleep(LOOK_AGAIN);
    }
}

/// What came of trying.
#[derive(Debug)]
pub(crate) enum Attempt {
    Held(ModelLock),
    /// Somebody else has it, and who, if that is known.
    Busy(Option<u32>),
}

/// Takes the lock if nobody holds it.
pub(crate) fn try_for(path: &Path) -> Result<Attempt, FileError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .during("open the lock", path)?;
    match FileExt::try_lock(&file) {
        Ok(()) => {
            // For those who wait; a lock that does not say whose it is still locks.
            let _ = file.set_len(0).and_then(|()| file.rewind());
            let _ = write!(file, "{}", std::process::id());
            Ok(Attempt::Held(ModelLock(file)))
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let read = file.take(32).read_to_string(&mut holder);
            Ok(Attempt::Busy(read.ok().and_then(|_| holder.trim().parse().ok())))
        }
        Err(TryLockError::Error(error)) => Err(error).during("lock", path),
    }
}

impl Drop for ModelLock {
    fn drop(&mut self) {
        let _ = self.0.set_len(0);
        let _ = FileExt::unlock(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;

    #[test]
    fn who_waits_is_told_for_whom() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let mut nobody = |_: crate::Progress| panic!("nobody else holds it");
        let held = wait_for(&path, &mut nobody).unwrap();
        let mut told = None;
        let mut look = |progress: crate::Progress| {
            told = Some(progress.phase);
            ControlFlow::Break(())
        };
        assert!(matches!(wait_for(&path, &mut look), Err(Ended::Stopped)));
        assert_eq!(told, Some(Phase::Waiting { process: Some(std::process::id()) }));
        drop(held);
        wait_for(&path, &mut nobody).unwrap();
    }
}
