//! A disk in memory that can fail in every way that a disk can, by a seed, so that a crash can be had again.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{LogError, ReadSegments, Segment, SegmentNumber, WriteSegments};

/// What a disk writes at once: of a write that was not synced, each of these is there after a crash or is not.
const SECTOR: u64 = 512;

/// A disk that outlives whoever writes on it. Clones are the same disk.
///
/// Everything happens at once, on the task that asks, unless a sync is told to take its time: so what happens is a function of
/// who asks what in which order, and of the seeds of its crashes.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    segments: BTreeMap<SegmentNumber, Stored>,
    /// Counts those that were attached: an older one is of a process that is gone.
    attached: u64,
    held: bool,
    written: u64,
    dies_at: Option<u64>,
    room: Option<u64>,
    most_read: Option<usize>,
    broken: Option<&'static str>,
    sync_takes: Duration,
}

/// A segment as whoever reads sees it, and what of it is not synced.
#[derive(Clone, Debug, Default)]
struct Stored {
    bytes: Vec<u8>,
    /// What would be there if nothing that is not synced had been written.
    synced: Vec<u8>,
    /// Whether its name would be.
    named: bool,
    /// Stretches of `bytes` that are not.
    unsynced: Vec<(u64, u64)>,
}

/// One process's use of a [`MemoryDisk`]. Exclusive until it is dropped or the process dies.
#[derive(Debug)]
pub struct MemoryStorage {
    disk: MemoryDisk,
    attached: u64,
    /// Whether it is to be written on, and holds the disk.
    holds: bool,
}

impl MemoryDisk {
    /// Attaches a process that writes.
    ///
    /// # Errors
    ///
    /// [`LogError::Held`] while another is.
    pub fn attach(&self) -> Result<MemoryStorage, LogError> {
        let mut state = self.state();
        if state.held {
            return Err(LogError::Held { place: "memory".to_owned(), holder: None });
        }
        state.held = true;
        state.attached += 1;
        Ok(MemoryStorage { disk: self.clone(), attached: state.attached, holds: true })
    }

    /// Attaches one that reads only.
    pub fn attach_reader(&self) -> MemoryStorage {
        MemoryStorage { disk: self.clone(), attached: self.state().attached, holds: false }
    }

    /// The process that is attached dies now. What it wrote can be read, synced or not; what is not may still be lost if the
    /// power fails.
    pub fn kill(&self) {
        self.state().detach();
    }

    /// The power fails now. Of what was not synced, whole sectors are there or are not, as the seed has it.
    pub fn crash(&self, seed: u64) {
        let mut state = self.state();
        let mut dice = Dice(seed);
        state.segments.retain(|_, stored| {
            let survives = stored.named || dice.roll();
            stored.crash(&mut dice);
            survives
        });
        state.detach();
    }

    /// The process dies in the middle of the write that would be beyond this many bytes, all writes from now on counted.
    pub fn die_after(&self, bytes: u64) {
        let mut state = self.state();
        state.dies_at = Some(state.written.saturating_add(bytes));
    }

    /// Whether the process died, or was killed, or its disk crashed, since it was attached.
    pub fn is_dead(&self) -> bool {
        !self.state().held
    }

    /// Leaves room for this many more bytes; `None` for any number.
    pub fn leave_room(&self, bytes: Option<u64>) {
        let mut state = self.state();
        let used: u64 = state.segments.values().map(|stored| stored.bytes.len() as u64).sum();
        state.room = bytes.map(|bytes| used.saturating_add(bytes));
    }

    /// Every write fails from now on with this message, after it was half done; `None` for none.
    pub fn break_writes(&self, message: Option<&'static str>) {
        self.state().broken = message;
    }

    /// A read brings this many bytes at most.
    pub fn shorten_reads(&self, bytes: usize) {
        self.state().most_read = Some(bytes.max(1));
    }

    /// A sync takes this long, by tokio's clock. What is written and not yet synced is lost if the power fails meanwhile.
    pub fn delay_syncs(&self, delay: Duration) {
        self.state().sync_takes = delay;
    }

    /// Bytes that were ever written.
    pub fn written(&self) -> u64 {
        self.state().written
    }

    /// A segment's bytes as they are now. For those who want to damage them.
    pub fn bytes(&self, segment: SegmentNumber) -> Option<Vec<u8>> {
        self.state().segments.get(&segment).map(|stored| stored.bytes.clone())
    }

    /// Puts these bytes, synced, in the place of a segment; `None` removes it.
    pub fn replace(&self, segment: SegmentNumber, bytes: Option<Vec<u8>>) {
        let mut state = self.state();
        match bytes {
            Some(bytes) => {
                let stored = Stored { synced: bytes.clone(), bytes, named: true, unsynced: Vec::new() };
                state.segments.insert(segment, stored);
            }
            None => drop(state.segments.remove(&segment)),
        }
    }

