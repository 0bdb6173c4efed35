//! Accounts of a job: what they need, and where they may come from.

use serde_json::json;

use crate::harness::{DB, Pair, Syncer, Target, assert_equal};

const JOB: &str = "accounts";

/// An account bound to the hosts it connects from replicates, although some thrift calls look accounts up by
/// an address in the request.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_bound_to_a_host_replicates() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("t", 1).await;
    pair.insert("t", 0..3).await;
    for cluster in [&pair.up, &pair.down] {
        for statement in [
            "CREATE USER 'replica'@'127.0.0.%' IDENTIFIED BY 'secret'",
            "GRANT ADMIN_PRIV ON *.*.* TO 'replica'@'127.0.0.%'",
        ] {
            cluster.sql(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }
    let syncer = Syncer::start().await;
    let mut job = pair.database_job(JOB);
    for side in ["src", "dest"] {
        job[side]["user"] = json!("replica");
        job[side]["password"] = json!("secret");
    }
    syncer.create(&job).await;
    syncer.wait_for(JOB, Target::InSync).await;
    pair.insert("t", 3..6).await;
    pair.run(&format!("DELETE FROM {DB}.t WHERE k = 1")).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert!(!syncer.log_text().contains("secret"));
    syncer.finish().await;
}
