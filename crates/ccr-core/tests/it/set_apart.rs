//! Full syncs of a database in which one table cannot be copied: the others are, and that one is when it can be.

use ccr_core::control::Request;
use ccr_core::job::{ApartWork, FullSync, JobState, NO_TARGET, Phase, SnapshotStep};

use super::run::Run;
use super::world::restore::Restore;
use super::world::{Inner, World};

fn force() -> Request {
    Request::FullSync { detail: "a test".to_owned() }
}

/// A job over three tables and a view that is copied anew, when one of the tables has become bad while it stood still.
async fn copying_again(spoil: impl FnOnce(&mut Inner)) -> Run {
    let mut run = Run::following(&["t1", "t2", "t3"]).await;
    run.world.with(|world| world.create_view("v", "t2"));
    run.caught_up().await;
    run.stop().await;
    run.world.with(|world| {
        for name in ["t1", "t2", "t3"] {
            world.load_all(name);
        }
        spoil(world);
    });
    run.request(force()).await;
    run
}

fn spoil(world: &mut Inner, name: &'static str) {
    world.may_set_apart.insert(world.source_id(name));
}

fn colocate(world: &mut Inner) {
    spoil(world, "t2");
    world.restores.colocated.insert("t2");
}

fn hold_temporary(world: &mut Inner) {
    spoil(world, "t2");
    world.backups.refuses_temporary = true;
    world.add_partition("t2", 9, true);
}

fn drop_temporary(world: &mut Inner) {
    if world.source.table("t2").is_some_and(|table| table.partitions.iter().any(|one| one.is_temporary)) {
        world.drop_partition("t2", "tp9");
    }
}

fn lose_replicas(world: &mut Inner) {
    spoil(world, "t2");
    world.backups.unreadable = Some("t2");
}

/// Whether t2 is what the full sync goes on without, as it is written down.
fn is_set_apart(world: &Inner) -> bool {
    let phase = world.store.state.as_ref().map(|state| &state.phase);
    matches!(phase, Some(Phase::FullSync(FullSync { set_apart, .. })) if !set_apart.is_empty())
}

fn state<T>(world: &Inner, see: impl FnOnce(&JobState) -> T) -> T {
    see(world.store.state.as_ref().expect("there is a state"))
}

/// The others are equal and follow what is written, while t2 is as it was.
async fn others_follow(run: &mut Run) {
    let old = run.world.with(|world| world.target.table("t2").cloned());
    for _ in 0..2 {
        let newest = run.world.with(|world| {
            world.load_all("t1");
            world.load_all("t2");
            world.load_all("t3");
            world.newest()
        });
        run.until("the others", |world, _| world.store.position.commit_seq >= newest).await;
        run.world.with(|world| {
            for name in ["t1", "t3"] {
                assert!(world.is_equal(name), "{name}");
            }
        });
    }
    let now = run.world.with(|world| world.target.table("t2").cloned());
    let cells = |table: Option<super::world::catalog::Table>| {
        table.map(|table| (table.id, format!("{:?}", table.partitions)))
    };
    assert_eq!(cells(now), cells(old), "what it holds can be read all the while");
}

fn taken(run: &Run) -> (u32, u32) {
    run.world.with(|world| (world.backups.accepted, world.restores.accepted))
}

#[tokio::test(start_paused = true)]
async fn a_table_that_cannot_be_restored_stops_no_other() {
    let mut run = copying_again(colocate).await;
    let blocked = run.blocked().await;
    assert_eq!(blocked.code, "CCR0503");
    assert!(blocked.message.contains("local table t2 with colocate group"), "{blocked:?}");
    others_follow(&mut run).await;
    let history = run.history();
    let told =
        history.iter().find(|(plan, _, outcome)| plan == "full_sync" && outcome == "goes on without t2");
    assert!(told.is_some_and(|(_, reason, _)| reason.contains("colocate group")), "{history:?}");
    // Three tries of everything, one of the rest, and three of t2 alone.
    assert_eq!(taken(&run), (3, 1 + 3 + 1 + 3));
    run.world.with(|world| world.restores.colocated.clear());
    run.restart().await;
    run.until("resuming", |_, status| status.blocked.is_none()).await;
    run.caught_up().await;
    run.check();
    assert_eq!(taken(&run), (4, 9), "only t2 is copied");
}

#[tokio::test(start_paused = true)]
async fn a_table_that_cannot_be_backed_up_stops_no_other() {
    for spoil in [hold_temporary, lose_replicas] {
        let mut run = copying_again(spoil).await;
        run.until("the others", |world, _| {
            state(world, |state| matches!(state.phase, Phase::Incremental(_)) && state.tables.len() == 3)
        })
        .await;
        others_follow(&mut run).await;
        assert!(run.status().blocked.is_none(), "{:?}", run.status().blocked);
        run.world.with(cure);
        run.caught_up().await;
        run.check();
        let without =
            run.world.with(|world| world.backups.exceptions.iter().filter(|names| !names.is_empty()).count());
        assert_eq!(without, 1, "one backup was taken without t2");
    }
}