    /// Another disk with the same bytes on it, all of them synced, that nobody is attached to.
    pub fn copy(&self) -> Self {
        let mut segments = self.state().segments.clone();
        for stored in segments.values_mut() {
            stored.sync();
        }
        Self(Arc::new(Mutex::new(State { segments, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn detach(&mut self) {
        self.held = false;
        self.dies_at = None;
        self.attached += 1;
    }

    /// How many of these bytes are written before the process dies or there is no room, and what then happens.
    fn allowed(&self, bytes: usize) -> (usize, Option<Fate>) {
        let whole = bytes as u64;
        let used: u64 = self.segments.values().map(|stored| stored.bytes.len() as u64).sum();
        let alive = self.dies_at.map_or(u64::MAX, |dies_at| dies_at.saturating_sub(self.written));
        let room = self.room.map_or(u64::MAX, |room| room.saturating_sub(used));
        let (fate, allowed) = if alive < whole && alive <= room {
            (Some(Fate::Dies), alive)
        } else if room < whole {
            (Some(Fate::Full), room)
        } else if let Some(message) = self.broken {
            (Some(Fate::Broken(message)), whole / 2)
        } else {
            (None, whole)
        };
        (usize::try_from(allowed).unwrap_or(bytes), fate)
    }
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Dies,
    Full,
    Broken(&'static str),
}

impl Stored {
    fn write(&mut self, offset: u64, bytes: &[u8]) {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.bytes.len());
        self.bytes.truncate(start);
        self.bytes.extend_from_slice(bytes);
        self.unsynced.push((start as u64, self.bytes.len() as u64));
    }

    fn sync(&mut self) {
        // What was synced before and not written since is the same; copying it each time would make a long log slow.
        let first = self.unsynced.iter().map(|(start, _)| usize::try_from(*start).unwrap_or(0)).min();
        let same = first.unwrap_or(0).min(self.synced.len()).min(self.bytes.len());
        self.synced.truncate(same);
        self.synced.extend_from_slice(self.bytes.get(same..).unwrap_or_default());
        self.named = true;
        self.unsynced.clear();
    }

    fn crash(&mut self, dice: &mut Dice) {
        let mut left = std::mem::take(&mut self.synced);
        for (start, end) in std::mem::take(&mut self.unsynced) {
            let mut from = start;
            while from < end {
                let to = ((from / SECTOR + 1) * SECTOR).min(end);
                if dice.roll() {
                    let (from, to) = (usize::try_from(from).unwrap_or(0), usize::try_from(to).unwrap_or(0));
                    if left.len() < to {
                        left.resize(to, 0);
                    }
                    if let (Some(into), Some(of)) = (left.get_mut(from..to), self.bytes.get(from..to)) {
                        into.copy_from_slice(of);
                    }
                }
                from = to;
            }
        }
        self.bytes = left;
        self.sync();
    }
}

/// A coin that is thrown in the same way for the same seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) & 1 == 1
    }
}

impl MemoryStorage {
    /// The disk, if this process still lives.
    fn living(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if self.holds && state.attached != self.attached {
            return Err(io::Error::other("this process is dead"));
        }
        Ok(state)
    }

    fn write(&self, segment: SegmentNumber, offset: u64, bytes: &[u8]) -> io::Result<Duration> {
        let mut state = self.living()?;
        let (allowed, fate) = state.allowed(bytes.len());
        state.written += allowed as u64;
        let written = bytes.get(..allowed).unwrap_or(bytes);
        state.segments.entry(segment).or_default().write(offset, written);
        match fate {
            None => Ok(state.sync_takes),
            Some(Fate::Dies) => {
                state.detach();
                Err(io::Error::other("the process died while it wrote"))
            }
            Some(Fate::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fate::Broken(message)) => Err(io::Error::other(message)),
        }
    }

    async fn sync(&self, segment: SegmentNumber, takes: Duration) -> io::Result<()> {
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        let mut state = self.living()?;
        if let Some(stored) = state.segments.get_mut(&segment) {
            stored.sync();
        }
        Ok(())
    }
}

#[async_trait]
impl ReadSegments for MemoryStorage {
    async fn list(&self) -> io::Result<Vec<Segment>> {
        let state = self.living()?;
        let segments = state.segments.iter();
        Ok(segments.map(|(&number, stored)| Segment { number, bytes: stored.bytes.len() as u64 }).collect())
    }

    async fn read(&self, segment: SegmentNumber, offset: u64, max: usize) -> io::Result<Vec<u8>> {
        let state = self.living()?;
        let stored = state.segments.get(&segment).ok_or(io::ErrorKind::NotFound)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(stored.bytes.len());
        let max = max.min(state.most_read.unwrap_or(usize::MAX));
        Ok(stored.bytes.iter().skip(start).take(max).copied().collect())
    }

    fn path(&self, segment: SegmentNumber) -> String {
        format!("memory/{segment}")
    }
}

#[async_trait]
impl WriteSegments for MemoryStorage {
    async fn create(&self, segment: SegmentNumber, bytes: Vec<u8>) -> io::Result<()> {
        self.living()?.segments.remove(&segment);
        match self.write(segment, 0, &bytes) {
            Ok(takes) => self.sync(segment, takes).await,
            Err(error) => {
                if error.kind() == io::ErrorKind::StorageFull {
                    self.living()?.segments.remove(&segment);
                }
                Err(error)
            }
        }
    }

    async fn append(&self, segment: SegmentNumber, offset: u64, bytes: Vec<u8>) -> io::Result<()> {
        let takes = self.write(segment, offset, &bytes)?;
        self.sync(segment, takes).await
    }

    async fn cut(&self, segment: SegmentNumber, bytes: u64) -> io::Result<()> {
        let mut state = self.living()?;
        let stored = state.segments.get_mut(&segment).ok_or(io::ErrorKind::NotFound)?;
        stored.bytes.truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
        stored.sync();
        Ok(())
    }
}

impl Drop for MemoryStorage {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if self.holds && state.attached == self.attached {
            state.held = false;
        }
    }
}
