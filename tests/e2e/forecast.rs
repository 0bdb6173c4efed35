//! A warning before the binlog expires that a job needs next.

use crate::harness::{BOUND, Pair, Syncer, Target, wait_until};

const JOB: &str = "forecast";

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_paused_for_long_is_warned_of_before_its_binlog_expires() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("a", 1).await;
    let mut syncer = Syncer::start().await;
    syncer.allow("has used up");
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer.pause(JOB).await;
    for round in 0..6 {
        pair.insert("a", round * 10..round * 10 + 1).await;
    }
    // Of what is kept, more than half is what the job has not seen yet.
    pair.run("ALTER DATABASE d1 SET PROPERTIES (\"binlog.max_history_nums\" = \"10\")").await;
    syncer.kill();
    syncer.restart().await;
    let told = async || {
        let forecast = syncer.progress(JOB).await["forecast"].clone();
        match forecast["limit"].as_str() {
            Some("binlog.max_history_nums") => Ok(forecast),
            _ => Err(forecast.to_string()),
        }
    };
    let forecast = wait_until("the forecast", BOUND, told).await;
    let used = forecast["used"].as_f64().expect("a number");
    assert!((0.5..1.0).contains(&used), "{forecast}");
    let log = syncer.log_text();
    assert_eq!(log.matches("has used up").count(), 1, "{log}");
    syncer.resume(JOB).await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer.finish().await;
}
