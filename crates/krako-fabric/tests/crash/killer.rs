//! Kills one part after the other, while there is work.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fleet::Fleet;
use crate::load::Load;

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    /// One below `sides`: `SplitMix64`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    async fn pause(&mut self, most_ms: u64) {
        tokio::time::sleep(Duration::from_micros(self.roll(most_ms * 1000))).await;
    }
}

/// So many kills, spread over nine tenths of the sessions: there is always work under way, and it always goes on. How
/// often each part was killed.
pub(crate) async fn run(fleet: &Fleet, load: &Load, kills: u64, seed: u64) -> BTreeMap<String, u64> {
    let (mut dice, mut killed) = (Dice(seed), BTreeMap::new());
    for kill in 0..kills {
        load.until(kill * load.sessions * 9 / 10 / kills).await;
        dice.pause(20).await;
        // Every fifth time the one that has everything to lose; otherwise any.
        let which = match kill % 5 {
            0 => Fleet::ORCHESTRATOR,
            _ => usize::try_from(dice.roll(fleet.parts() as u64)).unwrap(),
        };
        fleet.kill(which);
        // Sometimes it is missed, and sometimes not.
        if dice.roll(2) == 0 {
            dice.pause(60).await;
        }
        fleet.restart(which);
        *killed.entry(fleet.name(which)).or_default() += 1;
    }
    killed
}