/// What is there for a moment only is waited for.
#[tokio::test(start_paused = true)]
async fn what_passes_is_waited_for() {
    let mut run = copying_again(hold_temporary).await;
    run.until("the refusal", |_, status| {
        status.last_error.as_ref().is_some_and(|error| error.message.contains("with temp partitions"))
    })
    .await;
    run.world.with(drop_temporary);
    run.caught_up().await;
    run.check();
    assert_eq!(taken(&run), (2, 2), "nothing is copied by itself");
}

/// The one thing that must not happen: that the old target of what is left out is taken for the restored one.
#[tokio::test(start_paused = true)]
async fn a_syncer_that_is_restarted_knows_what_is_left_out() {
    for spoil in [colocate, hold_temporary, lose_replicas] {
        let mut run = restoring_the_rest(spoil).await;
        run.restart().await;
        run.world.with(|world| world.restores.is_held = false);
        run.until("the stream", |world, _| {
            state(world, |state| matches!(state.phase, Phase::Incremental(_)))
        })
        .await;
        run.world.with(|world| {
            let id = world.source_id("t2");
            let target = world.target.table("t2").map(|table| table.id);
            state(world, |state| {
                let link = &state.tables[&id];
                let apart = link.lane.apart().expect("it is apart");
                assert!(matches!(apart.work, ApartWork::PartialSync { .. }), "{apart:?}");
                assert_eq!((Some(link.target_id), link.synced_to), (target, 0));
            });
            cure(world);
        });
        run.caught_up().await;
        run.check();
    }
}

/// A backup names what it leaves out; by then another table may have that name.
#[tokio::test(start_paused = true)]
async fn another_table_that_has_the_name_by_then_is_not_left_out() {
    for is_dropped in [false, true] {
        let mut run = copying_again(|world| {
            hold_temporary(world);
            world.backups.before_exception = Some(Box::new(move |world| {
                world.drop_view("v");
                if is_dropped {
                    world.drop_table("t2");
                } else {
                    drop_temporary(world);
                    world.rename_table("t2", "t9");
                }
                world.rename_table("t1", "t2");
                world.load_all("t2");
            }));
        })
        .await;
        run.caught_up().await;
        run.check();
        let exceptions = run.world.with(|world| world.backups.exceptions.clone());
        assert_eq!(exceptions.iter().filter(|names| !names.is_empty()).count(), 1, "{exceptions:?}");
    }
}

