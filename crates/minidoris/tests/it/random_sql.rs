//! Random DDL and DML, and what must hold behind any of it.
//!
//! A statement may fail, since the generator does not know what exists; the checks hold in any case. A
//! failure names the seed, which repeats the run.

use std::collections::{BTreeMap, BTreeSet};

use doris_types::record::{BinlogType, Record};
use minidoris::data::bucket::Bucketing;
use minidoris::model::{MaterializedIndex, OlapTable, Partition, Table};
use minidoris::{Cluster, ClusterOptions};

use crate::harness::{bounded, pair};
use crate::replay::{Replay, assert_same, idle};

const STEPS: usize = 300;

/// Splitmix64: the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

/// Every twelfth step makes a table, so that there are some to change.
fn statement(random: &mut Random, step: usize) -> String {
    let t = random.pick(&["t0", "t1", "t2", "`t-3`"]);
    let n = random.below(60);
    let row = |random: &mut Random| format!("({}, {}, 's{}')", random.below(40), n, random.below(9));
    let kind = if step.is_multiple_of(12) { 0 } else { random.below(43) };
    match kind {
        0 | 1 | 35 | 36 => {
            let key = random.pick(&["DUPLICATE", "UNIQUE"]);
            let partitions = random.pick(&[
                "",
                "PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN ('10'), PARTITION p2 VALUES LESS THAN ('50'))",
                "AUTO PARTITION BY LIST (k) ()",
            ]);
            let columns = random.pick(&["k INT NOT NULL", "k BIGINT NOT NULL DEFAULT \"3\" COMMENT 'it''s'"]);
            let replicas = 1 + random.below(2);
            format!(
                "CREATE TABLE {t} ({columns}, v INT, s VARCHAR(20) DEFAULT \"x\\\"y\") {key} KEY(k) {partitions} \
                 DISTRIBUTED BY HASH(k) BUCKETS {} PROPERTIES (\"replication_num\" = \"{replicas}\")",
                1 + random.below(4)
            )
        }
        2..=9 => {
            let rows: Vec<String> = (0..=random.below(4)).map(|_| row(random)).collect();
            format!("INSERT INTO {t} (k, v, s) VALUES {}", rows.join(", "))
        }
        10 => format!("DELETE FROM {t} WHERE k = {}", random.below(40)),
        11 => format!("UPDATE {t} SET v = v + 1 WHERE k < {n}"),
        12 => format!("ALTER TABLE {t} ADD COLUMN c{} INT DEFAULT \"{n}\"", random.below(3)),
        13 => format!("ALTER TABLE {t} DROP COLUMN c{}", random.below(3)),
        14 => format!("ALTER TABLE {t} MODIFY COLUMN v BIGINT"),
        15 => format!("ALTER TABLE {t} ADD ROLLUP r{} (k, v)", random.below(2)),
        16 => format!("ALTER TABLE {t} DROP ROLLUP r{}", random.below(2)),
        17 => format!("ALTER TABLE {t} ADD PARTITION p{n} VALUES [('{}'), ('{}'))", 50 + n, 51 + n),
        18 => format!("ALTER TABLE {t} DROP PARTITION {}", random.pick(&["p1", "p2"])),
        19 => format!("TRUNCATE TABLE {t}"),
        20 => {
            let with = random.pick(&["t0", "t1", "t2"]);
            let swap = random.pick(&["true", "false"]);
            format!("ALTER TABLE {t} REPLACE WITH TABLE {with} PROPERTIES (\"swap\" = \"{swap}\")")
        }
        21 => format!("INSERT OVERWRITE TABLE {t} VALUES {}", row(random)),
        22 => random.pick(&["DROP TABLE t0", "DROP TABLE t1 FORCE", "RECOVER TABLE t0"]).to_owned(),
        23 => format!("ALTER TABLE {t} ADD TEMPORARY PARTITION tp VALUES [('-2147483648'), ('10'))"),
        24 | 25 => format!(
            "INSERT INTO {t} TEMPORARY PARTITION (tp) (k, v, s) VALUES ({}, {n}, 't')",
            random.below(10)
        ),
        26 => format!("ALTER TABLE {t} REPLACE PARTITION (p1) WITH TEMPORARY PARTITION (tp)"),
        27 => format!("ALTER TABLE {t} DROP TEMPORARY PARTITION tp"),
        28 => format!("ALTER TABLE {t} RENAME {}", random.pick(&["t0", "t1", "t2"])),
        29 => random
            .pick(&[
                "CREATE VIEW w AS SELECT * FROM t0",
                "CREATE OR REPLACE VIEW w (a) AS SELECT count(*) FROM t1",
                "ALTER VIEW w AS SELECT k, v + 1 FROM t0",
                "DROP VIEW w",
            ])
            .to_owned(),
        30 => format!("ALTER TABLE {t} ADD INDEX i{} (s) USING INVERTED", random.below(2)),
        31 => format!("ALTER TABLE {t} DROP INDEX i{}", random.below(2)),
        32 => format!(
            "BEGIN; INSERT INTO {t} (k, v, s) VALUES {}; INSERT INTO t0 (k, v, s) VALUES {}; COMMIT",
            row(random),
            row(random)
        ),
        33 => format!("ALTER TABLE {t} RENAME COLUMN c{} c{}", random.below(3), random.below(3)),
        34 => format!("RECOVER PARTITION p1 FROM {t}"),
        37 => format!("ALTER TABLE {t} RENAME PARTITION p{} p{}", random.below(3), random.below(3)),
        38 => format!("ALTER TABLE {t} RENAME ROLLUP r{} r{}", random.below(2), random.below(2)),
        39 => {
            format!("ALTER TABLE {t} MODIFY COLUMN v COMMENT 'a \\\\ {n}', MODIFY COLUMN s COMMENT \"it's\"")
        }
        40 => format!(
            "ALTER TABLE {t} SET (\"compaction_policy\" = \"time_series\", \"group_commit_interval_ms\" = \"{n}1\")"
        ),
        41 => format!("ALTER TABLE {t} MODIFY DISTRIBUTION DISTRIBUTED BY HASH(k) BUCKETS {}", 1 + n % 5),
        42 => format!("ALTER TABLE {t} DROP PARTITION IF EXISTS p{n}, DROP PARTITION p2 FORCE"),
        _comment => format!("ALTER TABLE {t} MODIFY COMMENT 'it\\'s \"{n}\"'"),
    }
}

