//! Who is next, in turns: tenants first, then the sessions of a tenant, so that nobody waits behind somebody's thousand.

use std::collections::{BTreeMap, VecDeque};

/// Queues that are served one after the other.
#[derive(Debug)]
pub(super) struct Turns<K, Q> {
    // Invariant: the same keys in both, each once, none with an empty queue.
    order: VecDeque<K>,
    queues: BTreeMap<K, Q>,
}

impl<K, Q> Default for Turns<K, Q> {
    fn default() -> Self {
        Self { order: VecDeque::new(), queues: BTreeMap::new() }
    }
}

/// Something that runs empty.
pub(super) trait Queue {
    fn is_empty(&self) -> bool;
}

impl<T> Queue for VecDeque<T> {
    fn is_empty(&self) -> bool {
        VecDeque::is_empty(self)
    }
}

impl<K: Clone + Ord, Q> Queue for Turns<K, Q> {
    fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

impl<K: Clone + Ord, Q: Default + Queue> Turns<K, Q> {
    /// Puts something into the queue of `key`. A queue that is new comes last.
    pub(super) fn put(&mut self, key: &K, put: impl FnOnce(&mut Q)) {
        if !self.queues.contains_key(key) {
            self.order.push_back(key.clone());
        }
        put(self.queues.entry(key.clone()).or_default());
    }

    /// Takes from the first queue that has what is asked for; that one comes last then.
    pub(super) fn take<T>(&mut self, mut take: impl FnMut(&mut Q) -> Option<T>) -> Option<T> {
        for place in 0..self.order.len() {
            let Some(queue) = self.order.get(place).and_then(|key| self.queues.get_mut(key)) else {
                continue;
            };
            let Some(taken) = take(queue) else { continue };
            if let Some(key) = self.order.remove(place) {
                if queue.is_empty() {
                    self.queues.remove(&key);
                } else {
                    self.order.push_back(key);
                }
            }
            return Some(taken);
        }
        None
    }

    /// Takes from the queue of `key`, whose turn stays where it is.
    pub(super) fn take_of<T>(&mut self, key: &K, take: impl FnOnce(&mut Q) -> Option<T>) -> Option<T> {
        let queue = self.queues.get_mut(key)?;
        let taken = take(queue);
        if queue.is_empty() {
            self.queues.remove(key);
            self.order.retain(|known| known != key);
        }
        taken
    }

    /// Looks through all of them, and forgets those that have run empty.
    pub(super) fn each(&mut self, mut each: impl FnMut(&mut Q)) {
        self.queues.values_mut().for_each(&mut each);
        self.queues.retain(|_, queue| !queue.is_empty());
        let queues = &self.queues;
        self.order.retain(|key| queues.contains_key(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(turns: &mut Turns<&'static str, VecDeque<u32>>) -> Vec<u32> {
        std::iter::from_fn(|| turns.take(VecDeque::pop_front)).collect()
    }

    #[test]
    fn whoever_has_much_waits_after_each() {
        let mut turns = Turns::default();
        for number in 0..4 {
            turns.put(&"much", |queue: &mut VecDeque<u32>| queue.push_back(number));
        }
        turns.put(&"little", |queue| queue.push_back(10));
        turns.put(&"some", |queue| queue.extend([20, 21]));
        assert_eq!(taken(&mut turns), [0, 10, 20, 1, 21, 2, 3]);
        assert!(turns.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_passed_over_and_keeps_its_turn() {
        let mut turns = Turns::default();
        for (key, number) in [("a", 1), ("b", 2), ("a", 3)] {
            turns.put(&key, |queue: &mut VecDeque<u32>| queue.push_back(number));
        }
        assert_eq!(turns.take(|queue| queue.pop_front_if(|number| *number == 2)), Some(2));
        assert_eq!(turns.take_of(&"a", |queue| queue.pop_back()), Some(3));
        assert_eq!(taken(&mut turns), [1]);
    }
}
