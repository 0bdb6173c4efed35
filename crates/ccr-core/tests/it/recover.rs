//! Partitions that are dropped and recovered upstream: only they are copied, while the rest of the table is read.

use ccr_core::control::Request;
use ccr_core::job::PartialSyncReason;

use super::run::Run;
use super::scenario::{copies_begun, restores_accepted, then, two_tables};
use super::world::World;
use super::world::catalog::Table;

/// A partition is dropped between two loads.
async fn dropped_under_load(run: &mut Run) {
    then(run, |world| {
        world.load_all("t1");
        world.drop_partition("t1", "p1");
        world.load_all("t1");
    })
    .await;
}

/// Loads at every stage of the copy of a partition, into it and beside it.
pub async fn under_load(run: &mut Run) {
    dropped_under_load(run).await;
    run.world.with(|world| {
        world.recover_partition("t1", "p1", "q1");
        world.load(&[("t1", &["q1", "p2"]), ("t2", &["t2"])]);
    });
    copies_begun(run, 1).await;
    run.world.with(|world| {
        world.load(&[("t1", &["p2"])]);
        world.load(&[("t1", &["q1"]), ("t2", &["t2"])]);
        world.load_statements(&[&[("t1", &["q1"])], &[("t1", &["p2"])], &[("t2", &["t2"])]]);
    });
    restores_accepted(run, 2).await;
    run.world.with(|world| {
        world.load_all("t1");
        world.load(&[("t2", &["t2"])]);
    });
    run.until("the copy", |world, _| world.restores.finished >= 2).await;
    run.world.with(|world| {
        world.load(&[("t1", &["q1"])]);
        world.add_partition("t1", 3, false);
        world.load_all("t1");
    });
}

/// The table changes between the moment at which its partitions stand and that of the copied one.
pub async fn and_change(run: &mut Run) {
    then(run, |world| {
        world.drop_partition("t1", "p1");
        world.load_all("t1");
    })
    .await;
    run.world.with(|world| {
        world.recover_partition("t1", "p1", "");
        world.load_all("t1");
        world.add_partition("t1", 3, false);
        world.load(&[("t1", &["p1", "p3"]), ("t2", &["t2"])]);
    });
}

/// The partition is gone again before it can be copied.
pub async fn and_drop(run: &mut Run) {
    dropped_under_load(run).await;
    run.world.with(|world| {
        world.recover_partition("t1", "p1", "q1");
        world.load_all("t1");
        world.drop_partition("t1", "q1");
        world.load_all("t1");
    });
}

/// The table gets another name while the partition is restored.
pub async fn and_rename(run: &mut Run) {
    then(run, |world| world.drop_partition("t1", "p1")).await;
    run.world.with(|world| {
        world.restores.is_held = true;
        world.recover_partition("t1", "p1", "");
        world.load_all("t1");
    });
    restores_accepted(run, 2).await;
    run.world.with(|world| {
        world.rename_table("t1", "t9");
        world.load_all("t9");
        world.load_all("t2");
    });
    run.until("the new name", |world, _| world.target.table("t9").is_some()).await;
    run.world.with(|world| world.restores.is_held = false);
}

async fn following(target: Option<&str>) -> Run {
    let world = World::new();
    two_tables(&world);
    let mut run = match target {
        None => Run::database(world),
        Some(target) => Run::table(world, "t1", target),
    };
    run.start();
    then(&mut run, |world| {
        world.drop_partition("t1", "p1");
        world.load_all("t1");
    })
    .await;
    run
}

fn target(run: &Run, name: &str) -> Table {
    run.world.with(|world| world.target.table(name).expect("the target is there").clone())
}

/// Why tables were copied, each for itself.
fn reasons(run: &Run) -> Vec<PartialSyncReason> {
    run.world.with(|world| world.store.partial_syncs.iter().map(|(.., reason)| reason.clone()).collect())
}

async fn copied(run: &mut Run) {
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.undemanded_copy()), None);
}