fn tables(cluster: &Cluster) -> Vec<OlapTable> {
    let state = cluster.inner().fe.lock();
    let db = state.database_named("d").unwrap();
    db.tables.values().filter_map(Table::as_olap).cloned().collect()
}

/// Every row lies in the bucket of its key, on every replica, in every index of formal and temporary partitions.
fn check_rows(cluster: &Cluster, seed: u64) {
    for table in tables(cluster) {
        for partition in table.partitions.values().chain(table.temp_partitions.values()) {
            let indexes: BTreeSet<i64> = partition.indexes.keys().copied().collect();
            let known: BTreeSet<i64> = table.indexes.keys().copied().collect();
            assert_eq!(indexes, known, "seed {seed}: {} {}", table.name, partition.name);
            for index in partition.indexes.values() {
                check_index(cluster, seed, &table, partition, index);
            }
        }
    }
}

fn check_index(
    cluster: &Cluster,
    seed: u64,
    table: &OlapTable,
    partition: &Partition,
    index: &MaterializedIndex,
) {
    for (bucket, tablet) in index.tablets.iter().enumerate() {
        let mut copies = Vec::new();
        for replica in &tablet.replicas {
            assert_eq!(replica.version, partition.visible_version, "seed {seed}: {}", table.name);
            let backend = cluster.inner().backend(replica.backend_id).unwrap();
            let schema = backend.tablet(tablet.id).unwrap().schema();
            let mut bucketing = Bucketing::new(&partition.distribution, &schema, 0);
            let rows = backend.read(tablet.id, partition.visible_version).unwrap();
            for row in &rows {
                assert_eq!(bucketing.bucket(&row.values), bucket, "seed {seed}: {} {row:?}", table.name);
            }
            copies.push(rows);
        }
        assert!(copies.windows(2).all(|pair| pair[0] == pair[1]), "seed {seed}: {}", table.name);
    }
}

