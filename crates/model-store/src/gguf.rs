//! The head of a GGUF file: what the weights in it are made for, without reading them.

use std::fs::File;
use std::io::{self, BufReader, Read, Take};
use std::path::Path;

use thiserror::Error;

/// Bytes of a head, vocabularies and all.
const MAX_HEAD_BYTES: u64 = 256 << 20;
/// Rows of metadata, and tensors.
const MAX_ROWS: u64 = 1 << 16;
/// Bytes of a name, or of a value that is looked at.
const MAX_NAME_BYTES: u64 = 1 << 16;
/// Where tensors begin, unless the file says otherwise: a multiple of this.
const ALIGNMENT: u64 = 32;

/// What a GGUF file says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct GgufHeader {
    /// What its weights are made for: the value of `general.architecture`.
    pub architecture: String,
    /// How many numbers its tensors hold together.
    pub parameters: u64,
    /// Tokens that the model can see at once, if it says so.
    pub context_tokens: Option<u64>,
    /// Its chat template, if it has one.
    pub has_chat_template: bool,
}

/// A file that is no GGUF, or not all of one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GgufError {
    /// It cannot be read.
    #[error("the file cannot be read")]
    Unreadable(#[from] io::Error),
    /// It is another kind of file.
    #[error("the file is no GGUF: it does not begin with `GGUF`")]
    OtherKind,
    /// It is a GGUF that is not understood.
    #[error("the file is a GGUF of version {0}, and versions 2 and 3 are read")]
    OtherVersion(u32),
    /// It ends too early.
    #[error("the GGUF file is cut off: fetch it again")]
    CutOff,
    /// It contradicts itself.
    #[error("the GGUF file is damaged: {0}")]
    Damaged(&'static str),
}

impl GgufHeader {
    /// Reads the head of the file at `path`.
    ///
    /// # Errors
    ///
    /// [`GgufError`] says what is wrong with the file.
    pub fn read(path: &Path) -> Result<Self, GgufError> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Self::of(BufReader::new(file), length)
    }

    fn of(reader: impl Read, length: u64) -> Result<Self, GgufError> {
        let mut head = Head(reader.take(MAX_HEAD_BYTES));
        let mut magic = [0; 4];
        match head.0.read_exact(&mut magic) {
            Ok(()) if magic == *b"GGUF" => {}
            Ok(()) => return Err(GgufError::OtherKind),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(GgufError::OtherKind),
            Err(error) => return Err(error.into()),
        }
        match head.u32()? {
            2 | 3 => {}
            version => return Err(GgufError::OtherVersion(version)),
        }
        let (tensors, rows) = (head.u64()?, head.u64()?);
        if tensors > MAX_ROWS || rows > MAX_ROWS {
            return Err(GgufError::Damaged("it claims more rows than any model has"));
        }
        let mut facts = Facts { alignment: ALIGNMENT, ..Facts::default() };
        for _ in 0..rows {
            let key = head.text()?;
            let value = head.value()?;
            facts.note(&key, value);
        }
        let architecture = facts.architecture.ok_or(GgufError::Damaged("it names no architecture"))?;
        let own = format!("{architecture}.context_length");
        let context_tokens =
            facts.contexts.into_iter().find(|(key, _)| *key == own).map(|(_, tokens)| tokens);
        let (mut parameters, mut last) = (0_u64, None);
        for _ in 0..tensors {
            let (numbers, offset) = head.tensor()?;
            parameters =
                parameters.checked_add(numbers).ok_or(GgufError::Damaged("its tensors are too large"))?;
            last = last.max(Some(offset));
        }
        let end = MAX_HEAD_BYTES - head.0.limit();
        // The last tensor has at least one byte; how many, only its runtime knows.
        if let Some(last) = last {
            let start = end.checked_next_multiple_of(facts.alignment.max(1));
            if start.and_then(|start| start.checked_add(last)).is_none_or(|first| first >= length) {
                return Err(GgufError::CutOff);
            }
        }
        Ok(Self { architecture, parameters, context_tokens, has_chat_template: facts.has_chat_template })
    }
}

#[derive(Default)]
struct Facts {
    architecture: Option<String>,
    contexts: Vec<(String, u64)>,
    alignment: u64,
    has_chat_template: bool,
}

impl Facts {
    fn note(&mut self, key: &str, value: Option<Value>) {
        match (key, value) {
            ("general.architecture", Some(Value::Text(name))) => self.architecture = Some(name),
            ("general.alignment", Some(Value::Number(alignment))) => self.alignment = alignment,
            ("tokenizer.chat_template", _) => self.has_chat_template = true,
            (key, Some(Value::Number(tokens))) if key.ends_with(".context_length") => {
                self.contexts.push((key.to_owned(), tokens));
            }
            _ => {}
        }
    }
}

/// A value that matters here.
enum Value {
    Number(u64),
    Text(String),
}

struct Head<R>(Take<R>);

