//! What was prepared for one order and is kept for the next that needs the same.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// The newest of what was made, at most so many.
#[derive(Debug)]
pub(super) struct Kept<T> {
    max: usize,
    made: Mutex<Made<T>>,
}

#[derive(Debug)]
struct Made<T> {
    by_key: BTreeMap<String, T>,
    oldest_first: VecDeque<String>,
}

impl<T: Clone> Kept<T> {
    pub(super) fn new(max: usize) -> Self {
        let made = Made { by_key: BTreeMap::new(), oldest_first: VecDeque::new() };
        Self { max: max.max(1), made: Mutex::new(made) }
    }

    /// What belongs to `key`, made only if it is not there.
    pub(super) fn take<E>(&self, key: &str, make: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        if let Some(found) = self.lock().by_key.get(key) {
            return Ok(found.clone());
        }
        // Not under the lock: it may take long, or panic.
        let new = make()?;
        let mut made = self.lock();
        if made.by_key.insert(key.to_owned(), new.clone()).is_none() {
            made.oldest_first.push_back(key.to_owned());
        }
        if made.oldest_first.len() > self.max
            && let Some(oldest) = made.oldest_first.pop_front()
        {
            made.by_key.remove(&oldest);
        }
        Ok(new)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Made<T>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first_and_errors_are_not_kept() {
        let kept = Kept::new(2);
        let make = |text: &'static str| move || Ok::<_, ()>(text);
        assert_eq!(kept.take("a", make("1")), Ok("1"));
        assert_eq!(kept.take("a", make("2")), Ok("1"));
        assert_eq!(kept.take("b", || Err(())), Err(()));
        kept.take("b", make("3")).unwrap();
        kept.take("c", make("4")).unwrap();
        assert_eq!(kept.take("b", make("5")), Ok("3"));
        assert_eq!(kept.take("a", make("6")), Ok("6"));
    }
}
