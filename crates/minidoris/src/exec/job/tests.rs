//! Jobs from statement to swap.

use super::advance_all;
use crate::cluster::ClusterInner;
use crate::exec::tests::{binlogs, cluster, execute};
use crate::model::{IndexState, OlapTable, Table, TableState};

fn setup() -> (ClusterInner, i64) {
    let cluster = cluster(1);
    for sql in [
        "create database d properties ('binlog.enable' = 'true')",
        "create table t (k int, v int, s varchar(9), index n (s) using ngram_bf) unique key(k) distributed by hash(k) buckets 2",
    ] {
        execute(&cluster, sql).unwrap();
    }
    let db_id = cluster.fe.lock().database_named("d").unwrap().id;
    (cluster, db_id)
}

fn with_table<T>(cluster: &ClusterInner, look: impl FnOnce(&OlapTable) -> T) -> T {
    let state = cluster.fe.lock();
    look(state.database_named("d").unwrap().table_named("t").and_then(Table::as_olap).unwrap())
}

fn advance(cluster: &ClusterInner) -> bool {
    let state = &mut *cluster.fe.lock();
    advance_all(cluster, state)
}

/// Statements that rewrite data, with the text of their job and the states they log.
#[test]
fn heavy_changes_log_their_states_and_swap() {
    for (sql, raw_sql) in [
        (
            "alter table t add column kk int key default \"0\" after k",
            "ADD COLUMN `kk` int KEY NULL DEFAULT \\\"0\\\" COMMENT \\\"\\\" AFTER `k`\"",
        ),
        ("alter table t modify column v bigint", "MODIFY COLUMN `v` bigint NULL COMMENT \\\"\\\"\""),
        ("alter table t order by (k, s, v)", "ORDER BY (`k`, `s`, `v`)\""),
        (
            "alter table t set ('bloom_filter_columns' = 'v')",
            "SET (\\\"bloom_filter_columns\\\" \\u003d \\\"v\\\")\"",
        ),
        ("alter table t drop index n", "DROP INDEX n\""),
        (
            "alter table t enable feature 'SEQUENCE_LOAD' with properties ('function_column.sequence_type' = 'int')",
            "ENABLE FEATURE \\\"SEQUENCE_LOAD\\\"",
        ),
    ] {
        let (cluster, db_id) = setup();
        let before = with_table(&cluster, |table| table.base_index_id);
        execute(&cluster, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(
            with_table(&cluster, |table| (table.state, table.indexes.len())),
            (TableState::SchemaChange, 1)
        );
        let refused = execute(&cluster, "alter table t add column z int").unwrap_err();
        assert!(refused.message.contains("state(SCHEMA_CHANGE) is not NORMAL"), "{}", refused.message);
        assert!(advance(&cluster));
        with_table(&cluster, |table| {
            let shadow = table.indexes.values().nth(1).unwrap();
            assert_eq!((shadow.state, shadow.name.as_str()), (IndexState::Shadow, "__doris_shadow_t"));
            assert!(
                table.partitions.values().all(|partition| partition.indexes[&shadow.id].tablets.len() == 2)
            );
        });
        let journal_id = cluster.fe.lock().journal_id;
        assert!(advance(&cluster));
        {
            let state = cluster.fe.lock();
            let row = state.ddl.alter_jobs[0].state.clone();
            assert_eq!((row.as_str(), state.journal_id), ("RUNNING", journal_id + 1), "without a binlog");
        }
        assert!(advance(&cluster));
        assert!(!advance(&cluster), "the job has ended");
        let after = with_table(&cluster, |table| {
            assert_eq!((table.state, table.indexes.len()), (TableState::Normal, 1));
            assert_eq!(table.base_index().name, "t");
            assert!(
                table
                    .partitions
                    .values()
                    .all(|partition| partition.indexes.keys().eq([&table.base_index_id]))
            );
            table.base_index_id
        });
        assert_ne!(before, after, "the swap gives a new index id");
        let all = binlogs(&cluster, db_id);
        let states = ["PENDING", "WAITING_TXN", "FINISHED"];
        assert_eq!(all.len(), 1 + states.len());
        for ((ty, data), state) in all[1..].iter().zip(states) {
            assert_eq!(*ty, 5);
            assert!(data.contains(&format!("\"jobState\":\"{state}\"")) && data.contains(raw_sql), "{data}");
            assert!(data.contains(&format!("\"iim\":{{\"{after}\":{before}}}")), "{data}");
        }
        assert_eq!(cluster.fe.lock().ddl.alter_jobs[0].state, "FINISHED");
    }
}

#[test]
fn rollups_skip_pending_and_views_do_not() {
    for (sql, states) in [
        ("alter table t add rollup r (k, v)", &["WAITING_TXN", "FINISHED"][..]),
        ("create materialized view r as select k, v from t", &["PENDING", "WAITING_TXN", "FINISHED"][..]),
    ] {
        let (cluster, db_id) = setup();
        execute(&cluster, sql).unwrap();
        while advance(&cluster) {}
        let all = binlogs(&cluster, db_id);
        assert_eq!(all.len(), 1 + states.len(), "{sql}");
        for ((_, data), state) in all[1..].iter().zip(states) {
            assert!(
                data.contains("\"type\":\"ROLLUP\"") && data.contains("\"rollUpIndexName\":\"r\""),
                "{data}"
            );
            assert!(data.contains(&format!("\"jobState\":\"{state}\"")), "{data}");
            assert_eq!(data.contains("rawSql"), sql.starts_with("alter"), "{data}");
        }
        let names: Vec<String> =
            with_table(&cluster, |table| table.indexes.values().map(|index| index.name.clone()).collect());
        assert_eq!(names, ["t", "r"]);
    }
}

#[test]
fn a_dropped_table_ends_its_job() {
    let (cluster, _) = setup();
    execute(&cluster, "alter table t modify column v bigint").unwrap();
    assert!(advance(&cluster));
    execute(&cluster, "drop table t force").unwrap();
    assert!(advance(&cluster));
    let state = cluster.fe.lock();
    assert_eq!(state.ddl.alter_jobs[0].state, "CANCELLED");
    assert!(state.ddl.running_jobs.is_empty());
}

/// Loads beside a job, step by step. Each test ends with [`assert_complete`].
mod loads {
    use std::sync::Arc;

    use super::{advance, setup, with_table};
    use crate::cluster::ClusterInner;
    use crate::data::Value;
    use crate::error::SqlResult;
    use crate::exec::tests::{execute, session};
    use crate::query::load::{self, Load};
    use crate::query::target::{LoadTarget, PartitionChoice};
    use crate::query::writer::Writer;
    use crate::session::Answer;
    use crate::txn::TxnError;

    const HEAVY: &str = "alter table t modify column v bigint";

    fn cluster() -> Arc<ClusterInner> {
        Arc::new(setup().0)
    }

    /// The job runs and ends.
    fn finish(cluster: &ClusterInner) {
        assert!(advance(cluster), "the job runs");
        assert!(advance(cluster), "the job ends");
        assert!(cluster.fe.lock().ddl.running_jobs.is_empty());
    }

    fn plan(cluster: &ClusterInner) -> LoadTarget {
        LoadTarget::plan(cluster, "d", "t", PartitionChoice::default()).unwrap()
    }

    fn open(cluster: &ClusterInner, target: &LoadTarget) -> Result<Load, TxnError> {
        load::open(cluster, target, None, None)
    }

    fn stage(cluster: &ClusterInner, target: &LoadTarget, load: &Load, key: i128) -> Vec<(i64, i64)> {
        let mut writer = Writer::new(target);
        let mut row = vec![Value::Null; target.schema.columns.len()];
        row[0] = Value::Int(key);
        row[1] = Value::Int(key);
        writer.add(&row, false).unwrap();
        writer.stage(cluster, load.txn_id, load.load_id).unwrap().0
    }

    async fn rows(cluster: &Arc<ClusterInner>, sql: &str) -> SqlResult<Answer> {
        crate::query::run(cluster, &mut session(), sql).await
    }

    /// Every replica has what its partition shows, and the table has so many rows.
    async fn assert_complete(cluster: &Arc<ClusterInner>, count: usize) {
        let tablets = with_table(cluster, |table| {
            let mut found = Vec::new();
            for partition in table.partitions.values() {
                for replica in partition.tablets().flat_map(|tablet| &tablet.replicas) {
                    assert_eq!(
                        (replica.version, replica.last_failed_version),
                        (partition.visible_version, -1),
                        "replica {} of partition {}",
                        replica.id,
                        partition.name
                    );
                }
                for tablet in partition.tablets() {
                    found.extend(
                        tablet.replicas.iter().map(|r| (tablet.id, r.backend_id, partition.visible_version)),
                    );
                }
            }
            found
        });
        for (tablet, backend, version) in tablets {
            let found = cluster.backend(backend).unwrap().tablet(tablet).unwrap();
            assert!(found.max_version() >= version, "tablet {tablet} on {backend} lacks {version}");
        }
        let Ok(Answer::Rows(found)) = rows(cluster, "select count(*) from t").await else {
            panic!("no answer")
        };
        assert_eq!(found.rows, [[Some(count.to_string())]]);
    }

    #[tokio::test]
    async fn an_older_load_counts_for_the_shadow_too() {
        for sql in [HEAVY, "alter table t add rollup r (k, v)"] {
            let cluster = cluster();
            let target = plan(&cluster);
            let older = open(&cluster, &target).unwrap();
            execute(&cluster, sql).unwrap();
            assert!(advance(&cluster), "the shadow opens");
            assert!(!advance(&cluster), "the job waits for the load");
            let writes = stage(&cluster, &target, &older, 1);
            load::commit(&cluster, &older, writes).await.unwrap();
            finish(&cluster);
            assert_complete(&cluster, 1).await;
        }
    }

    #[tokio::test]
    async fn a_plan_without_the_shadow_opens_no_transaction_behind_the_watershed() {
        let cluster = cluster();
        let target = plan(&cluster);
        execute(&cluster, HEAVY).unwrap();
        assert!(advance(&cluster));
        let refused = open(&cluster, &target).unwrap_err();
        assert!(load::is_outdated(&load::sql_error(&refused)), "{refused}");
        rows(&cluster, "insert into t (k, v) values (1, 1)").await.unwrap();
        finish(&cluster);
        assert_complete(&cluster, 1).await;
    }

    #[tokio::test]
    async fn a_load_that_knows_the_shadow_may_end_after_the_swap() {
        for staged_first in [true, false] {
            let cluster = cluster();
            rows(&cluster, "insert into t (k, v) values (1, 1), (2, 2)").await.unwrap();
            execute(&cluster, HEAVY).unwrap();
            assert!(advance(&cluster));
            let target = plan(&cluster);
            let load = open(&cluster, &target).unwrap();
            let early = staged_first.then(|| stage(&cluster, &target, &load, 3));
            // The job does not wait for it.
            finish(&cluster);
            let writes = early.unwrap_or_else(|| stage(&cluster, &target, &load, 3));
            load::commit(&cluster, &load, writes).await.unwrap();
            assert_complete(&cluster, 3).await;
        }
    }

    /// Partitions that change places would be without the indexes of the job, or keep those of before it.
    #[tokio::test]
    async fn an_overwrite_is_refused_beside_a_job() {
        for steps in 0..3 {
            let cluster = cluster();
            rows(&cluster, "insert into t (k, v) values (1, 1), (2, 2)").await.unwrap();
            execute(&cluster, HEAVY).unwrap();
            for _ in 0..steps {
                assert!(advance(&cluster));
            }
            let refused = rows(&cluster, "insert overwrite table t (k, v) values (3, 3)").await.unwrap_err();
            assert!(refused.message.contains("state(SCHEMA_CHANGE) is not NORMAL"), "{}", refused.message);
            while advance(&cluster) {}
            assert_eq!(cluster.fe.lock().ddl.alter_jobs[0].state, "FINISHED");
            assert_complete(&cluster, 2).await;
            rows(&cluster, "insert overwrite table t (k, v) values (3, 3)").await.unwrap();
            assert_complete(&cluster, 1).await;
        }
    }

    #[tokio::test]
    async fn binlogs_of_the_shadow_outlive_the_swap() {
        let cluster = cluster();
        execute(&cluster, HEAVY).unwrap();
        assert!(advance(&cluster));
        rows(&cluster, "insert into t (k, v) values (1, 1), (2, 2)").await.unwrap();
        rows(&cluster, "insert into t (k, v) values (1, 9)").await.unwrap();
        finish(&cluster);
        assert_complete(&cluster, 2).await;
        let tablets: Vec<(i64, i64)> = with_table(&cluster, |table| {
            let tablets = table.partitions.values().flat_map(|partition| partition.tablets());
            tablets.map(|tablet| (tablet.id, tablet.replicas[0].backend_id)).collect()
        });
        for (id, backend) in tablets {
            let tablet = cluster.backend(backend).unwrap().tablet(id).unwrap();
            for version in [2, 3] {
                let binlog =
                    tablet.binlog(version).unwrap_or_else(|| panic!("no binlog of version {version}"));
                assert!(tablet.binlog_rowset(&binlog.meta.rowset_id).is_some());
            }
            assert!(tablet.binlog(1).is_none());
        }
    }

    #[tokio::test]
    async fn a_dead_backend_gets_the_new_index_when_it_is_back() {
        let cluster = Arc::new(crate::exec::tests::cluster(3));
        for sql in [
            "create database d properties ('binlog.enable' = 'true')",
            "create table t (k int, v int) unique key(k) distributed by hash(k) buckets 2 \
             properties ('replication_num' = '3')",
        ] {
            execute(&cluster, sql).unwrap();
        }
        rows(&cluster, "insert into t values (1, 1), (2, 2)").await.unwrap();
        execute(&cluster, HEAVY).unwrap();
        assert!(advance(&cluster));
        let alive = |id: i64, alive: bool| cluster.backend_nodes.write().get_mut(&id).unwrap().alive = alive;
        rows(&cluster, "insert into t values (2, 20), (3, 3)").await.unwrap();
        alive(1, false);
        alive(2, false);
        assert!(advance(&cluster), "the job runs");
        assert!(!advance(&cluster), "one replica of three is no majority");
        alive(2, true);
        assert!(advance(&cluster));
        alive(1, true);
        crate::txn::tick(&cluster);
        assert_complete(&cluster, 3).await;
        // The repaired replicas alone give the same rows.
        alive(2, false);
        alive(3, false);
        let Ok(Answer::Rows(found)) = rows(&cluster, "select k, v from t order by k").await else { panic!() };
        let text = |value: &str| Some(value.to_owned());
        assert_eq!(found.rows, [[text("1"), text("1")], [text("2"), text("20")], [text("3"), text("3")]]);
    }
}
