//! Random work upstream, random faults everywhere, the same outcome.
//!
//! A failing seed is printed; `CCR_SIM_SEED=<n>` runs that one alone, `CCR_SIM_SEEDS=<n>` that many.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use super::run::Run;
use super::world::faults::Random;
use super::world::{Inner, World};

const SEEDS: u64 = 200;

const NAMES: &[&str] = &["t1", "t2", "t3", "t4"];

#[tokio::test(start_paused = true)]
async fn whatever_happens_the_target_becomes_the_source() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("CCR_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CCR_SIM_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        if AssertUnwindSafe(play(seed)).catch_unwind().await.is_err() {
            panic!("seed {seed} fails; run it alone with CCR_SIM_SEED={seed}");
        }
    }
}

async fn play(seed: u64) {
    let mut random = Random::new(seed);
    let world = World::new();
    world.with(|world| {
        for _ in 0..random.below(4) + 1 {
            work(world, &mut random);
        }
        for _ in 0..random.below(5) {
            let mut own = Random::new(seed ^ 0xABCD ^ random.number(1 << 20));
            world.backups.between_barriers.push_back(Box::new(move |world| {
                for _ in 0..own.below(4) {
                    work(world, &mut own);
                }
            }));
        }
        world.plan.latency_ms = random.below(8);
        let percent = random.below(6);
        world.plan.random = Some((Random::new(seed ^ 0x5EED), percent, 60));
        world.backups.cancel = u32::from(random.chance(5));
        world.restores.cancel = u32::from(random.chance(5));
        world.async_polls = random.chance(30).then_some(2);
        world.transactions.publish_late = u32::from(random.chance(20));
        world.hides_drops = random.chance(10);
    });
    let mut run = Run::database(world);
    run.options.max_transactions_in_flight = random.below(8) + 1;
    run.start();
    for _ in 0..random.below(6) + 2 {
        run.world.with(|world| {
            for _ in 0..random.below(8) {
                work(world, &mut random);
            }
            if random.chance(4) {
                world.expire_binlogs();
            }
            if world.source.tables.is_empty() {
                world.create("t1", &[1], 1);
            }
        });
        if random.chance(60) {
            run.caught_up().await;
            run.check();
        } else {
            let pause = std::time::Duration::from_millis(random.number(800));
            tokio::time::sleep(pause).await;
        }
    }
    run.world.with(|world| world.plan.random = None);
    run.caught_up().await;
    run.check();
}

/// One thing that a user does, if it can be done now.
fn work(world: &mut Inner, random: &mut Random) {
    let name = *random.pick(NAMES);
    let Some(table) = world.source.table(name).cloned() else {
        let partitions = &[1, 2, 3][..random.below(4)];
        world.create(name, partitions, random.below(3) + 1);
        return;
    };
    let partitions: Vec<String> = table.partitions.iter().map(|partition| partition.name.clone()).collect();
    let one = |random: &mut Random| random.pick(&partitions).clone();
    match random.below(22) {
        0 if random.chance(50) => world.drop_table(name),
        1 if table.is_partitioned && partitions.len() > 1 => world.drop_partition(name, &one(random)),
        2 if table.is_partitioned => {
            let n = (1..9).find(|n| !partitions.contains(&format!("p{n}")));
            if let Some(n) = n {
                world.add_partition(name, n, false);
            }
        }
        3 => world.truncate(name, &[]),
        4 if table.is_partitioned => {
            let one = one(random);
            if !one.starts_with("tp") {
                world.truncate(name, &[&one]);
            }
        }
        5 => world.database_property(),
        6 if table.is_partitioned && !partitions.contains(&"tp1".to_owned()) => {
            world.add_partition(name, 1, true);
        }
        7 => {
            let other = *random.pick(NAMES);
            if other != name && world.source.table(other).is_some() {
                let first = world.source.table(other).expect("just seen").partitions[0].name.clone();
                world.load(&[(name, &[&one(random)]), (other, &[&first])]);
            }
        }
        8 if partitions.contains(&"tp1".to_owned()) && partitions.contains(&"p1".to_owned()) => {
            world.replace_partition(name, "p1", "tp1");
        }
        9 if random.chance(30) => {
            let to = *random.pick(NAMES);
            if world.source.table(to).is_none() {
                world.rename_table(name, to);
            }
        }
        10..=15 => {
            let one = one(random);
            world.load(&[(name, &[&one])]);
        }
        _ => world.load_all(name),
    }
}
