//! Random DDL and DML, and what must hold behind any of it.
//!
//! A statement may fail, since the generator does not know what exists; the checks hold in any case. A
//! failure names the seed, which repeats the run.

use std::collections::BTreeMap;

use doris_types::record::{BinlogType, Record};
use minidoris::data::bucket::Bucketing;
use minidoris::model::{OlapTable, Table};
use minidoris::{Cluster, ClusterOptions};

use crate::harness::{LIMIT, bounded};

const STEPS: usize = 200;

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

fn statement(random: &mut Random) -> String {
    let t = random.pick(&["t0", "t1", "t2", "`t-3`"]);
    let n = random.below(60);
    let row = |random: &mut Random| format!("({}, {}, 's{}')", random.below(40), n, random.below(9));
    match random.below(24) {
        0 | 1 => {
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
        _ => format!("ALTER TABLE {t} MODIFY COMMENT 'it\\'s \"{n}\"'"),
    }
}

fn tables(cluster: &Cluster) -> Vec<OlapTable> {
    let state = cluster.inner().fe.lock();
    let db = state.database_named("d").unwrap();
    db.tables.values().filter_map(Table::as_olap).cloned().collect()
}

/// Every row lies in the bucket of its key, on every replica.
fn check_rows(cluster: &Cluster, seed: u64) {
    for table in tables(cluster) {
        for partition in table.partitions.values() {
            let tablets = &partition.indexes[&table.base_index_id].tablets;
            for (bucket, tablet) in tablets.iter().enumerate() {
                let mut copies = Vec::new();
                for replica in &tablet.replicas {
                    assert_eq!(replica.version, partition.visible_version, "seed {seed}: {}", table.name);
                    let backend = cluster.inner().backend(replica.backend_id).unwrap();
                    let schema = backend.tablet(tablet.id).unwrap().schema();
                    let mut bucketing = Bucketing::new(&partition.distribution, &schema, 0);
                    let rows = backend.read(tablet.id, partition.visible_version).unwrap();
                    for row in &rows {
                        assert_eq!(
                            bucketing.bucket(&row.values),
                            bucket,
                            "seed {seed}: {} {row:?}",
                            table.name
                        );
                    }
                    copies.push(rows);
                }
                assert!(copies.windows(2).all(|pair| pair[0] == pair[1]), "seed {seed}: {}", table.name);
            }
        }
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
    for partition in tables(cluster).iter().flat_map(|table| table.partitions.values()) {
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

async fn run(seed: u64) {
    let options = ClusterOptions { backends: 3, ..ClusterOptions::replicating("random") };
    let cluster = bounded(Cluster::start(options)).await.unwrap();
    for db in ["d", "again"] {
        let create = format!("CREATE DATABASE {db} PROPERTIES (\"binlog.enable\" = \"true\")");
        bounded(cluster.sql(&create)).await.unwrap();
    }
    let mut random = Random(seed);
    let mut done = 0;
    for _ in 0..STEPS {
        let sql = statement(&mut random);
        done += usize::from(bounded(cluster.sql_in("d", &sql)).await.is_ok());
        // Sometimes a job runs beside the next statements, mostly it ends first.
        if random.below(4) > 0 {
            let idle = |inner: &minidoris::ClusterInner| inner.fe.lock().ddl.running_jobs.is_empty();
            assert!(cluster.wait_until(LIMIT, idle).await, "seed {seed}: a job does not end");
        }
    }
    assert!(cluster.wait_until(LIMIT, |inner| inner.fe.lock().ddl.running_jobs.is_empty()).await);
    assert!(done > STEPS / 4, "seed {seed}: only {done} statements succeeded");
    check_rows(&cluster, seed);
    check_binlogs(&cluster, seed);
    check_texts(&cluster, seed).await;
    cluster.stop().await;
}

#[tokio::test]
async fn random_statements_leave_a_consistent_cluster() {
    for seed in 1..=6 {
        run(seed).await;
    }
}
