//! A pull reader over JSON text that knows where it stands: the tokens are `jiter`'s, the positions are ours.

use std::borrow::Cow;

use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, Peek};

/// The six kinds of JSON value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    /// With its article, for messages.
    pub(crate) fn described(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// Text that is not JSON, or is nested beyond what can be read safely: reading cannot go on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Broken {
    pub(crate) offset: usize,
    pub(crate) message: String,
    pub(crate) why: Why,
}

/// Why reading cannot go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    /// This is not JSON.
    Syntax,
    /// Arrays and objects within each other beyond what can be read safely.
    TooDeep,
    /// A number of thousands of digits.
    TooLong,
}

pub(crate) type Read<T> = Result<T, Broken>;

/// A key of an object and where it stands.
pub(crate) struct Key<'s> {
    pub(crate) text: Cow<'s, str>,
    pub(crate) offset: usize,
}

/// Reads `source` token by token. Nothing here recurses without the bound that the caller or `jiter` sets.
#[derive(Clone, Debug)]
pub(crate) struct Json<'s> {
    source: &'s str,
    jiter: Jiter<'s>,
    peeked: Option<Peek>,
}

impl<'s> Json<'s> {
    pub(crate) fn new(source: &'s str) -> Self {
        Self { source, jiter: Jiter::new(source.as_bytes()), peeked: None }
    }

    /// The kind of the value that comes next. After it, [`Json::offset`] is the value's first byte.
    pub(crate) fn peek(&mut self) -> Read<Kind> {
        let peek = match self.peeked {
            Some(peek) => peek,
            None => self.jiter.peek().map_err(|error| broken(&error))?,
        };
        self.peeked = Some(peek);
        Ok(match peek {
            Peek::Null => Kind::Null,
            Peek::True | Peek::False => Kind::Bool,
            Peek::String => Kind::String,
            Peek::Array => Kind::Array,
            Peek::Object => Kind::Object,
            other if other.is_num() => Kind::Number,
            other => {
                let found = char::from(other.into_inner());
                return Err(Broken {
                    offset: self.offset(),
                    message: if found.is_ascii_graphic() {
                        format!("expected a value, found `{found}`")
                    } else {
                        String::from("expected a value")
                    },
                    why: Why::Syntax,
                });
            }
        })
    }

    /// Bytes before the reader's place.
    pub(crate) fn offset(&self) -> usize {
        self.jiter.current_index()
    }

    /// Bytes of the whole text.
    pub(crate) fn len(&self) -> usize {
        self.source.len()
    }