/// Or nothing has it, which a frontend may refuse.
#[tokio::test(start_paused = true)]
async fn a_name_that_is_gone_is_not_left_out_for_ever() {
    for refuses_unknown in [false, true] {
        let mut run = copying_again(|world| {
            hold_temporary(world);
            world.backups.refuses_unknown = refuses_unknown;
            world.backups.before_exception = Some(Box::new(|world| {
                world.drop_view("v");
                world.drop_table("t2");
            }));
        })
        .await;
        run.caught_up().await;
        run.check();
    }
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_it_meanwhile_is_followed() {
    let fates: [fn(&mut Inner); 5] = [
        |world| world.rename_table("t2", "t9"),
        |world| world.drop_table("t2"),
        |world| world.replace_table("t2", "t3", true),
        |world| world.replace_table("t3", "t2", false),
        |world| {
            world.drop_table("t2");
            world.create("t2", &[1], 1);
            world.load_all("t2");
        },
    ];
    for spoil in [colocate, hold_temporary, lose_replicas] {
        for fate in fates {
            let mut run = restoring_the_rest(spoil).await;
            run.world.with(|world| {
                world.restores.is_held = false;
                cure(world);
                world.drop_view("v");
                fate(world);
                world.load_all("t1");
            });
            run.caught_up().await;
            run.check();
        }
    }
}

/// A full sync that has gone on without t2, and whose restore does not end.
async fn restoring_the_rest(spoil: fn(&mut Inner)) -> Run {
    let mut run = copying_again(|world| {
        spoil(world);
        world.restores.is_held = true;
    })
    .await;
    let is_running = |world: &Inner| world.restores.jobs.last().is_some_and(Restore::is_running);
    run.until("the restore", |world, _| is_set_apart(world) && is_running(world)).await;
    run
}

/// Takes away whatever was in the way of t2.
fn cure(world: &mut Inner) {
    world.restores.colocated.clear();
    world.backups.unreadable = None;
    drop_temporary(world);
}

/// It got another name in the gap, and another table has its old one.
#[tokio::test(start_paused = true)]
async fn the_old_target_is_kept_under_its_old_name_until_another_takes_it() {
    for is_taken in [false, true] {
        let mut run = copying_again(|world| {
            spoil(world, "t2");
            world.rename_table("t2", "t9");
            world.drop_view("v");
            if is_taken {
                world.rename_table("t1", "t2");
            }
            world.expire_binlogs();
            // Somebody else's, which the restore would replace but for that.
            let other = world.source.table("t3").cloned().expect("it is there");
            let other = world.copy_of(&other, "t9");
            world.target.tables.insert(other.id, other);
            world.restores.colocated.insert("t9");
        })
        .await;
        let blocked = run.blocked().await;
        assert!(blocked.message.contains("t9"), "{blocked:?}");
        run.world.with(|world| {
            let (id, old) = (world.source_id("t9"), world.target.table("t2").map(|table| table.id));
            let linked = state(world, |state| state.tables[&id].target_id);
            assert_eq!(linked, if is_taken { NO_TARGET } else { old.expect("it is there") });
            world.target.tables.retain(|_, table| table.name != "t9");
            world.restores.colocated.clear();
        });
        run.restart().await;
        run.until("resuming", |_, status| status.blocked.is_none()).await;
        run.caught_up().await;
        run.check();
    }
}

/// The first snapshot overwrites what has the name of a table, and what it was left out of does so later.
#[tokio::test(start_paused = true)]
async fn what_the_first_snapshot_would_overwrite_is_overwritten_later() {
    let world = World::new();
    world.with(|world| {
        for name in ["t1", "t2", "t3"] {
            world.create(name, &[1, 2], 2);
            world.load_all(name);
        }
        let other = world.source.table("t2").cloned().expect("it was just made");
        let other = world.copy_of(&other, "t2");
        world.target.tables.insert(other.id, other);
        colocate(world);
    });
    let mut run = Run::database(world);
    run.start();
    assert_eq!(run.blocked().await.code, "CCR0503");
    others_follow(&mut run).await;
    run.world.with(cure);
    run.restart().await;
    run.until("resuming", |_, status| status.blocked.is_none()).await;
    run.caught_up().await;
    run.check();
}

/// A view is no different.
#[tokio::test(start_paused = true)]
async fn a_view_that_cannot_be_restored_stops_no_table() {
    let mut run = copying_again(|world| {
        world.create_view("w", "t1");
        let copy = world.source.table("t1").cloned().expect("it is there");
        let copy = world.copy_of(&copy, "w");
        world.target.tables.insert(copy.id, copy);
    })
    .await;
    let newest = run.world.with(|world| {
        world.load_all("t1");
        world.newest()
    });
    run.until("the tables", |world, _| world.store.position.commit_seq >= newest).await;
    let status = run.status();
    assert!(status.blocked.is_none(), "{:?}", status.blocked);
    assert!(
        status.apart.iter().any(|apart| (apart.work, apart.table.as_str()) == ("view", "w")),
        "{status:?}"
    );
    run.world.with(|world| world.target.tables.retain(|_, table| table.name != "w"));
    run.caught_up().await;
    run.check();
}

/// Where nothing would be left, an operator is asked as ever.
#[tokio::test(start_paused = true)]
async fn the_last_one_is_not_left_out() {
    let mut run = Run::following(&["t1", "t2"]).await;
    run.stop().await;
    run.world.with(|world| {
        for name in ["t1", "t2"] {
            spoil(world, name);
            world.restores.colocated.insert(name);
        }
    });
    run.request(force()).await;
    let blocked = run.blocked().await;
    assert_eq!(blocked.code, "CCR0503");
    run.world.with(|world| {
        assert!(is_set_apart(world), "one of them is");
        world.restores.colocated.clear();
    });
    run.restart().await;
    run.until("resuming", |_, status| status.blocked.is_none()).await;
    run.caught_up().await;
    run.check();
}

/// Everything is copied anew without t2, which has got a colocated target.
pub async fn colocated(run: &mut Run) {
    run.caught_up().await;
    run.world.with(colocate);
    run.request(force()).await;
    run.until("setting apart", |world, _| is_set_apart(world)).await;
    set_free(run).await;
}

/// The same, and t2 is not in the snapshot.
pub async fn temporary(run: &mut Run) {
    run.caught_up().await;
    run.world.with(hold_temporary);
    run.request(force()).await;
    run.until("the restore", |world, _| {
        let is_restoring = |full_sync: &FullSync| matches!(full_sync.step, SnapshotStep::Restore { .. });
        state(world, |state| match &state.phase {
            Phase::FullSync(full_sync) => is_restoring(full_sync),
            Phase::Incremental(_) => world.backups.exceptions.iter().any(|names| !names.is_empty()),
        })
    })
    .await;
    set_free(run).await;
}

async fn set_free(run: &mut Run) {
    run.world.with(|world| {
        cure(world);
        world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
        world.rename_table("t2", "t9");
        world.load_all("t9");
    });
    run.caught_up().await;
    run.world.with(|world| world.load(&[("t1", &["p1"]), ("t9", &["t9"])]));
}
