//! The functions of the language and of its extensions.

use std::rc::Rc;

use super::operator::compare;
use super::value::Val;
use crate::number::Num;
use crate::{Meter, OperationError};

/// A function; its target, if it is a method, is its first argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Int,
    Double,
    String,
    Bool,
    Dyn,
    LowerAscii,
    UpperAscii,
    Trim,
    Replace,
    Split,
    Join,
    Substring,
    IndexOf,
    Abs,
    Ceil,
    Floor,
    Round,
    Greatest,
    Least,
}

/// How a function is called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Method,
    Either,
}

/// Every function with its name, style, and least and greatest number of arguments.
const TABLE: [(&str, Function, Style, usize, usize); 23] = [
    ("size", Function::Size, Style::Either, 1, 1),
    ("contains", Function::Contains, Style::Method, 2, 2),
    ("startsWith", Function::StartsWith, Style::Method, 2, 2),
    ("endsWith", Function::EndsWith, Style::Method, 2, 2),
    ("int", Function::Int, Style::Plain, 1, 1),
    ("double", Function::Double, Style::Plain, 1, 1),
    ("string", Function::String, Style::Plain, 1, 1),
    ("bool", Function::Bool, Style::Plain, 1, 1),
    ("dyn", Function::Dyn, Style::Plain, 1, 1),
    ("lowerAscii", Function::LowerAscii, Style::Method, 1, 1),
    ("upperAscii", Function::UpperAscii, Style::Method, 1, 1),
    ("trim", Function::Trim, Style::Method, 1, 1),
    ("replace", Function::Replace, Style::Method, 3, 3),
    ("split", Function::Split, Style::Method, 2, 2),
    ("join", Function::Join, Style::Method, 1, 2),
    ("substring", Function::Substring, Style::Method, 2, 3),
    ("indexOf", Function::IndexOf, Style::Method, 2, 2),
    ("math.abs", Function::Abs, Style::Plain, 1, 1),
    ("math.ceil", Function::Ceil, Style::Plain, 1, 1),
    ("math.floor", Function::Floor, Style::Plain, 1, 1),
    ("math.round", Function::Round, Style::Plain, 1, 1),
    ("math.greatest", Function::Greatest, Style::Plain, 1, 16),
    ("math.least", Function::Least, Style::Plain, 1, 16),
];

/// The names of all functions.
pub(super) fn names() -> Vec<&'static str> {
    TABLE.iter().map(|(name, ..)| *name).chain(["matches"]).collect()
}

impl Function {
    /// The function of that name, called as a method or not.
    pub(super) fn named(name: &str, as_method: bool) -> Option<Self> {
        TABLE
            .iter()
            .find(|(known, _, style, ..)| {
                *known == name && (*style == Style::Either || (*style == Style::Method) == as_method)
            })
            .map(|(_, function, ..)| *function)
    }

    fn row(self) -> (&'static str, usize, usize) {
        TABLE
            .iter()
            .find(|(_, function, ..)| *function == self)
            .map_or(("", 0, 0), |(name, _, _, least, most)| (*name, *least, *most))
    }

    /// The least and greatest number of arguments, its target included.
    pub(super) fn arity(self) -> (usize, usize) {
        let (_, least, most) = self.row();
        (least, most)
    }

    fn mismatch(self, found: &Val<'_>, wanted: &str) -> OperationError {
        OperationError::failed(format!("`{}` takes {wanted}, not {}", self.row().0, found.type_name()))
            .mend("convert it first, or test its type by what it has")
    }

