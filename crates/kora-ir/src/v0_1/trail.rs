//! From places in a mapped document back to places in the document that KORA wrote.

use std::collections::BTreeMap;

/// For prefixes of pointers into the new document, the pointer into the old one.
#[derive(Debug, Default)]
pub(crate) struct Trail(BTreeMap<String, String>);

impl Trail {
    pub(super) fn add(&mut self, new: impl Into<String>, old: impl Into<String>) {
        self.0.insert(new.into(), old.into());
    }

    /// The place in the old document: by the longest known prefix.
    pub(crate) fn back(&self, pointer: &str) -> String {
        let mut known = pointer;
        loop {
            if let Some(old) = self.0.get(known) {
                return format!("{old}{}", &pointer[known.len()..]);
            }
            match known.rfind('/') {
                Some(cut) => known = &known[..cut],
                // What has the same name in both.
                None => return pointer.to_owned(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_known_prefix_leads_back() {
        let mut trail = Trail::default();
        trail.add("/tasks/0/dependencies", "/tasks/0/deps");
        trail.add("/tasks/0/dependencies/1", "/tasks/0/deps/2");
        assert_eq!(trail.back("/tasks/0/dependencies/0"), "/tasks/0/deps/0");
        assert_eq!(trail.back("/tasks/0/dependencies/1"), "/tasks/0/deps/2");
        assert_eq!(trail.back("/tasks/0/id"), "/tasks/0/id");
    }
}
