//! Partitions are what their ranges are, whatever they are called downstream.

use super::run::Run;
use super::world::Inner;

/// A job over a table of two partitions, the first of which somebody has renamed downstream.
async fn with_another_name() -> Run {
    let mut run = Run::following(&["t1", "t2"]).await;
    run.world.with(|world| {
        let table = world.target.table_mut("t1").expect("it is replicated");
        table.partition_mut("p1").name = "mine".to_owned();
        world.partitions_renamed = true;
        world.load(&[("t1", &["p1", "p2"])]);
    });
    run.caught_up().await;
    run
}

fn target_names(world: &Inner) -> Vec<String> {
    let table = world.target.table("t1").expect("it is replicated");
    let mut names: Vec<String> = table.partitions.iter().map(|partition| partition.name.clone()).collect();
    names.sort();
    names
}

async fn comes_out(run: &mut Run, copies: u32, names: &[&str]) {
    run.world.with(|world| world.load_all("t1"));
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| target_names(world)), names);
    assert_eq!(run.world.with(|world| world.backups.accepted), 1 + copies);
}

#[tokio::test(start_paused = true)]
async fn a_partition_with_another_name_downstream_is_dropped() {
    let mut run = with_another_name().await;
    run.world.with(|world| world.drop_partition("t1", "p1"));
    comes_out(&mut run, 0, &["p2"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_with_another_name_downstream_is_truncated() {
    let mut run = with_another_name().await;
    run.world.with(|world| world.truncate("t1", &["p1"]));
    comes_out(&mut run, 0, &["mine", "p2"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_gets_its_new_name_whatever_it_had() {
    for hides_old_names in [false, true] {
        let mut run = with_another_name().await;
        run.world.with(|world| {
            world.hides_old_names = hides_old_names;
            world.rename_partition("t1", "p1", "new");
            world.rename_partition("t1", "p2", "mine");
        });
        comes_out(&mut run, 0, &["mine", "new"]).await;
    }
}

/// The table is read anew between, when what was seen of the partition at first is there no more.
#[tokio::test(start_paused = true)]
async fn a_partition_that_is_gone_for_long_is_still_known() {
    let mut run = with_another_name().await;
    run.world.with(|world| {
        world.target.table_mut("t1").expect("it is replicated").partition_mut("p2").name = "p1".to_owned();
        world.truncate("t1", &["p2"]);
        world.load(&[("t1", &["p2"])]);
        world.rename_partition("t1", "p2", "p3");
        world.load(&[("t1", &["p3"])]);
        world.drop_partition("t1", "p1");
    });
    comes_out(&mut run, 0, &["p3"]).await;
}

/// The second is what the first was called, so nothing may be done to what has that name.
#[tokio::test(start_paused = true)]
async fn partitions_that_exchange_their_names_are_not_confused() {
    let mut run = Run::following(&["t1"]).await;
    run.world.with(|world| {
        world.load(&[("t1", &["p1"])]);
        world.rename_partition("t1", "p1", "x");
        world.rename_partition("t1", "p2", "p1");
        world.rename_partition("t1", "x", "p2");
        world.truncate("t1", &["p1"]);
        world.drop_partition("t1", "p2");
    });
    comes_out(&mut run, 0, &["p1"]).await;
}

/// Nobody has seen the range of what is gone, and the name is taken by what stood beside it.
#[tokio::test(start_paused = true)]
async fn a_partition_of_that_name_that_is_another_one_is_left_and_the_table_copied() {
    let mut run = Run::following(&["t1"]).await;
    run.stop().await;
    run.world.with(|world| {
        let table = world.target.table_mut("t1").expect("it is replicated");
        for (old, new) in [("p1", "x"), ("p2", "p1"), ("x", "p2")] {
            table.partition_mut(old).name = new.to_owned();
        }
        world.drop_partition("t1", "p2");
    });
    run.start();
    comes_out(&mut run, 1, &["p1"]).await;
    assert!(run.history().iter().any(|(plan, why, _)| plan == "partial_sync" && why.contains("p2")));
}

#[tokio::test(start_paused = true)]
async fn a_drop_of_a_partition_that_nobody_knows_is_passed_over_with_its_reason() {
    let mut run = Run::following(&["t1"]).await;
    run.stop().await;
    run.world.with(|world| {
        let table = world.target.table_mut("t1").expect("it is replicated");
        table.partitions.retain(|partition| partition.name != "p1");
        world.drop_partition("t1", "p1");
    });
    run.start();
    comes_out(&mut run, 0, &["p2"]).await;
    assert!(run.history().iter().any(|(plan, why, _)| plan == "skip" && why.contains("p1")));
}

/// Without the old name and without the partition, only a copy tells what became of it.
#[tokio::test(start_paused = true)]
async fn a_rename_of_what_is_gone_and_has_no_old_name_copies_the_table() {
    let mut run = Run::following(&["t1"]).await;
    run.stop().await;
    run.world.with(|world| {
        world.hides_old_names = true;
        world.rename_partition("t1", "p1", "new");
        world.drop_partition("t1", "new");
        let seq = world.newest() - 1;
        world.journal.demands_copy.insert(seq);
    });
    run.start();
    comes_out(&mut run, 1, &["p2"]).await;
    assert!(
        run.history().iter().any(|(plan, why, _)| plan == "partial_sync" && why.contains("renamed to new"))
    );
}

/// One that was indexed, and one that was replaced, keep what they are called downstream.
#[tokio::test(start_paused = true)]
async fn a_partition_with_another_name_downstream_is_indexed_and_replaced() {
    for exchanged in [false, true] {
        let mut run = Run::following(&["t1", "t2"]).await;
        run.world.with(|world| {
            world.add_index("t1", "i1");
            world.load_all("t1");
        });
        run.caught_up().await;
        let names = run.world.with(|world| {
            world.partitions_renamed = true;
            let table = world.target.table_mut("t1").expect("it is replicated");
            table.partition_mut("p1").name = "mine".to_owned();
            if exchanged {
                table.partition_mut("p2").name = "p1".to_owned();
                table.partition_mut("mine").name = "p2".to_owned();
            }
            let names = target_names(world);
            world.build_index("t1", "i1");
            world.add_partition("t1", 1, true);
            world.load(&[("t1", &["tp1"])]);
            world.replace_partition("t1", "p1", "tp1");
            names
        });
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        comes_out(&mut run, 1, &names).await;
    }
}

/// A partition goes before the end of the build is reported that was under way for it.
#[tokio::test(start_paused = true)]
async fn an_index_of_a_partition_that_is_gone_is_not_missed() {
    let mut run = Run::following(&["t1"]).await;
    run.world.with(|world| {
        world.add_index("t1", "i1");
        world.load_all("t1");
    });
    run.caught_up().await;
    run.world.with(|world| {
        world.build_index_late("t1", "i1", |world| world.drop_partition("t1", "p1"));
        world.load_all("t1");
    });
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.backups.accepted), 2, "the index was added by a copy");
}

/// A temporary partition of the range of one that was truncated is older, and stands alone when that is dropped.
#[tokio::test(start_paused = true)]
async fn a_temporary_partition_is_not_taken_for_the_one_that_is_gone() {
    let mut run = Run::following(&["t1"]).await;
    run.world.with(|world| {
        world.add_partition("t1", 1, true);
        world.truncate("t1", &["p1"]);
    });
    run.caught_up().await;
    run.stop().await;
    run.world.with(|world| world.drop_partition("t1", "p1"));
    run.start();
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.backups.accepted), 1, "nothing is copied");
}

/// An INSERT OVERWRITE upstream waits for its rows to be visible before it puts them in place.
#[tokio::test(start_paused = true)]
async fn rows_that_are_put_in_the_place_of_others_are_visible_then() {
    let mut run = Run::following(&["t1", "t2"]).await;
    run.world.with(|world| {
        world.load_all("t1");
        world.load_all("t2");
        world.transactions.publish_late = 10;
        world.add_partition("t1", 1, true);
        world.load(&[("t1", &["tp1"])]);
        world.replace_partition("t1", "p1", "tp1");
        world.load_all("t2");
        world.replace_table("t1", "t2", true);
        world.load_all("t1");
    });
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.backups.accepted), 1, "nothing is copied");
}

/// A table that cannot be published waits no longer than an INSERT does.
#[tokio::test(start_paused = true)]
async fn a_swap_does_not_wait_for_ever_for_rows_to_be_visible() {
    let mut run = Run::following(&["t1", "t2"]).await;
    let (newest, began) = run.world.with(|world| {
        let stuck = world.target.table("t1").expect("it is replicated").id;
        world.transactions.stuck.push(stuck);
        world.add_partition("t1", 1, true);
        world.load(&[("t1", &["tp1"])]);
        world.replace_partition("t1", "p1", "tp1");
        world.load_all("t2");
        (world.newest(), world.now_ms)
    });
    run.until("the others", |world, _| world.store.position.commit_seq >= newest).await;
    let waited = run.world.with(|world| {
        world.transactions.stuck.clear();
        world.now_ms - began
    });
    assert!(waited < 20_000, "the other table waited for {waited} ms");
    run.caught_up().await;
    run.check();
}
