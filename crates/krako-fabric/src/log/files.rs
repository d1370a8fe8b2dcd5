//! A log in a directory: a file for each segment, and a lock that ends with its process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use fs4::{FileExt, TryLockError};

use super::{LogError, ReadSegments, Segment, SegmentNumber, WriteSegments};

/// The file that is locked. It stays: were it removed, one process could hold what is gone and another what is new.
const LOCK: &str = "LOCK";

/// A directory whose log is read, and not locked.
#[derive(Clone, Debug)]
pub struct FileReader {
    directory: Arc<Path>,
}

/// A directory whose log is written by this process alone, until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct FileStorage {
    reader: FileReader,
    writing: Arc<Writing>,
}

/// What a write needs until it is over, though nobody may wait for it any more: while one goes on, nobody else may begin.
#[derive(Debug)]
struct Writing {
    // Between two calls it holds the segment that was written last.
    last: Mutex<Option<(SegmentNumber, File)>>,
    lock: File,
}

impl FileReader {
    /// The log in this directory, or an empty one if there is no such directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into().into() }
    }

    fn file(&self, segment: SegmentNumber) -> PathBuf {
        self.directory.join(segment.to_string())
    }
}

impl FileStorage {
    /// Makes the directory if there is none, readable by this user only, and locks it.
    ///
    /// # Errors
    ///
    /// [`LogError::Held`] with the process that holds it, or [`LogError::Storage`].
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, LogError> {
        let reader = FileReader::new(directory);
        let directory = &reader.directory;
        let failed = |doing, file: &Path| {
            let file = file.display().to_string();
            move |source| LogError::Storage { doing, file, source }
        };
        make_directory(directory).map_err(failed("making the directory", directory))?;
        let path = directory.join(LOCK);
        let lock = ours().read(true).write(true).create(true).truncate(false).open(&path);
        let mut lock = lock.map_err(failed("opening the lock", &path))?;
        match FileExt::try_lock(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let read = lock.take(32).read_to_string(&mut holder);
                let holder = read.ok().and_then(|_| holder.trim().parse().ok());
                return Err(LogError::Held { place: directory.display().to_string(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(failed("locking", &path)(source)),
        }
        // For whoever is refused; a lock that does not say whose it is still locks.
        let _ = lock.set_len(0).and_then(|()| lock.rewind());
        let _ = write!(lock, "{}", std::process::id());
        Ok(Self { reader, writing: Arc::new(Writing { last: Mutex::new(None), lock }) })
    }

    /// Does something with a segment's file on a thread that may wait.
    async fn on<T: Send + 'static>(
        &self,
        segment: SegmentNumber,
        work: impl FnOnce(&mut File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (writing, path) = (Arc::clone(&self.writing), self.reader.file(segment));
        blocking(move || {
            let mut last = writing.last.lock().unwrap_or_else(PoisonError::into_inner);
            let file = match last.take() {
                Some((number, file)) if number == segment => file,
                Some(_) | None => ours().write(true).open(path)?,
            };
            let (_, file) = last.insert((segment, file));
            work(file)
        })
        .await
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let _ = self.lock.set_len(0);
        let _ = FileExt::unlock(&self.lock);
    }
}

/// Does something that waits for a disk. It goes on to its end even if nobody waits for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|ended| Err(io::Error::other(ended)))
}

/// Files that hold what callers submitted are for this user only (I9).
fn ours() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn make_directory(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Makes the names in a directory durable.
fn sync_names(directory: &Path) -> io::Result<()> {
    // Elsewhere a directory cannot be opened as a file, and names are as durable as its file system makes them.
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

fn list(directory: &Path) -> io::Result<Vec<Segment>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut segments = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Some(number) = entry.file_name().to_str().and_then(SegmentNumber::from_file_name) {
            segments.push(Segment { number, bytes: entry.metadata()?.len() });
        }
    }
    segments.sort_by_key(|segment| segment.number);
    Ok(segments)
}

/// A segment appears under its name only with its header, so that there never is a half of one.
fn create(directory: &Path, path: &Path, bytes: &[u8]) -> io::Result<File> {
    let unnamed = path.with_extension("new");
    let made = ours().write(true).create(true).truncate(true).open(&unnamed).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unnamed, path)?;
        Ok(file)
    });
    if made.is_err() {
        let _ = fs::remove_file(&unnamed);
    }
    let file = made?;
    // If this fails the name may be there after a crash or not: no lack of room, then, whatever it says.
    sync_names(directory).map_err(io::Error::other)?;
    Ok(file)
}

