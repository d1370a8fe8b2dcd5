//! How large a log and what waits for it may become.

/// Bounds of an event log.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "whoever opens a log says every bound")]
pub struct LogLimits {
    /// Bytes after which a segment is full and the next record begins another. A segment is longer by one write at most.
    pub segment_bytes: u64,
    /// Bytes of one record. A submission, or the events of one fact, that are longer are refused.
    pub max_record_bytes: usize,
    /// Bytes after which a write takes no more records in.
    pub max_write_bytes: usize,
    /// Records that wait for the next write. Whoever comes after them waits to wait.
    pub max_waiting: usize,
    /// Bytes of records that wait for the next write or are being written, beyond which whoever comes waits to wait.
    pub max_waiting_bytes: usize,
    /// Bytes of the whole log beyond which no submission is taken. The events of sessions that were taken still are.
    pub max_log_bytes: u64,
    /// Bytes of records that one page of events is read from, the first batch of a page aside.
    pub max_page_bytes: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            max_record_bytes: 256 << 20,
            max_write_bytes: 4 << 20,
            max_waiting: 1024,
            max_waiting_bytes: 512 << 20,
            max_log_bytes: 64 << 30,
            max_page_bytes: 1 << 20,
        }
    }
}
