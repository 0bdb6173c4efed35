//! What can become of a downstream transaction.

use std::time::Duration;

use ccr_core::control::Request;

use super::run::Run;
use super::world::faults::Fault;
use super::world::txn::TxnState;

fn fault(run: &Run, operation: &'static str, faults: &[Fault]) {
    run.world.with(|world| world.plan.next.entry(operation).or_default().extend(faults));
}

#[tokio::test(start_paused = true)]
async fn a_new_master_forgets_what_was_open() {
    for operation in ["target.ingest", "target.commit"] {
        let mut run = Run::following(&["t1"]).await;
        fault(&run, operation, &[Fault::MasterChange, Fault::MasterChange]);
        run.world.with(|world| {
            world.load_all("t1");
            world.load_all("t1");
            world.load_all("t1");
        });
        run.caught_up().await;
        run.check();
    }
}

#[tokio::test(start_paused = true)]
async fn an_aborted_transaction_is_begun_again() {
    let mut run = Run::following(&["t1"]).await;
    run.world.with(|world| {
        world.async_polls = Some(3);
        world.load_all("t1");
    });
    let is_open = |world: &super::world::Inner| {
        let mut open = world.transactions.all.iter().filter(|(_, txn)| txn.state == TxnState::Prepare);
        open.next().map(|(id, _)| *id)
    };
    run.until("an open transaction", |world, _| is_open(world).is_some()).await;
    run.world.with(|world| {
        let id = is_open(world).expect("just seen");
        world.rollback(id).expect("it is open");
    });
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn a_late_publish_is_a_commit() {
    let mut run = Run::following(&["t1"]).await;
    run.world.with(|world| {
        world.transactions.publish_late = 2;
        for _ in 0..4 {
            world.load_all("t1");
        }
    });
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.transactions.committed), 4);
}

/// Somebody else has begun a transaction under our label: it is put away.
#[tokio::test(start_paused = true)]
async fn a_label_that_is_taken_is_freed() {
    let mut run = Run::following(&["t1"]).await;
    let label = |seq: i64, id: &str| format!("ccrj-{id}-{seq}");
    let id = run.record.id.clone();
    run.world.with(|world| {
        let seq = world.newest();
        // The next commit seq is one or two further.
        for next in [seq + 1, seq + 2, seq + 3] {
            let request = doris_types::call::BeginTxn {
                database: "d2".to_owned(),
                table_ids: Vec::new(),
                label: label(next, &id),
                request_id: (7, 7),
                timeout_s: 100_000,
                sub_txn_num: 0,
            };
            world.begin(&request).expect("labels are free");
        }
        world.load_all("t1");
    });
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.count("target.rollback"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_was_answered_into_the_void_is_not_repeated() {
    let mut run = Run::following(&["t1"]).await;
    fault(&run, "target.commit", &[Fault::Lost, Fault::Lost, Fault::CrashAfter]);
    run.world.with(|world| {
        world.load_all("t1");
        world.load_all("t1");
    });
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.transactions.committed), 2);
}

/// A transaction on two tables is committed, and nobody knows; then the target of one of them is dropped. The
/// other must not get its rows a second time, whatever track they come on next.
#[tokio::test(start_paused = true)]
async fn a_commit_in_doubt_is_settled_before_its_tables_leave_the_stream() {
    let mut run = Run::following(&["t1", "t2"]).await;
    fault(&run, "target.commit", &[Fault::CrashAfter]);
    run.world.with(|world| world.load(&[("t1", &["p1"]), ("t2", &["p1"])]));
    run.world.crashed.notified().await;
    run.stop().await;
    let dropped = run.world.with(|world| {
        let id = world.target.table("t1").expect("it was replicated").id;
        world.load_all("t2");
        world.load_all("t1");
        world.target.tables.remove(&id).expect("just seen")
    });
    run.start();
    assert_eq!(run.blocked().await.code, "CCR0302");
    let newest = run.world.with(|world| world.newest());
    run.until("the other table", |world, _| world.store.position.commit_seq >= newest).await;
    run.stop().await;
    run.world.with(|world| {
        // Recovered by the operator, who made the commits since look as if a table was missing.
        world.target.tables.insert(dropped.id, dropped);
        world.violations.clear();
    });
    run.start();
    run.until("resuming", |_, status| status.blocked.is_none()).await;
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.transactions.committed), 3);
}

/// A transaction on two tables is open when one of them is copied: its old target goes, and the FE can neither
/// commit nor roll back what was begun for it. The other table does not wait for the end of that.
#[tokio::test(start_paused = true)]
async fn a_transaction_with_a_table_that_is_gone_is_begun_under_another_label() {
    // A crash after the commit that worked, and an absence in which the FE gives up what was stuck.
    for crashes in [false, true] {
        let mut run = Run::following(&["t1", "t2"]).await;
        fault(&run, "target.commit", &[Fault::CrashBefore]);
        let table_id = run.world.with(|world| {
            world.load(&[("t1", &["p1"]), ("t2", &["p1"])]);
            world.source_id("t1")
        });
        run.world.crashed.notified().await;
        // Until the copy is there the commit does not reach the FE; an empty answer is an ordinary one to it.
        fault(&run, "target.commit", &[Fault::Refused; 4]);
        if crashes {
            fault(&run, "target.commit", &[Fault::Empty, Fault::CrashAfter]);
        }
        let detail = "a test".to_owned();
        run.request(Request::PartialSync { table: "t1".to_owned(), table_id, detail }).await;
        if crashes {
            run.world.crashed.notified().await;
            run.stop().await;
            tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
            run.start();
        }
        run.caught_up().await;
        run.check();
        run.world.with(|world| {
            let stuck = world.transactions.all.values().filter(|txn| txn.state == TxnState::Prepare).count();
            assert_eq!(stuck, usize::from(!crashes), "nobody has waited for its end");
            assert_eq!(world.transactions.committed, 1);
        });
    }
}

/// The upstream answers slowly and the downstream is quick: commits still follow the upstream's order,
/// which the world checks after each of them.
#[tokio::test(start_paused = true)]
async fn many_transactions_at_a_time_are_committed_in_order() {
    let mut run = Run::following(&["t1", "t2"]).await;
    run.world.with(|world| {
        world.plan.latency_ms = 9;
        world.plan.random = Some((super::world::faults::Random::new(7), 0, 0));
        for n in 0..60 {
            world.load(&[(
                if n % 3 == 0 { "t1" } else { "t2" },
                if n % 2 == 0 { &["p1"] } else { &["p1", "p2"] },
            )]);
        }
    });
    run.caught_up().await;
    run.check();
    tokio::time::sleep(Duration::from_secs(1)).await;
    run.check();
}

/// An old frontend reports no drops, so its answer without a table may as well be a stale one.
#[tokio::test(start_paused = true)]
async fn one_stale_answer_of_an_old_frontend_loses_no_rows() {
    let mut run = Run::following(&["t1", "t2"]).await;
    run.world.with(|world| {
        world.hides_drops = true;
        // The route of a table is read again.
        world.truncate("t1", &[]);
        world.load_all("t1");
        world.load(&[("t1", &["p1"]), ("t2", &["p1"])]);
        world.drop_table("t2");
    });
    fault(&run, "source.meta", &[Fault::Empty, Fault::Empty]);
    run.caught_up().await;
    run.check();
}