#[async_trait]
impl ReadSegments for FileReader {
    async fn list(&self) -> io::Result<Vec<Segment>> {
        let directory = Arc::clone(&self.directory);
        blocking(move || list(&directory)).await
    }

    async fn read(&self, segment: SegmentNumber, offset: u64, max: usize) -> io::Result<Vec<u8>> {
        let path = self.file(segment);
        blocking(move || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = Vec::new();
            file.take(max as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        })
        .await
    }

    fn path(&self, segment: SegmentNumber) -> String {
        self.file(segment).display().to_string()
    }
}

#[async_trait]
impl ReadSegments for FileStorage {
    async fn list(&self) -> io::Result<Vec<Segment>> {
        self.reader.list().await
    }

    async fn read(&self, segment: SegmentNumber, offset: u64, max: usize) -> io::Result<Vec<u8>> {
        self.reader.read(segment, offset, max).await
    }

    fn path(&self, segment: SegmentNumber) -> String {
        self.reader.path(segment)
    }
}

#[async_trait]
impl WriteSegments for FileStorage {
    async fn create(&self, segment: SegmentNumber, bytes: Vec<u8>) -> io::Result<()> {
        let (writing, directory) = (Arc::clone(&self.writing), Arc::clone(&self.reader.directory));
        let path = self.reader.file(segment);
        blocking(move || {
            let file = create(&directory, &path, &bytes)?;
            *writing.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((segment, file));
            Ok(())
        })
        .await
    }

    async fn append(&self, segment: SegmentNumber, offset: u64, bytes: Vec<u8>) -> io::Result<()> {
        self.on(segment, move |file| {
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(&bytes)?;
            file.sync_data()
        })
        .await
    }

    async fn cut(&self, segment: SegmentNumber, bytes: u64) -> io::Result<()> {
        self.on(segment, move |file| {
            file.set_len(bytes)?;
            file.sync_all()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_is_what_is_read_and_nothing_else_is_a_segment() {
        let directory = tempfile::tempdir().unwrap();
        let (first, second) = (SegmentNumber::FIRST, SegmentNumber::new(2).unwrap());
        assert!(FileReader::new(directory.path().join("none")).list().await.unwrap().is_empty());
        let storage = FileStorage::open(directory.path().join("log")).unwrap();
        storage.create(first, b"header".to_vec()).await.unwrap();
        storage.append(first, 6, b" and more".to_vec()).await.unwrap();
        storage.create(second, b"other".to_vec()).await.unwrap();
        storage.cut(first, 10).await.unwrap();
        fs::write(directory.path().join("log/00000003.new"), "left behind").unwrap();
        fs::write(directory.path().join("log/notes.txt"), "not ours").unwrap();
        let reader = FileReader::new(directory.path().join("log"));
        assert_eq!(
            reader.list().await.unwrap(),
            [Segment { number: first, bytes: 10 }, Segment { number: second, bytes: 5 }]
        );
        assert_eq!(reader.read(first, 0, 100).await.unwrap(), b"header and");
        assert_eq!(storage.read(first, 7, 2).await.unwrap(), b"an");
        assert!(storage.read(first, 99, 2).await.unwrap().is_empty());
    }

    #[test]
    fn who_comes_second_is_told_who_was_first() {
        let directory = tempfile::tempdir().unwrap();
        let first = FileStorage::open(directory.path()).unwrap();
        let second = FileStorage::open(directory.path()).unwrap_err();
        let LogError::Held { holder, .. } = &second else { panic!("{second}") };
        assert_eq!(*holder, Some(std::process::id()));
        drop(first);
        FileStorage::open(directory.path()).unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn nobody_else_may_read_what_was_submitted() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let storage = FileStorage::open(&path).unwrap();
        storage.create(SegmentNumber::FIRST, vec![0]).await.unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join("00000001.kfl"))), (0o700, 0o600));
    }
}
