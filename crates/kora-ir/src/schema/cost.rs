//! How much work a schema may cost, so that no output, however made, can keep the gate busy (I8).
//!
//! Subschemas that look at the same value add up, `$ref` multiplies them, and a schema that does so at each level
//! of a value multiplies again: without a bound, a few hundred bytes of schema could ask for years.

use super::SchemaError;
use super::location::{Location, Locations, Relation};
use crate::ViolationCode;

/// Subschemas that may look at one value, each as often as it is referred to.
const MAX_IN_PLACE: u64 = 10_000;
/// Subschemas within each other that look at one value: the validator's recursion on top of the value's own.
const MAX_HEIGHT: u32 = 32;
/// Subschemas that may look at a value or at something above it.
const MAX_WORK: u64 = 1_000_000;

/// What an output of a schema may cost at most.
#[derive(Debug)]
pub(super) struct Cost {
    /// For each depth of an output, the subschemas that may look at one of its values or at something above it.
    work: Box<[u64]>,
    has_alternatives: bool,
}

impl Cost {
    /// The deepest output that can be checked within bounds.
    pub(super) fn max_depth(&self) -> usize {
        self.work.len().saturating_sub(1)
    }

    /// The subschemas that may look at one value of an output so deep, or at something above it.
    pub(super) fn work_at(&self, depth: usize) -> u64 {
        self.work.get(depth).or(self.work.last()).copied().unwrap_or(u64::MAX)
    }

    /// Whether more than one subschema looks at the same value anywhere.
    pub(super) fn has_alternatives(&self) -> bool {
        self.has_alternatives
    }
}

/// What outputs of at most `max_depth` levels may cost, and how many levels can be checked within bounds.
///
/// # Errors
///
/// [`SchemaError`] for a schema that refers to itself without going deeper, or costs too much on any value.
pub(super) fn cost(locations: &Locations, max_depth: usize) -> Result<Cost, SchemaError> {
    let order = in_place_order(locations)?;
    let all = &locations.all;
    let (mut height, mut paths) = (vec![1_u32; all.len()], vec![1_u64; all.len()]);
    for &at in &order {
        for &(_, to) in all[at].edges.iter().filter(|(relation, _)| relation.in_place()) {
            height[at] = height[at].max(height[to].saturating_add(1));
            paths[at] = paths[at].saturating_add(paths[to]);
        }
        if height[at] > MAX_HEIGHT || paths[at] > MAX_IN_PLACE {
            return Err(costly(&all[at], "too many subschemas look at the same value", "flatten the schema"));
        }
    }
    let has_alternatives =
        all.iter().any(|location| location.edges.iter().any(|(relation, _)| relation.in_place()));
    let mut at_depth = Vec::with_capacity(max_depth + 1);
    let mut work = vec![0_u64; all.len()];
    for depth in 0..=max_depth {
        let below = work;
        work = vec![0; all.len()];
        for &at in &order {
            work[at] = work_of(&all[at], &work, &below);
        }
        if work[0] > MAX_WORK {
            if depth <= 1 {
                return Err(costly(&all[0], "checking an output could take too long", "simplify the schema"));
            }
            break;
        }
        at_depth.push(work[0]);
        // Beyond the last level of a schema that does not refer to itself, nothing is added.
        if work == below {
            at_depth.resize(max_depth + 1, work[0]);
            break;
        }
    }
    Ok(Cost { work: at_depth.into(), has_alternatives })
}

/// Subschemas looking at a value and at one chain of values inside it, given the same for in-place subschemas at this
/// depth and for all at one level less. Never too low.
fn work_of(location: &Location, here: &[u64], below: &[u64]) -> u64 {
    let (mut in_place, mut names) = (0_u64, 0_u64);
    let (mut property, mut other_properties, mut item, mut other_items) = (0_u64, 0_u64, 0_u64, 0_u64);
    for &(relation, to) in &location.edges {
        match relation {
            Relation::Ref | Relation::AllOf | Relation::Union | Relation::Branch | Relation::Test => {
                in_place = in_place.saturating_add(here[to]);
            }
            Relation::Property => property = property.max(below[to]),
            Relation::Pattern | Relation::OtherProperties => {
                other_properties = other_properties.saturating_add(below[to]);
            }
            Relation::PrefixItem | Relation::Items => item = item.max(below[to]),
            Relation::Contains | Relation::OtherItems => other_items = other_items.saturating_add(below[to]),
            Relation::Names => names = names.saturating_add(1),
        }
    }
    let children = property.saturating_add(other_properties).max(item.saturating_add(other_items));
    let once = in_place.saturating_add(children);
    // What was looked at is found out by looking again.
    let often = if location.unevaluated { once.saturating_mul(2) } else { once };
    often.saturating_add(names).saturating_add(1)
}

/// All places, each after those that look at the same value from inside it.
fn in_place_order(locations: &Locations) -> Result<Vec<usize>, SchemaError> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let all = &locations.all;
    let mut state = vec![State::New; all.len()];
    let mut order = Vec::with_capacity(all.len());
    let mut calls: Vec<(usize, usize)> = Vec::new();
    for start in 0..all.len() {
        if state[start] == State::New {
            calls.push((start, 0));
            state[start] = State::Open;
        }
        while let Some(&mut (at, ref mut nth)) = calls.last_mut() {
            let edge = all[at].edges.get(*nth).copied();
            *nth += 1;
            match edge {
                Some((relation, to)) if relation.in_place() => match state[to] {
                    State::New => {
                        state[to] = State::Open;
                        calls.push((to, 0));
                    }
                    State::Open => {
                        return Err(costly(
                            &all[to],
                            "the schema refers to itself without going deeper into the value",
                            "put the reference below `properties` or `items`",
                        ));
                    }
                    State::Done => {}
                },
                Some(_) => {}
                None => {
                    state[at] = State::Done;
                    order.push(at);
                    calls.pop();
                }
            }
        }
    }
    Ok(order)
}

fn costly(location: &Location, message: &str, help: &str) -> SchemaError {
    SchemaError {
        code: ViolationCode::CostlySchema,
        pointer: location.pointer.clone(),
        message: message.to_owned(),
        help: Some(help.to_owned()),
    }
}
