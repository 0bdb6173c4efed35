//! A change that the syncer cannot apply blocks the job and says which one and why.

use crate::harness::{BOUND, Pair, Syncer, Target, assert_equal, wait_until};

const JOB: &str = "blocked";

#[tokio::test(flavor = "multi_thread")]
async fn an_unsupported_change_blocks_the_job_with_code_type_and_seq() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("t", 1).await;
    pair.insert("t", 0..3).await;
    let mut syncer = Syncer::start().await;
    syncer.allow("RENAME_TABLE");
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;

    pair.insert("t", 3..5).await;
    pair.run("ALTER TABLE t RENAME renamed").await;
    pair.insert("renamed", 5..8).await;
    let blocked = wait_until("the job is blocked", BOUND, || async {
        let progress = syncer.progress(JOB).await;
        let blocked = progress["blocked"].clone();
        if blocked.is_null() { Err(progress.to_string()) } else { Ok(blocked) }
    })
    .await;
    let code = blocked["code"].as_str().unwrap_or_default();
    assert!(code.len() == 7 && code.starts_with("CCR"), "a stable code: {blocked}");
    assert_eq!(blocked["binlog_type"], "RENAME_TABLE", "{blocked}");
    assert!(blocked["commit_seq"].as_i64().is_some_and(|seq| seq > 0), "{blocked}");
    for text in ["message", "hint"] {
        assert!(blocked[text].as_str().is_some_and(|text| !text.is_empty()), "{text}: {blocked}");
    }
    assert_eq!(pair.downstream_rows("t").await, 5, "what came before it is there, nothing after it");
    assert!(syncer.lag(JOB).await >= 2, "a blocked job is not in sync");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_survives_a_restart() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("t", 1).await;
    pair.insert("t", 0..3).await;
    let mut syncer = Syncer::start().await;
    syncer.allow("RENAME_TABLE");
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    pair.run("ALTER TABLE t RENAME renamed").await;
    let blocked = async |syncer: &Syncer| {
        wait_until("the job is blocked", BOUND, || async {
            let progress = syncer.progress(JOB).await;
            let blocked = progress["blocked"]["commit_seq"].as_i64();
            blocked.ok_or_else(|| progress.to_string())
        })
        .await
    };
    let before = blocked(&syncer).await;
    syncer.kill();
    syncer.restart().await;
    assert_eq!(blocked(&syncer).await, before);
    syncer.finish().await;
}
