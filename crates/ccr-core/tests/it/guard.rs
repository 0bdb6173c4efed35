//! A full sync that waits for an operator.

use ccr_core::control::{self, Request};
use ccr_core::job::{FullSyncGuard, FullSyncReason, Phase};

use super::run::Run;
use super::world::faults::Fault;
use super::world::store::MemoryStore;
use super::world::{Inner, World};

async fn following(full_sync: FullSyncGuard, full_syncs_per_day: u32) -> Run {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[1, 2], 2);
        world.load_all("t1");
    });
    let mut run = Run::database(world);
    run.record.spec.options.full_sync = full_sync;
    run.record.spec.options.full_syncs_per_day = full_syncs_per_day;
    run.start();
    run.caught_up().await;
    run
}

/// Stops the job, and makes the next thing it meets a gap.
async fn stop_before_a_gap(run: &mut Run) {
    run.stop().await;
    run.world.with(|world| {
        world.load_all("t1");
        world.expire_binlogs();
        world.load_all("t1");
    });
}

/// What an operator asks for, as the syncer applies it: while the job's task is stopped.
async fn request(run: &mut Run, request: &Request) {
    run.stop().await;
    let epoch = run.world.with(|world| {
        world.store.epoch += 1;
        world.store.epoch
    });
    let store = MemoryStore(run.gate(epoch));
    let now_ms = run.world.now_ms();
    control::apply(&store, &run.record, epoch, request, now_ms).await.expect("the request is taken");
    run.start();
}

fn force() -> Request {
    Request::FullSync { detail: "force_fullsync".to_owned() }
}

fn snapshots(world: &Inner) -> u32 {
    world.backups.accepted
}

#[tokio::test(start_paused = true)]
async fn the_first_full_sync_is_never_held() {
    let run = following(FullSyncGuard::Ask, 1).await;
    run.check();
    assert_eq!(run.world.with(|world| snapshots(world)), 1);
}

#[tokio::test(start_paused = true)]
async fn a_held_full_sync_copies_nothing_until_it_is_approved() {
    let mut run = following(FullSyncGuard::Ask, 0).await;
    stop_before_a_gap(&mut run).await;
    run.start();
    for _ in 0..3 {
        let blocked = run.blocked().await;
        assert_eq!(blocked.code, "CCR0510");
        assert!(blocked.message.contains("expired"), "{}", blocked.message);
        run.until("it is persisted", |world, _| {
            world.store.state.as_ref().is_some_and(|state| state.held_full_sync.is_some())
        })
        .await;
        tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
        run.check_violations();
        assert_eq!(run.world.with(|world| (snapshots(world), world.restores.accepted)), (1, 1));
        // Neither a restart nor resuming approves it.
        run.restart().await;
    }
    run.blocked().await;
    request(&mut run, &force()).await;
    run.until("the second restore", |world, _| world.restores.finished == 2).await;
    run.caught_up().await;
    run.check();
    let state = run.world.with(|world| world.store.state.clone()).expect("there is a state");
    assert_eq!((&state.held_full_sync, state.own_full_syncs_ms.as_slice()), (&None, [].as_slice()));
    let reason = state.last_full_sync.expect("it is recorded").reason;
    assert!(matches!(reason, FullSyncReason::BinlogExpired { .. }), "the reason it was held for: {reason:?}");
    let history = run.history();
    for (plan, outcome) in [("full_sync", "held"), ("request", "recorded"), ("full_sync", "restored")] {
        assert!(history.iter().any(|(p, _, o)| p == plan && o == outcome), "{plan} {outcome}: {history:?}");
    }
    assert!(history.iter().any(|(_, reason, _)| reason.starts_with("approved by an operator: ")));
}

#[tokio::test(start_paused = true)]
async fn a_table_made_anew_is_held_too() {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[1, 2], 2);
        world.load_all("t1");
    });
    let mut run = Run::table(world, "t1", "x1");
    run.record.spec.options.full_sync = FullSyncGuard::Ask;
    run.start();
    run.caught_up().await;
    run.world.with(|world| {
        world.drop_table("t1");
        world.create("t1", &[3], 1);
        world.load_all("t1");
    });
    assert_eq!(run.blocked().await.code, "CCR0510");
    request(&mut run, &force()).await;
    run.until("the second restore", |world, _| world.restores.finished == 2).await;
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn a_job_told_to_go_on_by_itself_starts_what_was_held() {
    let mut run = following(FullSyncGuard::Ask, 0).await;
    stop_before_a_gap(&mut run).await;
    run.start();
    run.blocked().await;
    run.stop().await;
    run.record.spec.options.full_sync = FullSyncGuard::Auto;
    run.start();
    run.until("the second restore", |world, _| world.restores.finished == 2).await;
    run.caught_up().await;
    run.check();
}

