//! From text to the parts of a checked graph: which version, then read, then check.

use serde_json::Value;

use crate::check::check;
use crate::graph::Parts;
use crate::read::{Json, Kind, Read, Reader, shorten};
use crate::report::{At, Report};
use crate::{Limits, ViolationCode, v0_1};

/// The version that a document declares.
enum Declared {
    /// Task IR 1.`minor`.
    One { minor: u64 },
    /// KORA's Python runtime.
    ZeroOne,
    /// Something else, at this offset if anything.
    Other { at: Option<usize>, found: Option<String> },
}

/// Reads and checks. `None` if the report now holds why not.
pub(crate) fn parts(source: &str, limits: &Limits, report: &mut Report) -> Option<Parts> {
    // References are numbered by `u32`, and each takes more than one byte.
    let max_bytes = limits.max_graph_bytes.min(u32::MAX as usize);
    if source.len() > max_bytes {
        report.add(
            ViolationCode::DocumentTooLarge,
            At::Offset(0),
            format!("{} bytes long", source.len()),
            format!("use at most {max_bytes} bytes"),
        );
        return None;
    }
    if source.starts_with('\u{feff}') {
        report.add(
            ViolationCode::Syntax,
            At::Offset(0),
            "the document starts with a byte order mark",
            String::from("save it without one (RFC 8259)"),
        );
        return None;
    }
    match declared(source) {
        Err(broken) => {
            report.add_broken(source, broken);
            None
        }
        Ok(Declared::Other { at, found }) => {
            let message = found.unwrap_or_else(|| String::from("no `kora_version`"));
            let help = String::from(
                "declare \"kora_version\": \"1.0.0\", or \"version\": \"0.1\" for KORA's Python runtime",
            );
            report.add(ViolationCode::VersionMismatch, At::Offset(at.unwrap_or(0)), message, help);
            None
        }
        Ok(Declared::ZeroOne) => {
            let mut reader = Reader::new(source, limits, report, true);
            let document = reader.plain_value().and_then(|document| {
                reader.json.finish()?;
                Ok(document)
            });
            drop(reader);
            match document {
                Ok(document) if report.is_clean() => mapped(&document, limits, report),
                Ok(_) => None,
                Err(broken) => {
                    report.add_broken(source, broken);
                    None
                }
            }
        }
        Ok(Declared::One { minor }) => read_and_check(source, minor > 0, limits, report),
    }
}

fn read_and_check(source: &str, lenient: bool, limits: &Limits, report: &mut Report) -> Option<Parts> {
    let mut reader = Reader::new(source, limits, report, lenient);
    let draft = reader.graph();
    let references = std::mem::take(&mut reader.references);
    drop(reader);
    match draft {
        Ok(draft) => check(draft, &references, limits, report),
        Err(broken) => {
            report.add_broken(source, broken);
            None
        }
    }
}

/// A document of 0.1, through its mapping and the reader of 1.0.
fn mapped(document: &Value, limits: &Limits, report: &mut Report) -> Option<Parts> {
    let mapped = v0_1::map(document, limits, report)?;
    let text = mapped.document.to_string();
    let mut inner = Report::new(limits);
    let parts = read_and_check(&text, false, limits, &mut inner);
    if parts.is_none() {
        report.absorb(inner.close(&text), |pointer| mapped.trail.back(pointer));
    }
    parts
}

/// Finds the version without reading more than it must: usually it stands first.
fn declared(source: &str) -> Read<Declared> {
    let mut json = Json::new(source);
    if json.peek()? != Kind::Object {
        return Ok(Declared::Other { at: None, found: None });
    }
    let mut older = None;
    let mut key = json.enter_object()?;
    while let Some(name) = key {
        let kind = json.peek()?;
        let offset = json.offset();
        let known = matches!(&*name.text, "kora_version" | "version");
        if known && kind == Kind::String {
            let text = json.string()?;
            if name.text == "kora_version" {
                return Ok(one(&text).unwrap_or_else(|| other(offset, &text)));
            }
            older = Some((offset, text));
        } else {
            json.skip()?;
            if known && name.text == "kora_version" {
                let found = Some(format!("`kora_version` is {}, not a version", kind.described()));
                return Ok(Declared::Other { at: Some(offset), found });
            }
        }
        key = json.next_key()?;
    }
    Ok(match older {
        Some((_, text)) if text == "0.1" => Declared::ZeroOne,
        Some((offset, text)) => other(offset, &text),
        None => Declared::Other { at: None, found: None },
    })
}

fn one(text: &str) -> Option<Declared> {
    let mut numbers = text.split('.').map(|part| {
        let plain = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        (plain && (part == "0" || !part.starts_with('0'))).then(|| part.parse::<u64>().ok()).flatten()
    });
    let (major, minor, _patch) = (numbers.next()??, numbers.next()??, numbers.next()??);
    (major == 1 && numbers.next().is_none()).then_some(Declared::One { minor })
}

fn other(offset: usize, text: &str) -> Declared {
    Declared::Other { at: Some(offset), found: Some(format!("version `{}` is not read here", shorten(text))) }
}