impl<R: Read> Head<R> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).map_err(cut_off)?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, GgufError> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, GgufError> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<String, GgufError> {
        let length = self.u64()?;
        if length > MAX_NAME_BYTES {
            return Err(GgufError::Damaged("a name in it is too long"));
        }
        let mut text = Vec::new();
        self.0.by_ref().take(length).read_to_end(&mut text)?;
        if (text.len() as u64) < length {
            return Err(GgufError::CutOff);
        }
        String::from_utf8(text).map_err(|_| GgufError::Damaged("a name in it is no text"))
    }

    fn skip(&mut self, bytes: u64) -> Result<(), GgufError> {
        let skipped = io::copy(&mut self.0.by_ref().take(bytes), &mut io::sink())?;
        if skipped < bytes { Err(GgufError::CutOff) } else { Ok(()) }
    }

    /// The next value, if it is a number or a short text.
    fn value(&mut self) -> Result<Option<Value>, GgufError> {
        let kind = self.u32()?;
        Ok(match kind {
            4 => Some(Value::Number(self.u32()?.into())),
            10 => Some(Value::Number(self.u64()?)),
            5 => u64::try_from(i32::from_le_bytes(self.bytes()?)).ok().map(Value::Number),
            11 => u64::try_from(i64::from_le_bytes(self.bytes()?)).ok().map(Value::Number),
            8 => {
                let length = self.u64()?;
                if length > MAX_NAME_BYTES {
                    self.skip(length)?;
                    return Ok(None);
                }
                let mut text = Vec::new();
                self.0.by_ref().take(length).read_to_end(&mut text)?;
                if (text.len() as u64) < length {
                    return Err(GgufError::CutOff);
                }
                String::from_utf8(text).ok().map(Value::Text)
            }
            9 => {
                let (of, count) = (self.u32()?, self.u64()?);
                self.skip_items(of, count)?;
                None
            }
            other => {
                self.skip(size_of_kind(other)?)?;
                None
            }
        })
    }

    fn skip_items(&mut self, kind: u32, count: u64) -> Result<(), GgufError> {
        if kind != 8 {
            let bytes = size_of_kind(kind)?.checked_mul(count);
            return self.skip(bytes.ok_or(GgufError::Damaged("an array in it is too long"))?);
        }
        // Each takes bytes of the head, which are counted, so this ends.
        for _ in 0..count {
            let length = self.u64()?;
            self.skip(length)?;
        }
        Ok(())
    }

    /// How many numbers the next tensor holds, and where.
    fn tensor(&mut self) -> Result<(u64, u64), GgufError> {
        self.text()?;
        let dimensions = self.u32()?;
        if dimensions > 8 {
            return Err(GgufError::Damaged("a tensor in it has more dimensions than any has"));
        }
        let mut numbers = 1_u64;
        for _ in 0..dimensions {
            numbers =
                numbers.checked_mul(self.u64()?).ok_or(GgufError::Damaged("a tensor in it is too large"))?;
        }
        self.u32()?;
        Ok((numbers, self.u64()?))
    }
}

fn cut_off(error: io::Error) -> GgufError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        GgufError::CutOff
    } else {
        GgufError::Unreadable(error)
    }
}

/// Bytes of a value of fixed size. Arrays of arrays are in no model's metadata.
fn size_of_kind(kind: u32) -> Result<u64, GgufError> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        _ => Err(GgufError::Damaged("a value in it is of no known kind")),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(bytes: &mut Vec<u8>, text: &str) {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    }

    /// A GGUF of one tensor of 64 × `rows` bytes.
    pub(crate) fn sample(rows: u64) -> Vec<u8> {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(1_u64.to_le_bytes());
        bytes.extend(3_u64.to_le_bytes());
        text(&mut bytes, "general.architecture");
        bytes.extend(8_u32.to_le_bytes());
        text(&mut bytes, "llama");
        text(&mut bytes, "tokenizer.ggml.tokens");
        bytes.extend(9_u32.to_le_bytes());
        bytes.extend(8_u32.to_le_bytes());
        bytes.extend(2_u64.to_le_bytes());
        text(&mut bytes, "a");
        text(&mut bytes, "b");
        text(&mut bytes, "llama.context_length");
        bytes.extend(4_u32.to_le_bytes());
        bytes.extend(2048_u32.to_le_bytes());
        text(&mut bytes, "token_embd.weight");
        bytes.extend(2_u32.to_le_bytes());
        bytes.extend(64_u64.to_le_bytes());
        bytes.extend(rows.to_le_bytes());
        bytes.extend(24_u32.to_le_bytes());
        bytes.extend(0_u64.to_le_bytes());
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes.extend((0..64 * rows).map(|at| (at * 31 % 251) as u8));
        bytes
    }

    fn read(bytes: &[u8]) -> Result<GgufHeader, GgufError> {
        GgufHeader::of(bytes, bytes.len() as u64)
    }

    #[test]
    fn the_head_tells_what_the_weights_are_for() {
        let header = read(&sample(3)).unwrap();
        assert_eq!((header.architecture.as_str(), header.parameters), ("llama", 192));
        assert_eq!((header.context_tokens, header.has_chat_template), (Some(2048), false));
    }

    #[test]
    fn what_is_no_gguf_is_told_for_what_it_is() {
        assert!(matches!(read(b"PK\x03\x04 something"), Err(GgufError::OtherKind)));
        assert!(matches!(read(b""), Err(GgufError::OtherKind)));
        assert!(matches!(read(b"GGUF\x01\0\0\0"), Err(GgufError::OtherVersion(1))));
        let mut many = sample(1);
        many[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(read(&many), Err(GgufError::Damaged(_))));
    }

    #[test]
    fn a_file_that_is_cut_off_is_no_model() {
        let whole = sample(1);
        for length in (8..whole.len() - 64).step_by(7) {
            assert!(matches!(read(&whole[..length]), Err(GgufError::CutOff)), "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_hostile(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            end in any::<prop::sample::Index>(),
        ) {
            let mut bytes = sample(2);
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(end.index(bytes.len()));
            let _ = read(&bytes);
        }
    }
}
