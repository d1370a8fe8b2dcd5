//! The operators of two values: arithmetic, order, equality, membership.

use std::cmp::Ordering;
use std::rc::Rc;

use cel::common::ast::operators;

use super::value::Val;
use crate::number::Num;
use crate::{Meter, OperationError};

/// An operator of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

impl Binary {
    /// The operator that the parser gives this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            operators::ADD => Self::Add,
            operators::SUBSTRACT => Self::Subtract,
            operators::MULTIPLY => Self::Multiply,
            operators::DIVIDE => Self::Divide,
            operators::MODULO => Self::Remainder,
            operators::EQUALS => Self::Equal,
            operators::NOT_EQUALS => Self::NotEqual,
            operators::LESS => Self::Less,
            operators::LESS_EQUALS => Self::LessOrEqual,
            operators::GREATER => Self::Greater,
            operators::GREATER_EQUALS => Self::GreaterOrEqual,
            operators::IN => Self::In,
            _ => return None,
        })
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
        }
    }

    /// Applies it.
    pub(super) fn apply<'v>(
        self,
        a: Val<'v>,
        b: Val<'v>,
        meter: &mut Meter,
    ) -> Result<Val<'v>, OperationError> {
        let order = |test: fn(Ordering) -> bool, meter: &mut Meter| {
            self.order(&a, &b, meter).map(test).map(Val::Bool)
        };
        match self {
            Self::Add => match (a.as_num(), b.as_num()) {
                (Some(x), Some(y)) => self.arithmetic(x, y),
                _ => self.concatenate(&a, &b, meter),
            },
            Self::Subtract | Self::Multiply | Self::Divide | Self::Remainder => {
                match (a.as_num(), b.as_num()) {
                    (Some(x), Some(y)) => self.arithmetic(x, y),
                    _ => Err(self.mismatch(&a, &b)),
                }
            }
            Self::Equal => equal(&a, &b, meter).map(Val::Bool),
            Self::NotEqual => equal(&a, &b, meter).map(|equal| Val::Bool(!equal)),
            Self::Less => order(Ordering::is_lt, meter),
            Self::LessOrEqual => order(Ordering::is_le, meter),
            Self::Greater => order(Ordering::is_gt, meter),
            Self::GreaterOrEqual => order(Ordering::is_ge, meter),
            Self::In => self.contained(&a, &b, meter),
        }
    }

    fn arithmetic<'v>(self, a: Num, b: Num) -> Result<Val<'v>, OperationError> {
        if let (Num::Whole(x), Num::Whole(y)) = (a, b) {
            let result = match self {
                Self::Add => x.checked_add(y),
                Self::Subtract => x.checked_sub(y),
                Self::Multiply => x.checked_mul(y),
                Self::Divide | Self::Remainder if y == 0 => {
                    return Err(OperationError::failed(format!("{x} {} 0: a division by zero", self.sign()))
                        .mend("test the divisor first, as in `b == 0 ? 0 : a / b`"));
                }
                Self::Divide => x.checked_div(y),
                Self::Remainder => x.checked_rem(y),
                Self::Equal
                | Self::NotEqual
                | Self::Less
                | Self::LessOrEqual
                | Self::Greater
                | Self::GreaterOrEqual
                | Self::In => None,
            };
            return result.map(Val::Int).ok_or_else(|| {
                OperationError::failed(format!("{x} {} {y} overflows 64 bits", self.sign()))
                    .mend("use doubles")
            });
        }
        let (x, y) = (a.as_f64(), b.as_f64());
        let result = match self {
            Self::Add => x + y,
            Self::Subtract => x - y,
            Self::Multiply => x * y,
            Self::Divide => x / y,
            Self::Remainder
            | Self::Equal
            | Self::NotEqual
            | Self::Less
            | Self::LessOrEqual
            | Self::Greater
            | Self::GreaterOrEqual
            | Self::In => return Err(self.mismatch(&Val::of_num(a), &Val::of_num(b))),
        };
        if result.is_finite() {
            Ok(Val::Double(result))
        } else {
            Err(OperationError::failed(format!("{x} {} {y} is not a finite number", self.sign()))
                .mend("test the operands first"))
        }
    }

    fn concatenate<'v>(self, a: &Val<'v>, b: &Val<'v>, meter: &mut Meter) -> Result<Val<'v>, OperationError> {
        if let (Some(x), Some(y)) = (a.as_text(), b.as_text()) {
            meter.build(8 + x.len() as u64 + y.len() as u64)?;
            return Ok(Val::Built([x, y].concat().into()));
        }
        let (Some(x), Some(y)) = (a.items(), b.items()) else { return Err(self.mismatch(a, b)) };
        meter.build(32 * (x as u64 + y as u64))?;
        meter.steps(x as u64 + y as u64)?;
        let items = (0..x).filter_map(|index| a.item(index)).chain((0..y).filter_map(|index| b.item(index)));
        Ok(Val::List(items.collect::<Rc<[_]>>()))
    }

    fn order(self, a: &Val<'_>, b: &Val<'_>, meter: &mut Meter) -> Result<Ordering, OperationError> {
        if let (Some(x), Some(y)) = (a.as_num(), b.as_num()) {
            return Ok(compare(x, y));
        }
        if let (Some(x), Some(y)) = (a.as_text(), b.as_text()) {
            meter.steps(x.len().min(y.len()) as u64 / 64)?;
            return Ok(x.cmp(y));
        }
        match (a, b) {
            (Val::Bool(x), Val::Bool(y)) => Ok(x.cmp(y)),
            _ => Err(self.mismatch(a, b)),
        }
    }

    fn contained<'v>(self, a: &Val<'v>, b: &Val<'v>, meter: &mut Meter) -> Result<Val<'v>, OperationError> {
        if b.members().is_some() {
            return Ok(Val::Bool(a.as_text().is_some_and(|key| b.member(key).is_some())));
        }
        let Some(items) = b.items() else { return Err(self.mismatch(a, b)) };
        for item in (0..items).filter_map(|index| b.item(index)) {
            if equal(a, &item, meter)? {
                return Ok(Val::Bool(true));
            }
        }
        Ok(Val::Bool(false))
    }

    fn mismatch(self, a: &Val<'_>, b: &Val<'_>) -> OperationError {
        OperationError::failed(format!("there is no `{} {} {}`", a.type_name(), self.sign(), b.type_name()))
            .mend("convert an operand, with `int`, `double` or `string`")
    }
}