#[tokio::test(start_paused = true)]
async fn only_the_recovered_partition_is_copied() {
    for name in [None, Some("t1")] {
        let mut run = following(name).await;
        let before = target(&run, "t1");
        run.world.with(|world| {
            world.recover_partition("t1", "p1", "q1");
            world.load_all("t1");
        });
        copied(&mut run).await;
        assert!(matches!(&reasons(&run)[..], [PartialSyncReason::Recovered(_)]), "{:?}", reasons(&run));
        let after = target(&run, "t1");
        assert_eq!((after.id, after.partitions[0].id), (before.id, before.partitions[0].id));
        assert_eq!(after.partitions.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["p2", "q1"]);
        run.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_others_go_on_while_a_partition_is_copied() {
    let mut run = following(None).await;
    run.world.with(|world| {
        world.restores.is_held = true;
        world.recover_partition("t1", "p1", "");
        world.load(&[("t1", &["p1", "p2"]), ("t2", &["t2"])]);
    });
    restores_accepted(&mut run, 2).await;
    let newest = run.world.with(|world| {
        world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
        world.newest()
    });
    run.until("the other table", |world, _| world.store.position.commit_seq >= newest).await;
    run.world.with(|world| world.restores.is_held = false);
    copied(&mut run).await;
}

#[tokio::test(start_paused = true)]
async fn a_target_with_another_name_is_copied_whole() {
    let mut run = following(Some("x1")).await;
    run.world.with(|world| world.recover_partition("t1", "p1", ""));
    copied(&mut run).await;
    assert!(matches!(&reasons(&run)[..], [PartialSyncReason::Change { .. }]), "{:?}", reasons(&run));
}

#[tokio::test(start_paused = true)]
async fn a_table_that_changed_meanwhile_is_copied_whole() {
    let mut run = following(None).await;
    run.world.with(|world| {
        world.recover_partition("t1", "p1", "");
        world.add_column("t1", "c1");
    });
    copied(&mut run).await;
    let found = reasons(&run);
    assert!(
        matches!(&found[..], [PartialSyncReason::Recovered(_), PartialSyncReason::NotAlone { detail, .. }]
            if detail.contains("different schema")),
        "{found:?}"
    );
    run.world.with(|world| {
        world.drop_partition("t1", "p1");
        world.recover_partition("t1", "p1", "");
        world.add_partition("t1", 5, false);
    });
    copied(&mut run).await;
    let found = reasons(&run).split_off(2);
    assert!(
        matches!(&found[..], [PartialSyncReason::Recovered(_), PartialSyncReason::Mismatch { .. }]),
        "{found:?}"
    );
}

/// The target has a partition of that name, which nobody must overwrite in place.
#[tokio::test(start_paused = true)]
async fn a_partition_that_is_in_the_way_downstream_is_not_overwritten() {
    let mut run = following(None).await;
    for (name, detail) in [("p1", "of its name"), ("own", "conflict partition item")] {
        run.world.with(|world| {
            let mut own = world.new_partition(name, Some((10, 20)), 1);
            own.tablets[0].cells.push((7, 7));
            world.target.table_mut("t1").expect("the target is there").partitions.push(own);
            world.recover_partition("t1", "p1", "");
        });
        run.caught_up().await;
        run.check();
        let found = reasons(&run);
        assert!(
            matches!(found.last(), Some(PartialSyncReason::NotAlone { detail: found, .. }) if found.contains(detail)),
            "{found:?}"
        );
        then(&mut run, |world| world.drop_partition("t1", "p1")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_snapshot_of_a_partition_is_taken_again() {
    let mut run = following(None).await;
    run.world.with(|world| {
        world.backups.cancel = 1;
        world.recover_partition("t1", "p1", "");
    });
    copied(&mut run).await;
    let found = reasons(&run);
    assert!(found.len() == 2 && found.iter().all(|reason| reason.partition().is_some()), "{found:?}");
    assert!(run.history().iter().any(|(plan, _, outcome)| plan == "backup" && outcome == "lost"));
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_is_cancelled_for_something_that_passes_is_tried_until_it_is_done() {
    let mut run = following(None).await;
    run.world.with(|world| {
        world.restores.cancel = 6;
        world.restores.cancelled_for = Some("Table t1's state is not NORMAL: SCHEMA_CHANGE");
        world.recover_partition("t1", "p1", "");
        world.load_all("t1");
    });
    copied(&mut run).await;
    assert!(matches!(&reasons(&run)[..], [PartialSyncReason::Recovered(_)]), "{:?}", reasons(&run));
    assert_eq!(run.world.with(|world| (world.backups.accepted, world.restores.accepted)), (2, 1 + 6 + 1));
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_cannot_succeed_gives_way_to_the_table() {
    let mut run = following(None).await;
    run.world.with(|world| {
        world.restores.cancel = 1;
        world.restores.cancelled_for = Some("No partition exist in single partitioned table t1");
        world.recover_partition("t1", "p1", "");
    });
    run.caught_up().await;
    run.check();
    let found = reasons(&run);
    assert!(
        matches!(&found[..], [PartialSyncReason::Recovered(_), PartialSyncReason::NotAlone { .. }]),
        "{found:?}"
    );
}

/// What the partition has already is not applied again, also when the table has waited for an operator.
#[tokio::test(start_paused = true)]
async fn a_table_that_blocks_while_a_partition_is_ahead_applies_nothing_twice() {
    let mut run = following(None).await;
    let commit_seq = run.world.with(|world| {
        world.recover_partition("t1", "p1", "");
        let seq = world.journal_id();
        let id = world.source_id("t1");
        world.emit_raw(seq, 99, vec![id], Some("{}".to_owned()));
        world.load_all("t1");
        seq
    });
    run.blocked().await;
    run.request(Request::SkipBinlog { commit_seq }).await;
    run.world.with(|world| world.load_all("t1"));
    copied(&mut run).await;
    assert!(matches!(&reasons(&run)[..], [PartialSyncReason::Recovered(_)]), "{:?}", reasons(&run));
}
