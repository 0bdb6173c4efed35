//! Scenarios of jobs with options of their own; [`super::scenario`] lists them.

use ccr_core::job::{JobOptions, MediumPolicy};

use super::run::Run;
use super::scenario::{restores_accepted, then};
use super::world::txn::{Txn, TxnState};

pub fn follow_media(options: &mut JobOptions) {
    options.storage_medium = MediumPolicy::Upstream;
}

/// Partitions move between media, also some that are gone when this is replayed.
pub async fn media(run: &mut Run) {
    then(run, |world| {
        world.load_all("t1");
        world.set_medium("t1", &["p1", "p2"], "SSD");
        world.set_medium("t2", &["t2"], "SSD");
        world.rename_table("t2", "t8");
        world.set_medium("t8", &["t8"], "HDD");
        world.set_medium("t1", &["p2"], "HDD");
        world.load(&[("t1", &["p1", "p2"]), ("t8", &["t8"])]);
        // A temporary one of the same range is not meant.
        world.add_partition("t1", 1, true);
        world.set_medium("t1", &["p1"], "HDD");
        world.drop_partition("t1", "tp1");
        world.add_partition("t1", 3, false);
        world.set_medium("t1", &["p3", "p1"], "SSD");
        world.drop_partition("t1", "p3");
        world.load_all("t1");
    })
    .await;
}

pub fn reuse_labels(options: &mut JobOptions) {
    options.reuse_binlog_label = true;
}

/// Loads under labels of which somebody else downstream has some, also while a table is apart.
pub async fn labels(run: &mut Run) {
    run.caught_up().await;
    run.world.with(|world| {
        let next = world.journal.last_txn + 1;
        world.foreign_load(&format!("load_{next}"), TxnState::Visible);
        world.foreign_load(&format!("load_{}", next + 2), TxnState::Prepare);
        for _ in 0..4 {
            world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
        }
    });
    run.caught_up().await;
    run.world.with(|world| {
        world.schema_change("t1");
        // Both parts of it would have the label.
        world.load(&[("t1", &["p2"]), ("t2", &["t2"])]);
    });
    restores_accepted(run, 2).await;
    run.world.with(|world| world.load(&[("t1", &["p1"]), ("t2", &["t2"])]));
    run.caught_up().await;
    run.world.with(|world| {
        let all = &world.transactions.all;
        let foreign_aborted =
            all.values().any(|txn| txn.request_id == (0, 0) && txn.state == TxnState::Aborted);
        let is_reused =
            |txn: &&Txn| world.journal.labels.contains_key(&txn.label) && txn.request_id != (0, 0);
        let reused = all.values().filter(is_reused).filter(|txn| txn.state == TxnState::Visible).count();
        if foreign_aborted || reused < 4 {
            world.violation(format!(
                "{reused} labels are reused, {foreign_aborted}: one of another was aborted"
            ));
        }
    });
}
