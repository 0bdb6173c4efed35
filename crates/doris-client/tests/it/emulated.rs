//! The clients against emulated clusters.

use doris_client::{Clients, ClusterConfig, DorisCluster, Seed};
use doris_types::call::*;
use doris_types::failure::Cause;
use minidoris::{Cluster, ClusterOptions, Fault, FaultKind};

use crate::support::options;

const TABLE: &str = r#"CREATE TABLE t (k INT, v VARCHAR(32)) UNIQUE KEY(k)
    PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN ("100"), PARTITION p2 VALUES LESS THAN ("200"))
    DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES ("replication_num" = "1", "binlog.enable" = "true")"#;

async fn start(options: ClusterOptions) -> Cluster {
    Cluster::start(options).await.unwrap()
}

fn client(clients: &std::sync::Arc<Clients>, cluster: &Cluster, frontends: usize) -> DorisCluster {
    let seeds = (0..frontends).map(|index| {
        let node = cluster.fe(index);
        Seed { host: node.host, query_port: node.query_port, rpc_port: node.rpc_port }
    });
    clients.cluster(ClusterConfig {
        seeds: seeds.collect(),
        user: "root".into(),
        password: String::new(),
        host_mapping: [].into(),
    })
}

fn begin(label: &str, table_ids: Vec<i64>) -> BeginTxn {
    BeginTxn {
        database: "d".into(),
        table_ids,
        label: label.into(),
        request_id: (1, 2),
        timeout_s: 600,
        sub_txn_num: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_is_followed_through_its_death() {
    let cluster = start(ClusterOptions { frontends: 3, ..ClusterOptions::replicating("three") }).await;
    let client = client(&Clients::new(options()), &cluster, 3);
    client.execute(None, "CREATE DATABASE d").await.unwrap();
    client.execute(Some("d"), TABLE).await.unwrap();
    let table_id = client.meta("d", MetaFilter::Names).await.unwrap().unwrap().tables[0].id;
    let opened = client.begin_txn(&begin("before", vec![table_id])).await.unwrap();
    assert!(matches!(opened, BeginAnswer::Opened { .. }));
    cluster.kill_frontend(0).await.unwrap();
    let failure = client.begin_txn(&begin("between", vec![table_id])).await.unwrap_err();
    assert!(matches!(failure.cause, Cause::NoMaster { .. }), "{failure}");
    cluster.make_master(2).unwrap();
    let opened = client.begin_txn(&begin("after", vec![table_id])).await.unwrap();
    assert!(matches!(opened, BeginAnswer::Opened { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_are_reported_and_can_be_cleared_up() {
    let cluster = start(ClusterOptions::replicating("lossy")).await;
    let client = client(&Clients::new(options()), &cluster, 1);
    client.execute(None, "CREATE DATABASE d").await.unwrap();
    client.execute(Some("d"), TABLE).await.unwrap();
    let table_id = client.meta("d", MetaFilter::Names).await.unwrap().unwrap().tables[0].id;
    for kind in [FaultKind::CutAfter, FaultKind::CutMidReply] {
        let label = format!("{kind:?}");
        cluster.faults().add(Fault::new(kind).call("beginTxn").times(1));
        let failure = client.begin_txn(&begin(&label, vec![table_id])).await.unwrap_err();
        assert!(matches!(failure.cause, Cause::Lost { .. }), "{failure}");
        // The same label and request id find the transaction that was opened all the same.
        let BeginAnswer::Opened { txn_id, .. } =
            client.begin_txn(&begin(&label, vec![table_id])).await.unwrap()
        else {
            panic!("the transaction is open");
        };
        client.rollback_txn("d", txn_id, "not wanted").await.unwrap();
    }
    cluster.faults().add(Fault::new(FaultKind::CutBefore).call("sql:*").containing("CREATE TABLE").times(1));
    let failure = client.execute(Some("d"), &TABLE.replace("TABLE t", "TABLE u")).await.unwrap_err();
    assert!(matches!(failure.cause, Cause::Lost { .. }), "{failure}");
    let tables = client.meta("d", MetaFilter::Names).await.unwrap().unwrap().tables;
    assert_eq!(tables.len(), 1);
}
