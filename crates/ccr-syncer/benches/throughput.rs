//! How close the syncer comes to the rate that ordered commits allow.
//!
//! Transactions are committed downstream in upstream order, one after the other, so a frontend that needs
//! `L` for a call bounds the rate at `1 / L`, whatever else takes long: beginning and ingesting happen
//! beside it. Here every frontend call takes 5 ms more and every ingest 20 ms more; without overlap a
//! transaction would take 30 ms. The measured rate must reach 80 % of the bound.
//!
//! `cargo bench -p ccr-syncer --bench throughput`

#[expect(dead_code, reason = "the tests share more than this needs")]
#[path = "../../../tests/e2e/harness/mod.rs"]
mod harness;

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use harness::{Pair, Syncer, Target};
use minidoris::{Fault, FaultKind, NodeId};

const JOB: &str = "throughput";
const TRANSACTIONS: u32 = 600;
const FE_CALL: Duration = Duration::from_millis(5);
const INGEST: Duration = Duration::from_millis(20);
const WANTED: f64 = 0.8;
/// Pause between two looks at the counters.
const LOOK: Duration = Duration::from_millis(1);

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let took = runtime.block_on(measure());
    let bound = FE_CALL * TRANSACTIONS;
    let ratio = bound.as_secs_f64() / took.as_secs_f64();
    let rate = f64::from(TRANSACTIONS) / took.as_secs_f64();
    // A bench has nobody to tell when its output is gone.
    let _ = writeln!(
        std::io::stdout(),
        "{TRANSACTIONS} transactions in {took:.2?}: {rate:.0}/s, {ratio:.2} of the bound \
         (wanted {WANTED})"
    );
    if ratio >= WANTED { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How long the transactions took.
async fn measure() -> Duration {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("t", 1).await;
    pair.insert("t", 0..1).await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer.pause(JOB).await;
    for key in 1..=i32::try_from(TRANSACTIONS).expect("a small number") {
        pair.insert("t", key..key + 1).await;
    }
    for cluster in [&pair.up, &pair.down] {
        let milliseconds = |of: Duration| u64::try_from(of.as_millis()).expect("a small number");
        let slow = |of: Duration| Fault::new(FaultKind::Delay(milliseconds(of)));
        cluster.faults().add(slow(FE_CALL).on(NodeId::Fe(0)));
        cluster.faults().add(slow(INGEST).call("ingest_binlog"));
    }
    let before = pair.down.counters().get("commitTxn");
    syncer.resume(JOB).await;
    let started = Instant::now();
    while pair.down.counters().get("commitTxn") < before + u64::from(TRANSACTIONS) {
        assert!(started.elapsed() < harness::BOUND, "the job moves: {}", syncer.progress(JOB).await);
        tokio::time::sleep(LOOK).await;
    }
    let took = started.elapsed();
    for cluster in [&pair.up, &pair.down] {
        cluster.faults().clear();
    }
    syncer.wait_for(JOB, Target::InSync).await;
    harness::assert_equal(&pair, "t", "t").await;
    syncer.finish().await;
    took
}
