//! Pauses so long that the downstream has forgotten the labels of finished transactions.

use std::time::Duration;

use ccr_core::control::Request;

use super::run::Run;
use super::world::World;
use super::world::faults::Fault;
use super::world::master::Side;

const THIRTEEN_HOURS: Duration = Duration::from_secs(13 * 3600);

async fn following() -> Run {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[1, 2], 2);
        world.create("t2", &[], 1);
        world.load_all("t1");
    });
    let mut run = Run::database(world);
    run.start();
    run.caught_up().await;
    run
}

fn fault(run: &Run, operation: &'static str, faults: &[Fault]) {
    run.world.with(|world| world.plan.next.entry(operation).or_default().extend(faults));
}

/// The syncer dies where a fault lets it, and comes back half a day later.
async fn dies_and_comes_back_late(run: &mut Run) {
    run.world.crashed.notified().await;
    run.stop().await;
    tokio::time::sleep(THIRTEEN_HOURS).await;
    run.start();
}

/// The syncer dies between a commit and its record, and comes back half a day later.
#[tokio::test(start_paused = true)]
async fn after_a_long_absence_the_versions_decide() {
    let mut run = following().await;
    fault(&run, "target.commit", &[Fault::CrashAfter]);
    run.world.with(|world| {
        world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
        world.load_all("t1");
        world.load_all("t2");
    });
    dies_and_comes_back_late(&mut run).await;
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.transactions.committed), 3);
}

/// The same while commits could not be recorded because the store was away.
#[tokio::test(start_paused = true)]
async fn many_unrecorded_commits_survive_a_long_absence() {
    let mut run = following().await;
    run.world.with(|world| {
        world.plan.next.entry("save_position").or_default().extend([Fault::Refused; 8]);
        for _ in 0..60 {
            world.load_all("t1");
        }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    run.stop().await;
    tokio::time::sleep(THIRTEEN_HOURS).await;
    run.world.with(|world| world.plan.next.clear());
    run.start();
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.transactions.committed), 60);
}

/// The answer to a commit is lost, and then the downstream cannot be reached for half a day while the
/// syncer stays up.
#[tokio::test(start_paused = true)]
async fn a_lost_commit_is_not_repeated_after_a_long_outage() {
    for restarts in [false, true] {
        let mut run = following().await;
        fault(&run, "target.commit", &[Fault::Lost]);
        // With pauses of at most 30 seconds, this many refusals last for more than half a day.
        fault(&run, "target.commit", &[Fault::Refused; 2200]);
        run.world.with(|world| {
            world.load_all("t1");
            world.load_all("t1");
        });
        tokio::time::sleep(THIRTEEN_HOURS).await;
        if restarts {
            run.restart().await;
        }
        run.world.with(|world| {
            assert!(!world.plan.next["target.commit"].is_empty(), "the outage has lasted until now");
            world.plan.next.clear();
        });
        run.caught_up().await;
        run.check();
        assert_eq!(run.world.with(|world| world.transactions.committed), 2, "restarts: {restarts}");
    }
}

/// A job that was blocked, with a commit in doubt, is resumed half a day later.
#[tokio::test(start_paused = true)]
async fn resuming_after_a_long_block_still_knows_how_long_it_was() {
    let mut run = following().await;
    let seq = run.world.with(|world| {
        let seq = world.journal_id();
        world.emit_raw(seq, 99, Vec::new(), Some("{}".to_owned()));
        seq
    });
    run.blocked().await;
    run.stop().await;
    // Blocked where it stands, as by a change that came with the commit of another.
    fault(&run, "target.commit", &[Fault::CrashAfter]);
    run.world.with(|world| {
        let entry = world.journal.entries.at_mut(seq);
        entry.expect("the entry is kept").binlog_type = 8;
        world.load_all("t1");
    });
    run.start();
    run.world.crashed.notified().await;
    run.stop().await;
    run.world.with(|world| {
        let state = world.store.state.as_mut().expect("there is a state");
        state.blocked = Some(ccr_core::job::Blocked {
            code: "CCR0109".to_owned(),
            message: "unknown database".to_owned(),
            hint: String::new(),
            commit_seq: 0,
            binlog_type: String::new(),
            since_ms: 0,
        });
    });
    tokio::time::sleep(THIRTEEN_HOURS).await;
    run.start();
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.transactions.committed), 1);
}

/// An idle job writes its position now and then, so that a restart after days is no long absence.
#[tokio::test(start_paused = true)]
async fn an_idle_job_shows_that_it_is_there() {
    let mut run = following().await;
    tokio::time::sleep(THIRTEEN_HOURS).await;
    let age = run.world.with(|world| world.now_ms - world.store.position.updated_at_ms);
    assert!(age <= 11 * 60 * 1000, "{age}");
    run.restart().await;
    run.world.with(|world| world.load_all("t1"));
    run.caught_up().await;
    run.check();
}

/// A load was passed over, so the versions of its table are behind those upstream, for good.
#[tokio::test(start_paused = true)]
async fn versions_tell_nothing_of_a_table_that_lacks_a_load() {
    // What is in doubt is read after the load was passed over, or together with it.
    for is_noted in [true, false] {
        let mut run = following().await;
        let skipped = run.world.with(|world| {
            world.dead_sources = vec![11, 12, 13];
            world.load(&[("t1", &["p1"])]);
            world.newest()
        });
        let next = |run: &Run| {
            run.world.with(|world| {
                world.dead_sources.clear();
                world.load(&[("t1", &["p1"])]);
            });
        };
        if is_noted {
            run.request(Request::SkipBinlog { commit_seq: skipped }).await;
            // Nobody is told of rows that are left out on purpose.
            let is_skipped = || run.world.with(|world| world.store.position.commit_seq >= skipped);
            let wait = async {
                while !is_skipped() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(THIRTEEN_HOURS, wait).await.expect("the load is passed over");
            fault(&run, "target.commit", &[Fault::CrashAfter]);
            next(&run);
            dies_and_comes_back_late(&mut run).await;
        } else {
            fault(&run, "target.commit", &[Fault::Lost]);
            fault(&run, "target.commit", &[Fault::Refused; 2200]);
            next(&run);
            run.request(Request::SkipBinlog { commit_seq: skipped }).await;
            tokio::time::sleep(THIRTEEN_HOURS).await;
            // The transaction has to be filled again before it is committed.
            run.world.with(|world| {
                assert!(!world.plan.next["target.commit"].is_empty(), "the outage has lasted until now");
                world.plan.next.clear();
                world.change_master(Side::Target);
            });
        }
        let blocked = run.blocked().await;
        assert_eq!(blocked.code, "CCR0308", "{blocked:?}");
        assert_eq!(run.world.with(|world| world.transactions.committed), 1, "it is not applied twice");
        let newest = run.world.with(|world| {
            world.load_all("t2");
            world.newest()
        });
        run.until("the other table", |world, _| world.store.position.commit_seq >= newest).await;
        assert_eq!(run.world.with(|world| world.transactions.committed), 2, "a load of the other table");
        // A copy has what was passed over, and its versions are those upstream again.
        let (table, detail) = ("t1".to_owned(), "a test".to_owned());
        let table_id = run.world.with(|world| world.source_id("t1"));
        run.request(Request::PartialSync { table, table_id, detail }).await;
        run.caught_up().await;
        // The world misses the rows too that were to be passed over.
        run.world.with(|world| world.violations.clear());
        run.check();
        fault(&run, "target.commit", &[Fault::CrashAfter]);
        run.world.with(|world| world.load_all("t1"));
        dies_and_comes_back_late(&mut run).await;
        run.caught_up().await;
        run.check();
    }
}