/// The reason can vanish: an FE that tells of a gap while it is only behind, say.
#[tokio::test(start_paused = true)]
async fn a_held_full_sync_that_is_needless_when_looked_at_again_does_not_happen() {
    let mut run = following(FullSyncGuard::Ask, 0).await;
    run.stop().await;
    let entries = run.world.with(|world| {
        world.load_all("t1");
        let entries = world.journal.entries.clone();
        world.expire_binlogs();
        entries
    });
    run.start();
    run.blocked().await;
    run.stop().await;
    run.world.with(|world| {
        world.journal.entries = entries;
        world.journal.expired_to = None;
        world.journal.expired_of.clear();
    });
    run.start();
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| snapshots(world)), 1);
}

#[tokio::test(start_paused = true)]
async fn the_budget_of_a_day_is_counted_and_comes_back() {
    let mut run = following(FullSyncGuard::Auto, 2).await;
    for restores in [2, 3] {
        stop_before_a_gap(&mut run).await;
        run.start();
        run.until("a restore", |world, _| world.restores.finished == restores).await;
        run.caught_up().await;
    }
    stop_before_a_gap(&mut run).await;
    run.start();
    let blocked = run.blocked().await;
    assert_eq!(blocked.code, "CCR0510");
    assert!(blocked.message.contains("2 full syncs"), "{}", blocked.message);
    // One that is approved does not count.
    request(&mut run, &force()).await;
    run.until("the approved one", |world, _| world.restores.finished == 4).await;
    run.caught_up().await;
    stop_before_a_gap(&mut run).await;
    tokio::time::sleep(std::time::Duration::from_secs(24 * 3600)).await;
    run.start();
    run.until("one by itself", |world, _| world.restores.finished == 5).await;
    run.caught_up().await;
    run.check();
    let own = run.world.with(|world| world.store.state.clone()).expect("a state").own_full_syncs_ms;
    assert_eq!(own.len(), 1, "those of yesterday are forgotten");
}

/// A crash at any call on the way to being held, and on the way from its approval to the end.
#[tokio::test(start_paused = true)]
async fn a_crash_at_any_call_neither_approves_nor_forgets() {
    let mut length = u64::MAX;
    let mut at = 0;
    while at < length {
        let fault = if at % 2 == 0 { Fault::CrashBefore } else { Fault::CrashAfter };
        let mut run = following(FullSyncGuard::Ask, 0).await;
        stop_before_a_gap(&mut run).await;
        let first = run.world.with(|world| {
            world.plan.at.insert(world.calls + at, fault);
            world.calls
        });
        run.start();
        run.until("being held", |world, status| {
            let held = world.store.state.as_ref().is_some_and(|state| state.held_full_sync.is_some());
            held && status.blocked.is_some()
        })
        .await;
        assert_eq!(run.world.with(|world| snapshots(world)), 1, "crash {at}: nothing is copied unasked");
        run.world.with(|world| {
            assert!(matches!(world.store.state.as_ref().expect("a state").phase, Phase::Incremental(_)));
        });
        request_with_crashes(&mut run).await;
        run.until("the second restore", |world, _| world.restores.finished == 2).await;
        run.caught_up().await;
        run.check();
        let (calls, accepted) = run.world.with(|world| (world.calls, snapshots(world)));
        assert_eq!(accepted, 2, "crash {at}: approved once, copied once");
        length = length.min(calls - first);
        at += 1;
    }
    assert!(length > 20, "the run has calls to crash at: {length}");
}

/// Until it is recorded: a crash of the syncer within the request shows in its missing answer.
async fn request_with_crashes(run: &mut Run) {
    loop {
        run.stop().await;
        let epoch = run.world.with(|world| {
            world.store.epoch += 1;
            world.store.epoch
        });
        let store = MemoryStore(run.gate(epoch));
        let request = force();
        let applied = tokio::select! {
            biased;
            () = run.world.crashed.notified() => false,
            applied = control::apply(&store, &run.record, epoch, &request, run.world.now_ms()) => {
                applied.is_ok()
            }
        };
        run.start();
        if applied {
            return;
        }
        run.until("held or started", |world, status| {
            let state = world.store.state.as_ref().expect("a state");
            status.blocked.is_some() || matches!(state.phase, Phase::FullSync(_))
        })
        .await;
    }
}