    fn text<'a>(self, args: &'a [Val<'_>], index: usize) -> Result<&'a str, OperationError> {
        args[index].as_text().ok_or_else(|| self.mismatch(&args[index], "a string"))
    }

    fn num(self, found: &Val<'_>) -> Result<Num, OperationError> {
        found.as_num().ok_or_else(|| self.mismatch(found, "a number"))
    }

    /// Applies it to as many arguments as its arity allows.
    pub(super) fn apply<'v>(self, args: &[Val<'v>], meter: &mut Meter) -> Result<Val<'v>, OperationError> {
        match self {
            Self::Size => self.size(&args[0], meter),
            Self::Contains => self.search(args, meter, |text, part| Val::Bool(text.contains(part))),
            Self::StartsWith => self.search(args, meter, |text, part| Val::Bool(text.starts_with(part))),
            Self::EndsWith => self.search(args, meter, |text, part| Val::Bool(text.ends_with(part))),
            Self::IndexOf => self.search(args, meter, |text, part| {
                Val::Int(text.find(part).map_or(-1, |at| text[..at].chars().count() as i64))
            }),
            Self::Int => self.to_int(&args[0]),
            Self::Double => self.to_double(&args[0]),
            Self::String => self.to_text(&args[0], meter),
            Self::Bool => match (&args[0], args[0].as_text()) {
                (Val::Bool(flag), _) => Ok(Val::Bool(*flag)),
                (_, Some("true")) => Ok(Val::Bool(true)),
                (_, Some("false")) => Ok(Val::Bool(false)),
                _ => Err(self.mismatch(&args[0], "a bool, 'true' or 'false'")),
            },
            Self::Dyn => Ok(args[0].clone()),
            Self::LowerAscii => self.mapped(args, meter, str::to_ascii_lowercase),
            Self::UpperAscii => self.mapped(args, meter, str::to_ascii_uppercase),
            Self::Trim => self.mapped(args, meter, |text| text.trim().to_owned()),
            Self::Replace => self.replace(args, meter),
            Self::Split => self.split(args, meter),
            Self::Join => self.join(args, meter),
            Self::Substring => self.substring(args, meter),
            Self::Abs => match self.num(&args[0])? {
                Num::Whole(whole) => whole.checked_abs().map(Val::Int).ok_or_else(|| {
                    OperationError::failed("`math.abs` overflows 64 bits").mend("use doubles")
                }),
                Num::Real(real) => Ok(Val::Double(real.abs())),
            },
            Self::Ceil => self.rounded(&args[0], f64::ceil),
            Self::Floor => self.rounded(&args[0], f64::floor),
            Self::Round => self.rounded(&args[0], f64::round),
            Self::Greatest => self.extreme(args, meter, |candidate, best| compare(candidate, best).is_gt()),
            Self::Least => self.extreme(args, meter, |candidate, best| compare(candidate, best).is_lt()),
        }
    }

    fn size<'v>(self, of: &Val<'v>, meter: &mut Meter) -> Result<Val<'v>, OperationError> {
        if let Some(text) = of.as_text() {
            meter.steps(text.len() as u64 / 64)?;
            return Ok(Val::Int(text.chars().count() as i64));
        }
        let size =
            of.items().or(of.members()).ok_or_else(|| self.mismatch(of, "a string, a list or a map"))?;
        Ok(Val::Int(size as i64))
    }

    fn search<'v>(
        self,
        args: &[Val<'v>],
        meter: &mut Meter,
        search: fn(&str, &str) -> Val<'v>,
    ) -> Result<Val<'v>, OperationError> {
        let (text, part) = (self.text(args, 0)?, self.text(args, 1)?);
        meter.steps((text.len() as u64 + part.len() as u64) / 32)?;
        Ok(search(text, part))
    }

    fn to_int<'v>(self, of: &Val<'v>) -> Result<Val<'v>, OperationError> {
        let none = || {
            OperationError::failed(format!("`int` of this {} is no whole number of 64 bits", of.type_name()))
                .mend("test it first, for example with `matches`")
        };
        match (of.as_num(), of.as_text()) {
            (Some(Num::Whole(whole)), _) => Ok(Val::Int(whole)),
            // 2^63 is exact as a double; everything below it in magnitude fits.
            (Some(Num::Real(real)), _) if real.abs() < 9_223_372_036_854_775_808.0 => {
                Ok(Val::Int(real.trunc() as i64))
            }
            (Some(Num::Real(_)), _) => Err(none()),
            (None, Some(text)) => text.parse().map(Val::Int).map_err(|_| none()),
            (None, None) => Err(self.mismatch(of, "a number or a string")),
        }
    }

    fn to_double<'v>(self, of: &Val<'v>) -> Result<Val<'v>, OperationError> {
        match (of.as_num(), of.as_text()) {
            (Some(num), _) => Ok(Val::Double(num.as_f64())),
            (None, Some(text)) => {
                text.parse::<f64>().ok().filter(|real| real.is_finite()).map(Val::Double).ok_or_else(|| {
                    OperationError::failed("`double` was given a text that is no finite number")
                        .mend("test it first, for example with `matches`")
                })
            }
            (None, None) => Err(self.mismatch(of, "a number or a string")),
        }
    }

    fn to_text<'v>(self, of: &Val<'v>, meter: &mut Meter) -> Result<Val<'v>, OperationError> {
        match of {
            Val::Text(_) | Val::Built(_) => Ok(of.clone()),
            Val::Bool(flag) => Val::built(if *flag { "true" } else { "false" }, meter),
            Val::Int(whole) => Val::built(&whole.to_string(), meter),
            // As JSON spells it, so that one number has one spelling.
            Val::Double(real) => match Num::of_f64(*real) {
                Num::Whole(whole) => Val::built(&whole.to_string(), meter),
                Num::Real(real) => Val::built(&serde_json::Value::from(real).to_string(), meter),
            },
            Val::Null | Val::Array(_) | Val::List(_) | Val::Object(_) | Val::Map(_) => {
                Err(self.mismatch(of, "a string, a number or a bool"))
            }
        }
    }

    fn mapped<'v>(
        self,
        args: &[Val<'v>],
        meter: &mut Meter,
        map: fn(&str) -> String,
    ) -> Result<Val<'v>, OperationError> {
        let text = self.text(args, 0)?;
        meter.build(8 + text.len() as u64)?;
        Ok(Val::Built(map(text).into()))
    }

    fn replace<'v>(self, args: &[Val<'v>], meter: &mut Meter) -> Result<Val<'v>, OperationError> {
        let (text, from, to) = (self.text(args, 0)?, self.text(args, 1)?, self.text(args, 2)?);
        meter.steps(1 + text.len() as u64 / 8)?;
        let times = text.matches(from).count() as u64;
        meter.build(text.len() as u64 + times.saturating_mul(to.len() as u64))?;
        Ok(Val::Built(text.replace(from, to).into()))
    }

    fn split<'v>(self, args: &[Val<'v>], meter: &mut Meter) -> Result<Val<'v>, OperationError> {
        let (text, separator) = (self.text(args, 0)?, self.text(args, 1)?);
        meter.steps(1 + text.len() as u64 / 8)?;
        let mut parts = Vec::new();
        let mut push = |part: &str| {
            meter.build(32)?;
            parts.push(Val::built(part, meter)?);
            Ok::<_, OperationError>(())
        };
        if separator.is_empty() {
            let mut buffer = [0; 4];
            text.chars().try_for_each(|c| push(c.encode_utf8(&mut buffer)))?;
        } else {
            text.split(separator).try_for_each(push)?;
        }
        Ok(Val::List(parts.into()))
    }

    fn join<'v>(self, args: &[Val<'v>], meter: &mut Meter) -> Result<Val<'v>, OperationError> {
        let items = args[0].items().ok_or_else(|| self.mismatch(&args[0], "a list of strings"))?;
        let separator = if args.len() > 1 { self.text(args, 1)? } else { "" };
        let mut joined = String::new();
        for (index, item) in (0..items).filter_map(|index| args[0].item(index)).enumerate() {
            let text = item.as_text().ok_or_else(|| self.mismatch(&item, "a list of strings"))?;
            meter.build(separator.len() as u64 + text.len() as u64)?;
            if index > 0 {
                joined.push_str(separator);
            }
            joined.push_str(text);
        }
        Val::built(&joined, meter)
    }

    fn substring<'v>(self, args: &[Val<'v>], meter: &mut Meter) -> Result<Val<'v>, OperationError> {
        let text = self.text(args, 0)?;
        meter.steps(text.len() as u64 / 16)?;
        let length = text.chars().count();
        let place = |index: usize| match args.get(index) {
            None => Ok(length),
            Some(Val::Int(at)) => usize::try_from(*at).ok().filter(|at| *at <= length).ok_or_else(|| {
                OperationError::failed(format!(
                    "`substring`: {at} is outside a string of {length} characters"
                ))
                .mend("test its `size` first")
            }),
            Some(other) => Err(self.mismatch(other, "ints")),
        };
        let (start, end) = (place(1)?, place(2)?);
        if start > end {
            return Err(OperationError::failed(format!(
                "`substring` from {start} to {end} ends before it starts"
            ))
            .mend("exchange them"));
        }
        let part: String = text.chars().skip(start).take(end - start).collect();
        Val::built(&part, meter)
    }

    fn rounded<'v>(self, of: &Val<'v>, round: fn(f64) -> f64) -> Result<Val<'v>, OperationError> {
        Ok(match self.num(of)? {
            Num::Whole(whole) => Val::Int(whole),
            // Whole when it fits, so that it can index a list.
            Num::Real(real) => Val::of_num(Num::of_f64(round(real))),
        })
    }

    fn extreme<'v>(
        self,
        args: &[Val<'v>],
        meter: &mut Meter,
        better: fn(Num, Num) -> bool,
    ) -> Result<Val<'v>, OperationError> {
        let candidates: Rc<[Val<'v>]> = match args {
            [list] if list.items().is_some() => {
                let items = list.items().unwrap_or(0);
                meter.build(32 * items as u64)?;
                (0..items).filter_map(|index| list.item(index)).collect()
            }
            several => several.into(),
        };
        let mut best: Option<Num> = None;
        for candidate in candidates.iter() {
            meter.step()?;
            let candidate = self.num(candidate)?;
            if best.is_none_or(|best| better(candidate, best)) {
                best = Some(candidate);
            }
        }
        best.map(Val::of_num).ok_or_else(|| {
            OperationError::failed(format!("`{}` of an empty list", self.row().0))
                .mend("test its `size` first")
        })
    }
}
