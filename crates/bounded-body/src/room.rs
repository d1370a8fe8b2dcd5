//! The room for the bodies of all requests under way.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use hyper::header::EXPECT;
use hyper::http::request::Parts;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time;

/// How long a body that nobody wants may take.
const UNWANTED: Duration = Duration::from_millis(500);
/// Bytes that are counted as one.
const UNIT: usize = 1 << 10;

/// Bounds on bodies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of choices, written as a literal")]
pub struct BodyLimits {
    /// Bytes of one body.
    pub max_bytes: usize,
    /// For a body to arrive.
    pub timeout: Duration,
    /// Bytes of all bodies under way, one longest body at least. One without a declared length counts as the longest.
    pub max_pending_bytes: usize,
}

/// The room for all bodies together.
#[derive(Debug)]
pub struct Room {
    limits: BodyLimits,
    units: Arc<Semaphore>,
}

/// A body, and its part of the room for as long as it is held.
#[derive(Debug)]
pub struct Held {
    /// The body.
    pub bytes: Vec<u8>,
    _units: OwnedSemaphorePermit,
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "each has a status of its own")]
pub enum BodyError {
    /// It is longer than allowed, or says that it will be. What is left of it was not read.
    #[error("the body has more than {max} bytes")]
    TooLarge {
        /// Bytes allowed.
        max: usize,
    },
    /// It did not arrive in time.
    #[error("the body did not arrive within {seconds} s")]
    TooSlow {
        /// Seconds allowed.
        seconds: u64,
    },
    /// Whoever sent it broke off, or framed it as no HTTP.
    #[error("the body broke off or is not framed as HTTP says")]
    Broken,
    /// Others fill the room.
    #[error("the requests under way are as long together as is allowed")]
    NoRoom,
}

impl Room {
    /// An empty room.
    pub fn new(limits: BodyLimits) -> Self {
        let units = units(limits.max_pending_bytes).max(units(limits.max_bytes));
        Self { limits, units: Arc::new(Semaphore::new((units as usize).min(Semaphore::MAX_PERMITS))) }
    }

    /// Reads a body to its end.
    ///
    /// # Errors
    ///
    /// [`BodyError`]. One that declares to be too long is refused before any of it is read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future frees its part of the room; what was read of the body is gone.
    pub async fn read<B: Body<Data = Bytes> + Unpin>(&self, body: &mut B) -> Result<Held, BodyError> {
        let max = self.limits.max_bytes;
        let too_large = BodyError::TooLarge { max };
        let declared = body.size_hint().exact().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        if declared.is_some_and(|length| length > max) {
            return Err(too_large);
        }
        let units = Arc::clone(&self.units).try_acquire_many_owned(units(declared.unwrap_or(max)));
        let units = units.map_err(|_| BodyError::NoRoom)?;
        let mut bytes = Vec::new();
        let whole = time::timeout(self.limits.timeout, async {
            while let Some(frame) = body.frame().await {
                // Trailers say nothing that is asked for.
                let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
                if bytes.len() + data.len() > max {
                    return Err(too_large);
                }
                bytes.extend_from_slice(&data);
            }
            Ok(())
        });
        whole.await.map_err(|_| BodyError::TooSlow { seconds: self.limits.timeout.as_secs() })??;
        Ok(Held { bytes, _units: units })
    }

    /// Reads what is left of a body that is not wanted, for half a second at most: a caller that is still writing would
    /// not read the answer. One that asked whether to send it is not made to.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any time.
    pub async fn pass_over<B: Body<Data = Bytes> + Unpin>(&self, head: &Parts, mut body: B) {
        if head.headers.contains_key(EXPECT) {
            return;
        }
        let _ = time::timeout(UNWANTED, async {
            let mut passed = 0;
            while let Some(Ok(frame)) = body.frame().await {
                passed += frame.data_ref().map_or(0, Bytes::len);
                if passed > self.limits.max_bytes {
                    break;
                }
            }
        })
        .await;
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body_util::Full;
    use hyper::body::Frame;

    use super::*;

    const LIMITS: BodyLimits =
        BodyLimits { max_bytes: 4096, timeout: Duration::from_secs(60), max_pending_bytes: 6144 };

    /// Parts that come at once, then silence or the end; its length is not declared.
    struct Parted(Vec<Bytes>, bool);

    impl Body for Parted {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.0.pop() {
                Some(part) => Poll::Ready(Some(Ok(Frame::data(part)))),
                None if self.1 => Poll::Ready(None),
                None => Poll::Pending,
            }
        }
    }

    fn full(bytes: usize) -> Full<Bytes> {
        Full::new(Bytes::from(vec![b'x'; bytes]))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_read_within_its_bounds_and_no_further() {
        let room = Room::new(LIMITS);
        assert_eq!(room.read(&mut full(4096)).await.unwrap().bytes.len(), 4096);
        let too_large = BodyError::TooLarge { max: 4096 };
        assert_eq!(room.read(&mut full(4097)).await.unwrap_err(), too_large);
        let part = Bytes::from(vec![b'x'; 2049]);
        let mut undeclared = Parted(vec![part.clone(), part.clone(), part.clone()], true);
        assert_eq!(room.read(&mut undeclared).await.unwrap_err(), too_large);
        assert_eq!(undeclared.0.len(), 1, "the third part was not asked for");
        let mut silent = Parted(vec![part], false);
        assert_eq!(room.read(&mut silent).await.unwrap_err(), BodyError::TooSlow { seconds: 60 });
    }

    #[tokio::test]
    async fn all_bodies_together_have_a_room() {
        let room = Room::new(LIMITS);
        let first = room.read(&mut full(4096)).await.unwrap();
        let second = room.read(&mut full(2048)).await.unwrap();
        assert_eq!(room.read(&mut full(1)).await.unwrap_err(), BodyError::NoRoom);
        drop(first);
        assert!(room.read(&mut full(4000)).await.is_ok());
        // Its length is not known, so it could be the longest.
        assert!(room.read(&mut Parted(Vec::new(), true)).await.is_ok());
        let third = room.read(&mut full(1)).await.unwrap();
        assert_eq!(room.read(&mut Parted(Vec::new(), true)).await.unwrap_err(), BodyError::NoRoom);
        drop((second, third));
    }
}
