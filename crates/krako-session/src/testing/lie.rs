//! A lie: the truth with one edit.

use krako_contract::{
    Event, Happening, InvalidSequence, Sequence, SessionEvent, UnitEvent, UnitHappening, WorkUnitId,
};

use super::story::Story;
use super::world::Told;
use crate::found::Found;

/// One lie that a fabric can tell.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Lie {
    /// What is false.
    pub name: &'static str,
    /// What it is told of.
    pub story: Story,
    /// The [name](Found::name) of what it is found out for.
    pub found: &'static str,
    pub(crate) edit: fn(&mut Told),
}

impl Lie {
    /// The session as the fabric tells it.
    pub fn tell(&self) -> Told {
        let mut told = self.story.tell();
        (self.edit)(&mut told);
        told
    }

    /// What somebody finds out who is told that: by its events or, at last, by its report.
    pub fn find_out(&self) -> Option<Found> {
        let told = self.tell();
        let mut reader = Story::reader();
        let found = told.events.iter().find_map(|event| reader.take(event).err());
        found.or_else(|| reader.finish(&told.report).err())
    }
}

impl Told {
    /// The place of the first event of this name, of this unit.
    pub(crate) fn place(&self, unit: &str, name: &str) -> usize {
        let is = |event: &Event| match &event.happening {
            Happening::Unit(told) => told.work_unit_id.as_str() == unit && event.name() == name,
            Happening::Session(_) => unit.is_empty() && event.name() == name,
            Happening::Unknown(_) => false,
        };
        self.events.iter().position(is).expect("the story has such an event")
    }

    /// What that event says.
    pub(crate) fn unit(&mut self, unit: &str, name: &str) -> &mut UnitHappening {
        let place = self.place(unit, name);
        match &mut self.events[place].happening {
            Happening::Unit(told) => told,
            Happening::Session(_) | Happening::Unknown(_) => unreachable!("it is of a unit"),
        }
    }

    /// What the session's event of this name says.
    pub(crate) fn session(&mut self, name: &str) -> &mut SessionEvent {
        let place = self.place("", name);
        match &mut self.events[place].happening {
            Happening::Session(told) => told,
            Happening::Unit(_) | Happening::Unknown(_) => unreachable!("it is of the session"),
        }
    }

    /// Leaves an event out, and closes the gap.
    pub(crate) fn drop(&mut self, unit: &str, name: &str) {
        let place = self.place(unit, name);
        self.events.remove(place);
        self.renumber();
    }

    /// Puts an event of a unit in, and numbers what follows anew.
    pub(crate) fn insert(&mut self, place: usize, unit: &str, attempt_index: u32, event: UnitEvent) {
        let work_unit_id = WorkUnitId::new(unit).expect("a wire name");
        let happening = Happening::Unit(UnitHappening { work_unit_id, attempt_index, event });
        let model = self.events[0].clone();
        self.events.insert(place, Event { happening, ..model });
        self.renumber();
    }

    pub(crate) fn renumber(&mut self) {
        for (nth, event) in self.events.iter_mut().enumerate() {
            let number: Result<Sequence, InvalidSequence> = Sequence::new(nth as u64 + 1);
            event.sequence = number.expect("a small number");
        }
        self.report.last_sequence = self.events.len() as u64;
    }
}
