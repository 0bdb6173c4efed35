//! Random work upstream, random faults everywhere, the same outcome.
//!
//! A failing seed is printed; `CCR_SIM_SEED=<n>` runs that one alone, `CCR_SIM_SEEDS=<n>` that many.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use super::altered;
use super::crash_matrix::assert_all_types;
use super::options;
use super::run::Run;
use super::world::catalog::Table;
use super::world::faults::Random;
use super::world::txn::TxnState;
use super::world::upstream::Written;
use super::world::{Inner, World};

const SEEDS: u64 = 1000;

/// After so many failures the others are not looked for.
const MAX_FAILED: usize = 10;

const NAMES: &[&str] = &["t1", "t2", "t3", "t4"];

#[tokio::test(start_paused = true)]
async fn whatever_happens_the_target_becomes_the_source() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("CCR_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CCR_SIM_SEEDS").unwrap_or(SEEDS),
    };
    let (mut failed, mut types) = (Vec::new(), BTreeSet::new());
    let many = seeds.end - seeds.start >= SEEDS;
    for seed in seeds {
        match AssertUnwindSafe(play(seed)).catch_unwind().await {
            Ok(written) => types.extend(written),
            Err(_) => failed.push(seed),
        }
        if failed.len() == MAX_FAILED {
            break;
        }
    }
    assert!(failed.is_empty(), "seeds {failed:?} fail; run one alone with CCR_SIM_SEED={}", failed[0]);
    if many {
        assert_all_types(&types);
    }
}

/// Answers with the types of binlog that were written.
async fn play(seed: u64) -> BTreeSet<i32> {
    let mut random = Random::new(seed);
    let world = World::new();
    let is_table_job = seed % 4 == 3;
    world.with(|world| {
        if is_table_job {
            world.create("t1", &[1, 2], 2);
            world.only_table = Some(("t1".to_owned(), "x1".to_owned()));
        }
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
        world.plan.is_stale = seed % 3 == 2;
        world.plan.is_contended = seed % 4 == 2 || seed % 8 == 7;
        world.backups.cancel = u32::from(random.chance(5));
        world.restores.cancel = u32::from(random.chance(5));
        world.async_polls = random.chance(30).then_some(2);
        world.transactions.publish_late = u32::from(random.chance(20));
        world.plan.loses_snapshots = random.chance(30);
        world.plan.election_ms = if random.chance(30) {
            0
        } else {
            i64::try_from(random.number(3000)).expect("elections are short")
        };
        world.hides_drops = random.chance(10);
        world.hides_old_names = random.chance(30);
        if random.chance(25) {
            let slow = [random.number(2_000), random.number(2_000)];
            world.plan.slow.insert("target.execute", slow);
        }
    });
    let followed = world.with(|world| world.only_table.clone());
    let mut run = match &followed {
        None => Run::database(world),
        Some((source, target)) => Run::table(world, source, target),
    };
    run.options.max_transactions_in_flight = random.below(8) + 1;
    let follows_media = seed % 5 == 2;
    if follows_media {
        options::follow_media(&mut run.record.spec.options);
        run.world.with(|world| world.follows_media = true);
    }
    if seed % 3 == 1 {
        run.record.spec.options.reuse_binlog_label = true;
        let mut own = Random::new(seed ^ 0x1ABE1);
        run.world.with(|world| {
            for n in 1..40 {
                let state = if own.chance(50) { TxnState::Visible } else { TxnState::Prepare };
                if own.chance(15) {
                    world.foreign_load(&format!("load_{n}"), state);
                }
            }
        });
    }
    // A generator of its own, so that the seeds play the same in either order.
    let mut ordering = Random::new(seed ^ 0x0BDE);
    if ordering.chance(50) {
        run.in_table_order(ordering.below(4) + 1);
    }
    let mut full = Random::new(seed ^ 0xF011);
    let mut gaps = Random::new(seed ^ 0x6A95);
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
        if full.chance(15) {
            run.world.with(|world| {
                let ids: Vec<i64> = world.source.tables.keys().copied().collect();
                let which = *full.pick(&ids);
                let name = world.source.tables[&which].name.clone();
                match full.below(4) {
                    0 => world.full_tables = vec![which],
                    1 => world.locked_tables = vec![name],
                    2 => world.busy_tables = vec![name, "v1".to_owned()],
                    _ => world.mute_tables = vec![name, "v1".to_owned()],
                }
            });
            tokio::time::sleep(std::time::Duration::from_millis(full.number(20_000))).await;
            run.world.with(|world| {
                world.full_tables.clear();
                world.locked_tables.clear();
                world.busy_tables.clear();
                world.mute_tables.clear();
            });
        }
        if gaps.chance(15) {
            gap(&mut run, &mut gaps).await;
        }
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
    run.alone().await;
    run.check();
    // Behind its time, what an upstream tells may look like a reason to copy a table, but never everything.
    let undemanded = |world: &mut Inner| {
        if world.plan.is_stale { world.undemanded_full_sync() } else { world.undemanded_copy() }
    };
    if let Some(copy) = run.world.with(undemanded) {
        run.fail(&format!("not demanded: {copy}"));
    }
    // It would go on beside the next one for ever.
    run.stop().await;
    run.world.with(|world| world.journal.types.clone())
}

