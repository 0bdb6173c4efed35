//! Restores that are cancelled: for something that passes they are tried until they are done, and for something that an
//! operator must mend they wait for that, without the other tables.

use std::time::Duration;

use super::run::Run;
use super::scenario::restores_accepted;
use super::world::World;

/// Says that a backend is away, or a table busy: it passes.
const PASSING: &str = "backend 10002 is not alive, tablet 10040";
const BUSY: &str = "Table t1's state is not NORMAL: SCHEMA_CHANGE";

/// Is said again and again until somebody acts.
const LASTING: &str = "Not support to restore to local table t1 with colocate group.";

/// The same, and no table is named.
const LASTING_FOR_ALL: &str = "Do not support restoring table with temp partitions";

/// A job that has not begun, the restores of which are cancelled so often.
fn new_job(cancel: u32, reason: &'static str) -> Run {
    let world = World::new();
    world.with(|world| {
        for name in ["t1", "t2"] {
            world.create(name, &[1, 2], 2);
            world.load_all(name);
        }
        (world.restores.cancel, world.restores.cancelled_for) = (cancel, Some(reason));
    });
    Run::database(world)
}

/// A job in which the copy of t1 is cancelled so often, while t2 is written.
async fn copying(cancel: u32, reason: &'static str) -> (Run, i64) {
    let run = Run::following(&["t1", "t2"]).await;
    let newest = run.world.with(|world| {
        (world.restores.cancel, world.restores.cancelled_for) = (cancel, Some(reason));
        world.schema_change("t1");
        world.load_all("t1");
        world.load_all("t2");
        world.newest()
    });
    (run, newest)
}

async fn comes_to(run: &mut Run, commit_seq: i64) {
    run.until("the others", |world, status| {
        assert!(status.blocked.is_none(), "blocked: {:?}", status.blocked);
        world.store.position.commit_seq >= commit_seq
    })
    .await;
}

fn taken(run: &Run) -> (u32, u32) {
    run.world.with(|world| (world.backups.accepted, world.restores.accepted))
}

#[tokio::test(start_paused = true)]
async fn a_full_sync_outlives_what_passes_and_says_what_it_waits_for() {
    let mut run = new_job(6, PASSING);
    run.start();
    run.until("the fifth try", |_, status| {
        assert!(status.blocked.is_none(), "blocked: {:?}", status.blocked);
        let error = status.last_error.as_ref();
        error.is_some_and(|error| {
            error.tries == 5 && error.message.contains("CCR0503") && error.message.contains(PASSING)
        })
    })
    .await;
    run.caught_up().await;
    run.check();
    assert_eq!(taken(&run), (1, 7), "the snapshot is used again");
    assert!(run.status().last_error.is_none(), "it is over");
}

#[tokio::test(start_paused = true)]
async fn a_copy_outlives_what_passes_and_the_others_go_on() {
    let (mut run, newest) = copying(6, BUSY).await;
    run.until("the fifth try", |_, status| {
        assert!(status.blocked.is_none(), "blocked: {:?}", status.blocked);
        status.last_error.as_ref().is_some_and(|error| error.tries == 5 && error.message.contains(BUSY))
    })
    .await;
    comes_to(&mut run, newest).await;
    run.caught_up().await;
    run.check();
    assert_eq!(taken(&run), (2, 1 + 7));
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_must_mend_blocks_the_table_and_is_tried_when_resumed() {
    let (mut run, newest) = copying(3, LASTING).await;
    let blocked = run.blocked().await;
    assert_eq!(blocked.code, "CCR0503");
    assert!(blocked.message.contains(LASTING) && !blocked.hint.is_empty(), "{blocked:?}");
    run.until("the other table", |world, _| world.store.position.commit_seq >= newest).await;
    assert_eq!(taken(&run), (2, 1 + 3));
    run.restart().await;
    run.until("resuming", |_, status| status.blocked.is_none()).await;
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_must_mend_blocks_a_full_sync_and_is_tried_when_resumed() {
    let mut run = new_job(3, LASTING_FOR_ALL);
    run.start();
    let blocked = run.blocked().await;
    assert_eq!(blocked.code, "CCR0503");
    assert!(blocked.message.contains(LASTING_FOR_ALL), "{}", blocked.message);
    run.restart().await;
    run.until("resuming", |_, status| status.blocked.is_none()).await;
    run.caught_up().await;
    run.check();
    assert_eq!(taken(&run), (1, 4));
}

/// What a backup has found upstream may be gone for good, with the backend that has it.
#[tokio::test(start_paused = true)]
async fn a_snapshot_that_cannot_be_restored_for_long_is_taken_again() {
    let (mut run, newest) = copying(13, PASSING).await;
    comes_to(&mut run, newest).await;
    run.caught_up().await;
    run.check();
    assert_eq!(taken(&run).0, 3);
    let mut run = new_job(13, PASSING);
    run.start();
    run.caught_up().await;
    run.check();
    assert_eq!(taken(&run), (2, 14));
}

/// A restore is waited for, since its table cannot be renamed meanwhile; but not one that never comes to its end.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_copy_that_is_cancelled_again_and_again() {
    for needs_copy in [false, true] {
        let (mut run, newest) = copying(u32::MAX, BUSY).await;
        comes_to(&mut run, newest).await;
        for round in 0..4 {
            let accepted = taken(&run).1;
            restores_accepted(&mut run, accepted + 1).await;
            let newest = run.world.with(|world| {
                if needs_copy {
                    world.schema_change("t1");
                } else if round % 2 == 0 {
                    world.rename_table("t1", "t9");
                } else {
                    world.rename_table("t9", "t1");
                }
                world.load_all("t2");
                world.newest()
            });
            // The longest pause and one try.
            let patience = Duration::from_secs(40);
            run.until_within(patience, "the others", |world, _| world.store.position.commit_seq >= newest)
                .await;
        }
        assert!(run.status().blocked.is_none(), "blocked: {:?}", run.status().blocked);
        run.world.with(|world| world.restores.cancel = 0);
        run.caught_up().await;
        run.check();
    }
}

/// Only so many tables are copied at a time, and those whose restores never end are not always the first of them.
#[tokio::test(start_paused = true)]
async fn a_copy_that_is_cancelled_again_and_again_leaves_room_for_others() {
    let mut run = Run::following(&["t1", "t2"]).await;
    run.options.max_copies = 1;
    run.restart().await;
    run.world.with(|world| {
        (world.restores.hopeless, world.restores.cancelled_for) = (Some("t1"), Some(BUSY));
        world.schema_change("t1");
    });
    restores_accepted(&mut run, 3).await;
    run.world.with(|world| {
        world.schema_change("t2");
        world.load_all("t2");
    });
    run.until_within(Duration::from_secs(600), "the other copy", |world, _| world.restores.finished == 2)
        .await;
    run.world.with(|world| world.restores.hopeless = None);
    run.caught_up().await;
    run.check();
}
