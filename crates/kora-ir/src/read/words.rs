//! Strings, words of closed sets, ids and numbers.

use std::borrow::Cow;

use super::fields::shorten;
use super::{Kind, Read, Reader};
use crate::report::At;
use crate::{ViolationCode, suggest};

/// The greatest integer that every JSON reader keeps exactly (I-JSON, RFC 7493).
pub(crate) const MAX_EXACT: u64 = (1 << 53) - 1;

impl<'s> Reader<'s, '_> {
    /// A string.
    pub(super) fn string(&mut self) -> Read<Option<Cow<'s, str>>> {
        if self.json.peek()? == Kind::String {
            return self.json.string().map(Some);
        }
        self.wrong_type("a string")?;
        Ok(None)
    }

    /// A string that is kept and passed on.
    pub(super) fn owned_string(&mut self) -> Read<Option<String>> {
        let offset = self.next_offset()?;
        let Some(text) = self.string()? else { return Ok(None) };
        if text.len() > 8 * self.limits.max_id_bytes {
            self.report.add(
                ViolationCode::InvalidId,
                At::Offset(offset),
                format!("{} bytes long", text.len()),
                format!("use at most {} bytes", 8 * self.limits.max_id_bytes),
            );
            return Ok(None);
        }
        Ok(Some(text.into_owned()))
    }

    /// One word of a closed set.
    pub(super) fn word<T: Copy>(&mut self, words: &[(&'static str, T)]) -> Read<Option<T>> {
        let offset = self.next_offset()?;
        let Some(text) = self.string()? else { return Ok(None) };
        if let Some(&(_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(Some(value));
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.report.add(
            ViolationCode::UnknownWord,
            At::Offset(offset),
            format!("`{}` is not one of {}", shorten(&text), suggest::list(&known)),
            suggest::nearest(&text, known.iter().copied()).map(|word| format!("did you mean `{word}`?")),
        );
        Ok(None)
    }

    /// An id or a name.
    pub(super) fn id(&mut self) -> Read<Option<Cow<'s, str>>> {
        let offset = self.next_offset()?;
        let Some(text) = self.string()? else { return Ok(None) };
        let Some(fault) = id_fault(&text, self.limits.max_id_bytes) else { return Ok(Some(text)) };
        self.report.add(
            ViolationCode::InvalidId,
            At::Offset(offset),
            format!("`{}` {fault}", shorten(&text)),
            format!(
                "use 1 to {} ASCII letters, digits, `_`, `-`, `.` or `:`, starting with a letter, a digit or `_`",
                self.limits.max_id_bytes
            ),
        );
        Ok(None)
    }

    /// A whole number from 0 to `max`.
    pub(super) fn whole(&mut self, max: u64, code: ViolationCode) -> Read<Option<u64>> {
        if self.json.peek()? != Kind::Number {
            self.wrong_type("a whole number")?;
            return Ok(None);
        }
        let offset = self.json.offset();
        let text = self.json.number()?;
        let fault = match text.parse::<u64>() {
            Ok(number) if number <= max => return Ok(Some(number)),
            Ok(_) => "is too large",
            Err(_) if text.starts_with('-') => "is negative",
            Err(_) if text.bytes().all(|byte| byte.is_ascii_digit()) => "is too large",
            Err(_) => "is not written as a whole number",
        };
        self.report.add(
            code,
            At::Offset(offset),
            format!("`{}` {fault}", shorten(text)),
            format!("write a whole number from 0 to {max}"),
        );
        Ok(None)
    }

    /// A number that `admits` accepts.
    pub(super) fn real(
        &mut self,
        code: ViolationCode,
        wanted: &str,
        admits: impl Fn(f64) -> bool,
    ) -> Read<Option<f64>> {
        if self.json.peek()? != Kind::Number {
            self.wrong_type("a number")?;
            return Ok(None);
        }
        let offset = self.json.offset();
        let text = self.json.number()?;
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && admits(number) => Ok(Some(number)),
            Ok(_) | Err(_) => {
                self.report.add(
                    code,
                    At::Offset(offset),
                    format!("`{}` is out of range", shorten(text)),
                    format!("write {wanted}"),
                );
                Ok(None)
            }
        }
    }

    /// Where the next value starts.
    pub(super) fn next_offset(&mut self) -> Read<usize> {
        self.json.peek()?;
        Ok(self.json.offset())
    }
}

/// What is wrong with the text as an id, if anything.
pub(crate) fn id_fault(text: &str, max_bytes: usize) -> Option<&'static str> {
    let Some(&first) = text.as_bytes().first() else { return Some("is empty") };
    if text.len() > max_bytes {
        return Some("is too long");
    }
    if !(first.is_ascii_alphanumeric() || first == b'_') {
        return Some("does not start with a letter, a digit or `_`");
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':');
    if text.bytes().all(allowed) { None } else { Some("has a character that ids do not have") }
}
