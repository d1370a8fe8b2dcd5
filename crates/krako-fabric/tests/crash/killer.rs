//! Kills one part after the other, while there is work.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::dice::Dice;
use crate::fleet::Fleet;
use crate::load::Load;

async fn pause(dice: &mut Dice, most_ms: u64) {
    tokio::time::sleep(Duration::from_micros(dice.below(most_ms * 1000))).await;
}

/// So many kills, spread over nine tenths of the sessions: there is always work under way, and it always goes on. How
/// often each part was killed.
pub(crate) async fn run(fleet: &Fleet, load: &Load, kills: u64, seed: u64) -> BTreeMap<String, u64> {
    let (mut dice, mut killed) = (Dice::new(seed), BTreeMap::new());
    for kill in 0..kills {
        load.until(kill * load.sessions * 9 / 10 / kills).await;
        pause(&mut dice, 20).await;
        // Every fifth time the one that has everything to lose; otherwise any.
        let which = match kill % 5 {
            0 => Fleet::ORCHESTRATOR,
            _ => usize::try_from(dice.below(fleet.parts() as u64)).unwrap(),
        };
        fleet.kill(which);
        // Sometimes it is missed, and sometimes not.
        if dice.below(2) == 0 {
            pause(&mut dice, 60).await;
        }
        fleet.restart(which);
        *killed.entry(fleet.name(which)).or_default() += 1;
    }
    killed
}
