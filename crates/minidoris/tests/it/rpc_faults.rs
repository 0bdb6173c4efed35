//! Faults and roles as a thrift client meets them.

use doris_thrift::*;
use minidoris::{Cluster, ClusterOptions, Fault, FaultKind, NodeId};

use crate::harness::bounded;
use crate::wire::{Wire, ok};

/// A cluster of two frontends with `d.t` of one tablet, and the table's id.
async fn cluster_with_table() -> (Cluster, i64) {
    let options = ClusterOptions { frontends: 2, ..ClusterOptions::replicating("faulty") };
    let cluster = Cluster::start(options).await.unwrap();
    cluster.sql(r#"CREATE DATABASE d PROPERTIES ("binlog.enable" = "true")"#).await.unwrap();
    let table = r#"CREATE TABLE t (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1
        PROPERTIES ("replication_num" = "1", "binlog.enable" = "true")"#;
    cluster.sql_in("d", table).await.unwrap();
    let id = Wire::new(&cluster, 0).table("d", "t").await.id.unwrap();
    (cluster, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_answers_not_master() {
    let (cluster, table_id) = cluster_with_table().await;
    let status = Wire::new(&cluster, 1).begin("d", table_id, "l1").await.status.unwrap();
    assert_eq!(status.status_code, TStatusCode::NOT_MASTER);
    cluster.make_master(1).unwrap();
    ok(Wire::new(&cluster, 1).begin("d", table_id, "l1").await.status);
    let status = Wire::new(&cluster, 0).begin("d", table_id, "l2").await.status.unwrap();
    assert_eq!(status.status_code, TStatusCode::NOT_MASTER);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_was_work_done_and_a_lost_request_was_not() {
    let (cluster, table_id) = cluster_with_table().await;
    let wire = Wire::new(&cluster, 0);
    cluster.counters().reset();

    cluster.faults().add(Fault::new(FaultKind::CutBefore).call("beginTxn").containing("lost-1").times(1));
    let begin = |label: &str| TBeginTxnRequest {
        user: Some("root".into()),
        passwd: Some(String::new()),
        db: Some("d".into()),
        table_ids: Some(vec![table_id]),
        label: Some(label.into()),
        ..Default::default()
    };
    assert!(bounded(wire.frontend.begin_txn(&begin("lost-1"))).await.is_err());
    ok(wire.begin("d", table_id, "lost-1").await.status);

    for (label, kind) in [("lost-2", FaultKind::CutAfter), ("lost-3", FaultKind::CutMidReply)] {
        cluster.faults().add(Fault::new(kind).on(NodeId::Fe(0)).call("beginTxn").times(1));
        assert!(bounded(wire.frontend.begin_txn(&begin(label))).await.is_err());
        let status = wire.begin("d", table_id, label).await.status.unwrap();
        assert_eq!(status.status_code, TStatusCode::LABEL_ALREADY_EXISTS);
    }

    let staged = FaultKind::Status { code: 6, text: "staged".to_owned() };
    cluster.faults().add(Fault::new(staged).call("beginTxn").times(1));
    let status = wire.begin("d", table_id, "refused").await.status.unwrap();
    assert_eq!(status.status_code, TStatusCode::INTERNAL_ERROR);
    assert!(format!("{:?}", status.error_msgs).contains("staged"));

    cluster.faults().add(Fault::new(FaultKind::NotMaster).call("beginTxn").times(1));
    let status = wire.begin("d", table_id, "refused").await.status.unwrap();
    assert_eq!(status.status_code, TStatusCode::NOT_MASTER);
    assert_eq!(cluster.counters().get("beginTxn"), 8);
    assert!(cluster.faults().rules().is_empty());
    cluster.stop().await;
}
