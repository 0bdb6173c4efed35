//! What ALTER TABLE and its kin change: each statement once, and drawn at random.

use super::run::Run;
use super::scenario::then;
use super::world::Inner;
use super::world::alter::Alter;
use super::world::catalog::Table;
use super::world::faults::Random;

fn text(value: &str) -> String {
    value.to_owned()
}

/// Comments, properties, the distribution of what comes later.
pub async fn described(run: &mut Run) {
    then(run, |world| {
        world.alter("t1", &Alter::Comment(text("it's")));
        world.load_all("t1");
        world.alter("t1", &Alter::ColumnComment { column: text("v"), text: text("a `value`") });
        world.alter("t1", &Alter::Set { key: text("compaction_policy"), value: text("time_series") });
        world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
        world.alter("t1", &Alter::Buckets(7));
        world.alter("t1", &Alter::Randomly);
        world.alter("t1", &Alter::Buckets(5));
        world.load_all("t1");
    })
    .await;
}

/// Light changes of columns.
pub async fn columns(run: &mut Run) {
    then(run, |world| {
        world.add_column("t1", "c1");
        world.load_all("t1");
        world.alter("t1", &Alter::ModifyColumn { column: text("c1"), to: text("bigint") });
        world.alter("t1", &Alter::RenameColumn { from: text("c1"), to: text("c2") });
        world.load_all("t1");
        world.add_column("t1", "c1");
        world.alter("t1", &Alter::DropColumn(text("c2")));
        world.load(&[("t1", &["p1"])]);
    })
    .await;
}

/// Made, which copies the table, renamed, dropped. Each when the loads of before are replicated: indexes are told
/// apart by their names as they are, so one that has another name by then, or is gone, makes a copy.
pub async fn rollups(run: &mut Run) {
    then(run, |world| {
        world.load_all("t1");
        world.add_rollup("t1", "r1");
        world.load_all("t1");
    })
    .await;
    then(run, |world| {
        world.alter("t1", &Alter::RenameRollup { from: text("r1"), to: text("r2") });
        world.load_all("t1");
    })
    .await;
    then(run, |world| {
        world.alter("t1", &Alter::DropRollup(text("r2")));
        world.load_all("t1");
    })
    .await;
}

/// Added, which copies the table, built, dropped.
pub async fn indexes(run: &mut Run) {
    then(run, |world| {
        world.load_all("t1");
        world.add_index("t1", "i1");
        world.load_all("t1");
    })
    .await;
    then(run, |world| {
        world.build_index("t1", "i1");
        world.load_all("t1");
    })
    .await;
    then(run, |world| {
        world.alter("t1", &Alter::DropIndex(text("i1")));
        world.load_all("t1");
    })
    .await;
}

pub async fn partition_names(run: &mut Run) {
    then(run, |world| {
        world.load_all("t1");
        world.alter("t1", &Alter::RenamePartition { from: text("p1"), to: text("q1") });
        world.load(&[("t1", &["q1", "p2"])]);
        world.truncate("t1", &["q1"]);
        world.load_all("t1");
        world.alter("t1", &Alter::RenamePartition { from: text("p2"), to: text("p1") });
        world.load(&[("t1", &["p1"])]);
        world.drop_partition("t1", "q1");
        world.load_all("t1");
    })
    .await;
}

/// A table comes back from the recycle bin, under its name or another.
pub async fn recovered(run: &mut Run, new_name: &str) {
    then(run, |world| {
        world.load_all("t1");
        world.drop_table("t1");
        world.load_all("t2");
    })
    .await;
    let name = if new_name.is_empty() { "t1" } else { new_name };
    then(run, |world| {
        world.recover_table("t1", new_name);
        world.load_all(name);
        world.load(&[(name, &["p1"]), ("t2", &["t2"])]);
    })
    .await;
}

/// One of all that, if it can be done to the table now.
pub fn anything(world: &mut Inner, random: &mut Random, table: &Table) {
    let name = table.name.as_str();
    let columns: Vec<&String> = table.columns.iter().filter(|column| *column != "k").collect();
    let fresh = |prefix: &str, taken: &dyn Fn(&str) -> bool| {
        (0..).map(|n| format!("{prefix}{n}")).find(|name| !taken(name)).expect("a name is free")
    };
    let column = |random: &mut Random| (*random.pick(&columns)).clone();
    let what = match random.below(16) {
        0 => Alter::Comment(format!("comment {}", random.below(9))),
        1 if !columns.is_empty() => {
            Alter::ColumnComment { column: column(random), text: format!("comment {}", random.below(9)) }
        }
        2 => Alter::Set { key: text("compaction_policy"), value: format!("policy {}", random.below(9)) },
        3 if !columns.is_empty() => {
            let from = column(random);
            let to = fresh("r", &|name| table.columns.iter().any(|column| column == name));
            Alter::RenameColumn { from, to }
        }
        4 if columns.len() > 1 => Alter::DropColumn(column(random)),
        5 if !columns.is_empty() => {
            let column = column(random);
            let to = text(if table.traits.column_types.get(&column).is_some_and(|kind| kind == "bigint") {
                "largeint"
            } else {
                "bigint"
            });
            Alter::ModifyColumn { column, to }
        }
        6 | 7 if table.is_partitioned => {
            let formal: Vec<_> = table.partitions.iter().filter(|one| !one.is_temporary).collect();
            if formal.is_empty() {
                return;
            }
            let from = random.pick(&formal).name.clone();
            let to = fresh("q", &|name| table.partitions.iter().any(|one| one.name == name));
            Alter::RenamePartition { from, to }
        }
        8 | 9 => {
            let rollups: Vec<&String> = table.traits.rollups.keys().collect();
            if rollups.is_empty() || random.chance(20) {
                let rollup = fresh("roll", &|name| table.traits.rollups.contains_key(name));
                world.add_rollup(name, &rollup);
                return;
            }
            let from = (*random.pick(&rollups)).clone();
            if random.chance(50) {
                let to = fresh("roll", &|name| table.traits.rollups.contains_key(name));
                Alter::RenameRollup { from, to }
            } else {
                Alter::DropRollup(from)
            }
        }
        10..=12 => {
            let indexes: Vec<&String> = table.traits.indexes.iter().collect();
            if indexes.is_empty() {
                world.add_index(name, "i1");
                return;
            }
            let index = (*random.pick(&indexes)).clone();
            if random.chance(50) {
                world.build_index(name, &index);
                return;
            }
            Alter::DropIndex(index)
        }
        13 if table.is_partitioned => Alter::Buckets(random.below(9) + 1),
        14 if !table.traits.is_random => Alter::Randomly,
        15 => {
            let gone = world.recoverable_tables();
            if !gone.is_empty() {
                let gone = random.pick(&gone).clone();
                world.recover_table(&gone, "");
            }
            return;
        }
        _ => return,
    };
    world.alter(name, &what);
}