    /// The text from `start` to the reader's place.
    pub(crate) fn text_from(&self, start: usize) -> &'s str {
        self.source.get(start..self.jiter.current_index()).unwrap_or_default()
    }

    /// A string, borrowed if nothing in it is escaped.
    pub(crate) fn string(&mut self) -> Read<Cow<'s, str>> {
        self.take();
        let source = self.source;
        let text = self.jiter.known_str().map_err(|error| broken(&error))?;
        Ok(match place_in(source, text) {
            Some(place) => Cow::Borrowed(&source[place..place + text.len()]),
            None => Cow::Owned(text.to_owned()),
        })
    }

    /// A number, as written.
    pub(crate) fn number(&mut self) -> Read<&'s str> {
        let peek = self.take();
        let start = self.offset();
        self.jiter.known_number_bytes(peek).map_err(|error| broken(&error))?;
        Ok(self.text_from(start))
    }

    pub(crate) fn bool(&mut self) -> Read<bool> {
        let peek = self.take();
        self.jiter.known_bool(peek).map_err(|error| broken(&error))
    }

    pub(crate) fn null(&mut self) -> Read<()> {
        self.take();
        self.jiter.known_null().map_err(|error| broken(&error))
    }

    /// Passes over a value of any kind, of at most `jiter`'s 200 levels.
    pub(crate) fn skip(&mut self) -> Read<()> {
        let peek = self.take();
        self.jiter.known_skip(peek).map_err(|error| broken(&error))
    }

    /// The same for a value that was not looked at yet.
    pub(crate) fn skip_next(&mut self) -> Read<()> {
        self.peek()?;
        self.skip()
    }

    /// Enters an array; whether it has a first element.
    pub(crate) fn enter_array(&mut self) -> Read<bool> {
        self.take();
        self.peeked = self.jiter.known_array().map_err(|error| broken(&error))?;
        Ok(self.peeked.is_some())
    }

    /// Goes to the next element; whether there is one.
    pub(crate) fn next_element(&mut self) -> Read<bool> {
        self.peeked = self.jiter.array_step().map_err(|error| broken(&error))?;
        Ok(self.peeked.is_some())
    }

    /// Enters an object and reads its first key.
    pub(crate) fn enter_object(&mut self) -> Read<Option<Key<'s>>> {
        self.take();
        let source = self.source;
        let (text, place) = match self.jiter.known_object().map_err(|error| broken(&error))? {
            None => return Ok(None),
            Some(text) => keep(source, text),
        };
        Ok(Some(self.key(text, place)))
    }

    /// Reads the next key of the object that the reader is in.
    pub(crate) fn next_key(&mut self) -> Read<Option<Key<'s>>> {
        let source = self.source;
        let (text, place) = match self.jiter.next_key().map_err(|error| broken(&error))? {
            None => return Ok(None),
            Some(text) => keep(source, text),
        };
        Ok(Some(self.key(text, place)))
    }

    /// Makes sure that nothing but white space follows.
    pub(crate) fn finish(&mut self) -> Read<()> {
        self.jiter.finish().map_err(|error| broken(&error))
    }

    fn take(&mut self) -> Peek {
        // Every reading method is called after `peek`, `enter_array` or `next_element` showed what comes.
        self.peeked.take().unwrap_or(Peek::Null)
    }

    fn key(&self, text: Cow<'s, str>, place: Option<usize>) -> Key<'s> {
        let offset = match place {
            Some(place) => place.saturating_sub(1),
            // An escaped key was copied: its start is found backwards from the colon, over the closing quote.
            None => self.start_of_escaped_key(),
        };
        Key { text, offset }
    }

    fn start_of_escaped_key(&self) -> usize {
        let bytes = &self.source.as_bytes()[..self.offset()];
        let quotes = bytes.iter().enumerate().rev().filter(|&(at, &byte)| {
            let escapes = bytes[..at].iter().rev().take_while(|&&before| before == b'\\').count();
            byte == b'"' && escapes % 2 == 0
        });
        quotes.map(|(at, _)| at).nth(1).unwrap_or(self.offset())
    }
}

fn keep<'s>(source: &'s str, text: &str) -> (Cow<'s, str>, Option<usize>) {
    match place_in(source, text) {
        Some(place) => (Cow::Borrowed(&source[place..place + text.len()]), Some(place)),
        None => (Cow::Owned(text.to_owned()), None),
    }
}

/// Where in `source` the bytes of `text` lie, unless they were copied.
fn place_in(source: &str, text: &str) -> Option<usize> {
    let place = (text.as_ptr() as usize).checked_sub(source.as_ptr() as usize)?;
    (place + text.len() <= source.len() && source.is_char_boundary(place)).then_some(place)
}

fn broken(error: &JiterError) -> Broken {
    let kind = match &error.error_type {
        JiterErrorType::JsonError(kind) => kind.to_string(),
        kind @ JiterErrorType::WrongType { .. } => kind.to_string(),
    };
    let is = |wanted| matches!(&error.error_type, JiterErrorType::JsonError(kind) if *kind == wanted);
    let why = if is(JsonErrorType::RecursionLimitExceeded) {
        Why::TooDeep
    } else if is(JsonErrorType::NumberOutOfRange) {
        Why::TooLong
    } else {
        Why::Syntax
    };
    let message = if why == Why::TooDeep {
        String::from("nested too deeply to read")
    } else if why == Why::TooLong {
        String::from("a number with too many digits")
    } else if let Some(inside) = kind.strip_prefix("EOF while parsing ") {
        format!("the document ends inside {inside}")
    } else {
        // Fragments, as everywhere: only the first letter differs.
        let mut letters = kind.chars();
        letters.next().map(char::to_lowercase).into_iter().flatten().chain(letters).collect()
    };
    Broken { offset: error.index, message, why }
}