/// Numbers by value, whatever their types; ints beyond 2^53 as doubles when the other is one.
pub(super) fn compare(a: Num, b: Num) -> Ordering {
    match (a, b) {
        (Num::Whole(x), Num::Whole(y)) => x.cmp(&y),
        // Adding zero makes -0.0 equal to 0.0; there is no NaN.
        (a, b) => (a.as_f64() + 0.0).total_cmp(&(b.as_f64() + 0.0)),
    }
}

/// Deep equality; values of different types are never equal, except numbers.
pub(super) fn equal(a: &Val<'_>, b: &Val<'_>, meter: &mut Meter) -> Result<bool, OperationError> {
    meter.step()?;
    if let (Some(x), Some(y)) = (a.as_num(), b.as_num()) {
        return Ok(compare(x, y).is_eq());
    }
    if let (Some(x), Some(y)) = (a.as_text(), b.as_text()) {
        meter.steps(x.len().min(y.len()) as u64 / 64)?;
        return Ok(x == y);
    }
    if let (Some(x), Some(y)) = (a.items(), b.items()) {
        if x != y {
            return Ok(false);
        }
        for (x, y) in (0..x).filter_map(|index| a.item(index).zip(b.item(index))) {
            if !equal(&x, &y, meter)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    if let (Some(x), Some(y), Some(keys)) = (a.members(), b.members(), a.keys()) {
        meter.steps(x as u64)?;
        if x != y {
            return Ok(false);
        }
        for key in keys {
            let Some(key) = key.as_text() else { return Ok(false) };
            let (Some(x), Some(y)) = (a.member(key), b.member(key)) else { return Ok(false) };
            if !equal(&x, &y, meter)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    Ok(match (a, b) {
        (Val::Null, Val::Null) => true,
        (Val::Bool(x), Val::Bool(y)) => x == y,
        _ => false,
    })
}
