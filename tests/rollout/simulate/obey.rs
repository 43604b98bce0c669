//! Carries out what the machine says, in the simulated world.

use clusterctl::rollout::{Instruction, RolloutEvent};

use super::Scenario;
use crate::chance::Chance;
use crate::world::World;

pub(super) fn obey(
    commands: &[Instruction],
    scenario: &Scenario,
    world: &mut World,
    chance: &mut Chance,
) {
    for command in commands {
        match command {
            Instruction::Submit { instance, change, ticket, .. } => {
                world.submit(*instance, *change, *ticket, chance);
            }
            Instruction::Look { instance, .. } => world.look(*instance, chance),
            Instruction::Unpin { instances } => {
                world.pinned.retain(|number| !instances.contains(number));
                let (instances, since) = (instances.clone(), world.moment());
                world.deliver(0, world.driver, RolloutEvent::Unpinned { instances, since });
            }
            Instruction::RestoreDefinition { .. } => {
                let fails = chance.percent(scenario.restore_fails);
                if !fails {
                    world.loaded = 0;
                    world.pinned.clear();
                }
                let result = if fails {
                    Err("no space left on device".to_owned())
                } else {
                    Ok(world.moment())
                };
                let after = chance.between(0, 3000);
                if !chance.percent(scenario.restore_fails) {
                    world.deliver(
                        after,
                        world.driver,
                        RolloutEvent::DefinitionRestored(result.clone()),
                    );
                }
                if world.weather.twice > 0 {
                    world.deliver(
                        after * 2,
                        world.driver,
                        RolloutEvent::DefinitionRestored(result),
                    );
                }
            }
        }
    }
}
