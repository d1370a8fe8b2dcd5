//! What the disk by itself takes to make a record durable, as the event log does it.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use crate::figures::Spread;

/// Bytes of an ordinary record.
const RECORD: usize = 1024;

/// So many writes, each with its sync.
pub(crate) fn syncs(directory: &Path, rounds: usize) -> Spread {
    let folder = tempfile::tempdir_in(directory).unwrap();
    let mut file = File::create(folder.path().join("sync")).unwrap();
    let spent = (0..rounds).map(|_| {
        let began = Instant::now();
        file.write_all(&[b'x'; RECORD]).unwrap();
        file.sync_data().unwrap();
        began.elapsed()
    });
    Spread::of(spent.collect())
}
