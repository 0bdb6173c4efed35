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
