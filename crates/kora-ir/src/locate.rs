//! From offsets to JSON pointers and back, by walking the document again. Only refused graphs pay for it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::Span;
use crate::pointer::push_token;
use crate::read::{Json, Kind, Read};
use crate::report::At;

/// The places to look for.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    offsets: BTreeSet<usize>,
    pointers: BTreeSet<String>,
}

impl Wanted {
    pub(crate) fn add(&mut self, at: &At) {
        match at {
            At::Offset(offset) | At::Within(offset, _) => self.offsets.insert(*offset),
            At::Pointer(pointer) => self.pointers.insert(pointer.clone()),
        };
    }
}

/// The places found.
#[derive(Debug)]
pub(crate) struct Places {
    pointers: BTreeMap<usize, String>,
    spans: BTreeMap<String, Span>,
    spans_at: BTreeMap<usize, Span>,
}

impl Places {
    /// Pointer and span of a place.
    pub(crate) fn of(&self, at: &At) -> (String, Option<Span>) {
        match at {
            At::Offset(offset) | At::Within(offset, _) => {
                (self.pointers.get(offset).cloned().unwrap_or_default(), self.spans_at.get(offset).copied())
            }
            At::Pointer(pointer) => {
                // What is missing has no place: the nearest thing that holds it does.
                let mut near = pointer.as_str();
                while !self.spans.contains_key(near) {
                    match near.rfind('/') {
                        Some(cut) => near = &near[..cut],
                        None => break,
                    }
                }
                (pointer.clone(), self.spans.get(near).copied())
            }
        }
    }
}

/// Finds every wanted place in one walk.
pub(crate) fn locate(source: &str, wanted: &Wanted) -> Places {
    let mut walk = Walk {
        json: Json::new(source),
        wanted,
        path: String::new(),
        lengths: BTreeMap::new(),
        pointers: BTreeMap::new(),
        starts: BTreeMap::new(),
    };
    // A document that breaks off was walked as far as it was read, and everything wanted lies before that.
    if walk.document().is_err() {
        let path = std::mem::take(&mut walk.path);
        for &offset in &wanted.offsets {
            walk.pointers.entry(offset).or_insert_with(|| path.clone());
        }
    }
    let Walk { lengths, pointers, starts, .. } = walk;
    let mut offsets: BTreeSet<usize> = wanted.offsets.clone();
    offsets.extend(starts.values().copied());
    let spans_at = spans(source, &offsets, &lengths);
    let spans =
        starts.into_iter().filter_map(|(pointer, offset)| Some((pointer, *spans_at.get(&offset)?))).collect();
    Places { pointers, spans, spans_at }
}

struct Walk<'a> {
    json: Json<'a>,
    wanted: &'a Wanted,
    path: String,
    lengths: BTreeMap<usize, usize>,
    pointers: BTreeMap<usize, String>,
    starts: BTreeMap<String, usize>,
}

/// What the walk is inside of, and how long the path was before it.
enum Level {
    Array { index: usize, path: usize },
    Object { path: usize },
}

impl Walk<'_> {
    /// Walks without recursion: a document may be nested deeper than any stack.
    fn document(&mut self) -> Read<()> {
        let mut levels: Vec<Level> = Vec::new();
        let mut enter = true;
        loop {
            if enter {
                let kind = self.json.peek()?;
                let offset = self.json.offset();
                self.note(offset);
                match kind {
                    Kind::Array => {
                        let path = self.path.len();
                        enter = self.json.enter_array()?;
                        if enter {
                            push_token(&mut self.path, "0");
                            levels.push(Level::Array { index: 0, path });
                        }
                    }
                    Kind::Object => {
                        let path = self.path.len();
                        match self.json.enter_object()? {
                            Some(key) => {
                                self.key(&key.text, key.offset);
                                levels.push(Level::Object { path });
                            }
                            None => enter = false,
                        }
                    }
                    Kind::Null | Kind::Bool | Kind::Number | Kind::String => {
                        self.json.skip()?;
                        self.lengths
                            .extend(self.wanted_here(offset).then(|| (offset, self.json.offset() - offset)));
                        enter = false;
                    }
                }
                continue;
            }
            match levels.last_mut() {
                None => return self.json.finish(),
                Some(Level::Array { index, path }) => {
                    self.path.truncate(*path);
                    enter = self.json.next_element()?;
                    if enter {
                        *index += 1;
                        push_token(&mut self.path, &index.to_string());
                    } else {
                        levels.pop();
                    }
                }
                Some(Level::Object { path }) => {
                    self.path.truncate(*path);
                    match self.json.next_key()? {
                        Some(key) => {
                            self.key(&key.text, key.offset);
                            enter = true;
                        }
                        None => {
                            levels.pop();
                        }
                    }
                }
            }
        }
    }

    fn key(&mut self, text: &str, offset: usize) {
        push_token(&mut self.path, text);
        if self.wanted.offsets.contains(&offset) {
            self.pointers.insert(offset, self.path.clone());
            let end = self.json.offset();
            let written = self.json.text_from(offset).trim_end_matches(':').trim_end();
            self.lengths.insert(offset, written.len().min(end - offset));
        }
    }

    fn note(&mut self, offset: usize) {
        if self.wanted.offsets.contains(&offset) {
            self.pointers.insert(offset, self.path.clone());
        }
        if self.wanted.pointers.contains(&self.path) || self.is_above_a_wanted_pointer() {
            self.starts.entry(self.path.clone()).or_insert(offset);
        }
    }

    fn is_above_a_wanted_pointer(&self) -> bool {
        let after = self
            .wanted
            .pointers
            .range::<str, _>((Bound::Included(self.path.as_str()), Bound::Unbounded))
            .next();
        after.is_some_and(|pointer| pointer.starts_with(&self.path))
    }

    fn wanted_here(&self, offset: usize) -> bool {
        self.wanted.offsets.contains(&offset) || self.starts.get(&self.path) == Some(&offset)
    }
}

/// Lines and columns of ascending offsets, in one pass. Containers are marked by their first byte only.
fn spans(source: &str, offsets: &BTreeSet<usize>, lengths: &BTreeMap<usize, usize>) -> BTreeMap<usize, Span> {
    let mut spans = BTreeMap::new();
    // `seen` bytes were counted so far, into lines and into characters of the last one.
    let (mut line, mut column, mut seen) = (1, 1, 0);
    for &offset in offsets {
        let start = floor_char_boundary(source, offset.min(source.len()));
        let passed = source.get(seen..start).unwrap_or_default();
        match passed.rfind('\n') {
            Some(at) => {
                line += passed.bytes().filter(|&byte| byte == b'\n').count();
                column = passed[at + 1..].chars().count() + 1;
            }
            None => column += passed.chars().count(),
        }
        seen = start;
        let length = lengths.get(&offset).copied().unwrap_or(usize::from(start < source.len()));
        spans.insert(offset, Span { offset: start, length, line, column });
    }
    spans
}

fn floor_char_boundary(source: &str, mut at: usize) -> usize {
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}