/// Every record parses, and the versions of a partition follow each other.
fn check_binlogs(cluster: &Cluster, seed: u64) {
    let mut versions: BTreeMap<i64, i64> = BTreeMap::new();
    {
        let state = cluster.inner().fe.lock();
        let db = state.database_named("d").unwrap().id;
        for entry in state.binlogs.database(db).unwrap().list().iter() {
            let record = Record::parse(entry.binlog_type, Some(&entry.data));
            let record = record.unwrap_or_else(|error| panic!("seed {seed}: {error} in {}", entry.data));
            let Record::Upsert(upsert) = record else {
                assert_ne!(entry.binlog_type, BinlogType::UPSERT);
                continue;
            };
            for made in upsert.table_records.values().flat_map(|table| &table.partition_records) {
                let before = versions.insert(made.partition_id, made.version).unwrap_or(1);
                assert_eq!(made.version, before + 1, "seed {seed}: {}", entry.data);
            }
        }
    }
    let all = tables(cluster);
    for partition in all.iter().flat_map(|t| t.partitions.values().chain(t.temp_partitions.values())) {
        let told = versions.get(&partition.id).copied().unwrap_or(1);
        assert_eq!(partition.visible_version, told, "seed {seed}: {}", partition.name);
    }
}

/// The text of every table makes the same table again.
async fn check_texts(cluster: &Cluster, seed: u64) {
    let text = async |db: &str, name: &str| {
        let found = bounded(cluster.sql_in(db, &format!("SHOW CREATE TABLE `{name}`"))).await.unwrap();
        found.rows[0][1].clone().unwrap()
    };
    for table in tables(cluster) {
        let original = text("d", &table.name).await;
        bounded(cluster.sql_in("again", &original))
            .await
            .unwrap_or_else(|error| panic!("seed {seed}: {error}\n{original}"));
        assert_eq!(text("again", &table.name).await, original, "seed {seed}");
        bounded(cluster.sql_in("again", &format!("DROP TABLE `{}` FORCE", table.name))).await.unwrap();
    }
}

async fn create_databases(cluster: &Cluster, names: &[&str]) {
    for db in names {
        let create = format!("CREATE DATABASE {db} PROPERTIES (\"binlog.enable\" = \"true\")");
        bounded(cluster.sql(&create)).await.unwrap();
    }
}

async fn run(seed: u64) {
    let options = ClusterOptions { backends: 3, ..ClusterOptions::replicating("random") };
    let cluster = bounded(Cluster::start(options)).await.unwrap();
    create_databases(&cluster, &["d", "again"]).await;
    let mut random = Random(seed);
    let mut done = 0;
    for step in 0..STEPS {
        let sql = statement(&mut random, step);
        done += usize::from(bounded(cluster.sql_in("d", &sql)).await.is_ok());
        // Sometimes a job runs beside the next statements, mostly it ends first.
        if random.below(4) > 0 {
            idle(&cluster).await;
        }
    }
    idle(&cluster).await;
    assert!(done > STEPS / 4, "seed {seed}: only {done} statements succeeded");
    check_rows(&cluster, seed);
    check_binlogs(&cluster, seed);
    check_texts(&cluster, seed).await;
    cluster.stop().await;
}

/// The seeds from 1 on, or as many as `MINIDORIS_SEEDS` says.
fn seeds(usual: u64) -> std::ops::RangeInclusive<u64> {
    1..=std::env::var("MINIDORIS_SEEDS").map_or(usual, |number| number.parse().unwrap())
}

#[tokio::test]
async fn random_statements_leave_a_consistent_cluster() {
    for seed in seeds(6) {
        run(seed).await;
    }
}

/// What any statement leaves in the binlog makes the same of a second cluster.
#[tokio::test(flavor = "multi_thread")]
async fn every_binlog_of_random_statements_is_replayable() {
    for seed in seeds(4) {
        let (up, down) = pair().await;
        create_databases(&up, &["d"]).await;
        create_databases(&down, &["d"]).await;
        let mut replay = Replay::new(&up, &down);
        let mut random = Random(seed);
        let mut history = Vec::new();
        for step in 0..STEPS {
            let sql = statement(&mut random, step);
            if bounded(up.sql_in("d", &sql)).await.is_ok() {
                history.push(sql);
            }
            idle(&up).await;
            replay.catch_up(&history).await;
        }
        assert!(history.len() > STEPS / 4, "seed {seed}: only {} statements succeeded", history.len());
        assert_same(&up, &down, seed).await;
        check_rows(&down, seed);
        up.stop().await;
        down.stop().await;
    }
}
