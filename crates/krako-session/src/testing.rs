//! Sessions of a scripted world, for tests: honest ones, and a table of lies told about them.
#![expect(clippy::expect_used, reason = "what stands here is of this crate's own making")]

mod lie;
mod lies;
mod story;
mod world;

pub use self::lie::Lie;
pub use self::lies::lies;
pub use self::story::Story;
pub use self::world::{Script, Step, Told, carry_on, play};