/// The job is away, or just behind, while a part of the binlog expires.
async fn gap(run: &mut Run, random: &mut Random) {
    let is_away = random.chance(60);
    if is_away {
        run.stop().await;
    }
    run.world.with(|world| {
        for _ in 0..random.below(10) {
            work(world, random);
        }
        let (from, to) = (world.store.position.commit_seq, world.newest());
        let behind = usize::try_from(to - from).unwrap_or(0);
        world.expire_binlogs_to(to - i64::try_from(random.below(behind + 1)).expect("few entries"));
        for _ in 0..random.below(3) {
            work(world, random);
        }
    });
    if is_away {
        run.start();
    }
}

/// One thing that a user does, if it can be done now.
fn work(world: &mut Inner, random: &mut Random) {
    let name = *random.pick(NAMES);
    let Some(table) = world.source.table(name).cloned() else {
        if is_former_name(world, name) {
            return;
        }
        let partitions = &[1, 2, 3][..random.below(4)];
        world.create(name, partitions, random.below(3) + 1);
        return;
    };
    let followed = world.only_table.as_ref().is_some_and(|(source, _)| source == name);
    let partitions: Vec<String> = table.partitions.iter().map(|partition| partition.name.clone()).collect();
    let one = |random: &mut Random| random.pick(&partitions).clone();
    match random.below(39) {
        38 if table.is_partitioned => {
            let old = one(random);
            let is_temporary = table.partitions.iter().any(|one| one.name == old && one.is_temporary);
            let new = format!("{}r", old.trim_end_matches('r'));
            if !is_temporary && !partitions.contains(&new) {
                world.rename_partition(name, &old, &new);
            }
        }
        0 if random.chance(50) && !followed => world.drop_table(name),
        1 | 26 if table.is_partitioned && partitions.len() > 1 => world.drop_partition(name, &one(random)),
        2 if table.is_partitioned => {
            let is_free = |n: &i64| {
                let mut there = table.partitions.iter().filter(|one| !one.is_temporary);
                there.all(|one| one.name != format!("p{n}") && one.bounds != Some((n * 10, n * 10 + 10)))
            };
            let n = (1..9).find(is_free);
            if let Some(n) = n {
                world.add_partition(name, n, false);
            }
        }
        3 if world.follows_media && random.chance(50) => {
            let medium = *random.pick(&["HDD", "SSD"]);
            world.set_medium(name, &[&one(random)], medium);
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
        7 | 8 => {
            let other = *random.pick(NAMES);
            if other != name && world.source.table(other).is_some() {
                let first = world.source.table(other).expect("just seen").partitions[0].name.clone();
                world.load(&[(name, &[&one(random)]), (other, &[&first])]);
            }
        }
        9 if partitions.contains(&"tp1".to_owned()) && partitions.contains(&"p1".to_owned()) => {
            world.replace_partition(name, "p1", "tp1");
        }
        10 if random.chance(40) => {
            let to = *random.pick(NAMES);
            // Until the first snapshot a table job is about whichever table has the name.
            let is_linked = world.store.state.as_ref().is_some_and(|state| !state.tables.is_empty());
            let is_free = world.source.table(to).is_none() && !is_former_name(world, to);
            if is_free && (!followed || is_linked) {
                world.rename_table(name, to);
                if let Some((source, _)) = world.only_table.as_mut().filter(|_| followed) {
                    to.clone_into(source);
                }
            }
        }
        11 if random.chance(40) => {
            let other = *random.pick(NAMES);
            let other_followed = world.only_table.as_ref().is_some_and(|(source, _)| source == other);
            if other != name && world.source.table(other).is_some() && !followed && !other_followed {
                world.replace_table(name, other, random.chance(60));
            }
        }
        12 if random.chance(40) => world.schema_change(name),
        13 => {
            let free = |column: &String| !table.columns.contains(column);
            let column = (0..).map(|n| format!("c{n}")).find(free).expect("a name is free");
            world.add_column(name, &column);
        }
        14 => view(world, random, name),
        15..=17 => statements(world, random, name),
        25 if !world.recoverable(name).is_empty() => {
            let gone = random.pick(&world.recoverable(name)).clone();
            let new_name = format!("{gone}x");
            let is_free = !partitions.contains(&new_name);
            let renames = is_free && random.chance(30);
            world.recover_partition(name, &gone, if renames { &new_name } else { "" });
        }
        25 | 26 => restore(world, random, name),
        32..=37 => altered::anything(world, random, &table),
        18..=24 => {
            let one = one(random);
            world.load(&[(name, &[&one])]);
        }
        _ => world.load_all(name),
    }
}

/// Whether the table of a table job had this name when the job last heard of it. When its new name has expired, nothing
/// tells it from a table that another one was swapped with, so no other table gets the name.
fn is_former_name(world: &Inner, name: &str) -> bool {
    let links = world.store.state.iter().flat_map(|state| state.tables.values());
    let had = links.into_iter().any(|link| link.source_name == name);
    had && world.only_table.as_ref().is_some_and(|(now, _)| now != name)
}

/// Keeps a table as it is, or restores one that was kept: in place where that is possible.
fn restore(world: &mut Inner, random: &mut Random, name: &str) {
    let table = world.source.table(name).expect("the table to keep exists").clone();
    if world.backups.is_running() || random.chance(60) || world.upstream_restores.kept.is_empty() {
        world.upstream_restores.kept.push(table);
        return;
    }
    let kept = random.pick(&world.upstream_restores.kept).clone();
    let is_same = |table: &Table| {
        (table.id, &table.name, table.index_id, &table.columns, &table.traits)
            == (kept.id, &kept.name, kept.index_id, &kept.columns, &kept.traits)
    };
    if world.source.tables.values().any(is_same) {
        world.restore_in_place(&kept);
    } else {
        world.restore_atomically(&kept.name, &kept);
    }
}

/// Creates a view, or alters or drops it when it is there, or restores it.
fn view(world: &mut Inner, random: &mut Random, of: &str) {
    let name = *random.pick(&["v1", "v2", "v3"]);
    if !world.backups.is_running() && random.chance(15) {
        let of = world.source.views.get(name).map_or(of.to_owned(), |view| view.of.clone());
        world.restore_view(name, &of);
        return;
    }
    match world.source.views.contains_key(name) {
        false => world.create_view(name, of),
        true if random.chance(20) => world.comment_view(name, None, of),
        true if random.chance(20) => world.comment_view(name, Some(of), of),
        true if random.chance(30) => {
            let other = if name == "v1" { "v2" } else { "v1" };
            let to = if world.source.views.contains_key(other) { "v3" } else { other };
            if !world.source.views.contains_key(to) {
                world.rename_view(name, to);
            }
        }
        true if random.chance(60) => world.alter_view(name, of),
        true => world.drop_view(name),
    }
}

/// An explicit transaction of one to four statements on one or two tables.
fn statements(world: &mut Inner, random: &mut Random, name: &str) {
    let tables: Vec<(String, Vec<String>)> = [name, *random.pick(NAMES)]
        .into_iter()
        .filter_map(|name| world.source.table(name))
        .map(|table| (table.name.clone(), table.partitions.iter().map(|p| p.name.clone()).collect()))
        .collect();
    let chosen: Vec<(&str, &str)> = (0..random.below(4) + 1)
        .map(|_| {
            let (table, partitions) = random.pick(&tables);
            (table.as_str(), random.pick(partitions).as_str())
        })
        .collect();
    let partitions: Vec<[&str; 1]> = chosen.iter().map(|(_, partition)| [*partition]).collect();
    let written: Vec<[Written<'_>; 1]> =
        chosen.iter().zip(&partitions).map(|((table, _), partitions)| [(*table, &partitions[..])]).collect();
    let statements: Vec<&[Written<'_>]> = written.iter().map(|statement| &statement[..]).collect();
    world.load_statements(&statements);
}
