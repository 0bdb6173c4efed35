//! Random statements of all kinds on a few tables, with random disturbances: whenever the work pauses, the
//! target becomes the source, and no statement of these demands a second full sync.
//!
//! What is drawn follows from a seed; which of it the source refuses also from how quickly its schema changes
//! end, so a seed may have to be run more than once. `CCR_RANDOM_SEEDS=100` runs seeds 0 to 99 instead of a few;
//! `CCR_RANDOM_SEED=7` runs one, and prints what it does.
//!
//! The statements are drawn with little regard to the tables, so the source refuses some of them: a partition
//! is not there, a schema change is under way. Then others are drawn.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::disturbed::{disturb, seeds};
use super::run::{assert_one_full_backup, slow_pair};
use super::{same, settle};
use crate::harness::{DB, Pair, Syncer, Target};

const JOB: &str = "random";
const SEEDS: u64 = 3;
const ROUNDS: usize = 5;
const STATEMENTS_PER_ROUND: usize = 12;
/// So often a statement is drawn until the source takes one.
const DRAWS: usize = 20;

const TABLES: [&str; 4] = ["t1", "t2", "t3", "t4"];
const VIEWS: [&str; 2] = ["v1", "v2"];

/// A user who writes statements.
struct User {
    random: StdRng,
    /// Makes every row another one.
    rows: u32,
}

impl User {
    fn one_of(&mut self, percent: u32) -> bool {
        self.random.random_ratio(percent, 100)
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of.choose(&mut self.random).expect("there is something to pick from")
    }

    fn number(&mut self, below: u32) -> u32 {
        self.random.random_range(0..below)
    }

    fn create(&mut self, table: &str) -> String {
        let (keys, columns, more) = match self.number(4) {
            0 => ("AGGREGATE KEY(k)", "v VARCHAR(20) REPLACE, n BIGINT SUM", ""),
            1 => ("UNIQUE KEY(k)", "v VARCHAR(20), n BIGINT", ""),
            2 => (
                "UNIQUE KEY(k)",
                "v VARCHAR(20), n BIGINT",
                ", \"enable_unique_key_merge_on_write\" = \"false\"",
            ),
            _ => ("DUPLICATE KEY(k)", "v VARCHAR(20), n BIGINT", ""),
        };
        let partitions = if self.one_of(25) {
            ""
        } else {
            "PARTITION BY RANGE(k) (PARTITION p1 VALUES [(\"100\"), (\"200\")), \
             PARTITION p2 VALUES [(\"200\"), (\"300\")))"
        };
        let buckets = self.number(3) + 1;
        format!(
            "CREATE TABLE {table} (k INT NOT NULL, {columns}) {keys} {partitions} DISTRIBUTED BY HASH(k) \
             BUCKETS {buckets} PROPERTIES (\"binlog.enable\" = \"true\"{more})"
        )
    }

    /// One to three rows; of some partition, or of a partition of the four.
    fn rows(&mut self, of: Option<u32>) -> String {
        let count = self.number(3) + 1;
        let rows: Vec<String> = (0..count)
            .map(|_| {
                self.rows += 1;
                let partition = of.unwrap_or_else(|| self.number(2) + 1);
                let key = partition * 100 + self.number(20);
                format!("({key}, 'row {}', {})", self.rows, self.rows)
            })
            .collect();
        rows.join(", ")
    }

    fn insert(&mut self, table: &str) -> String {
        let rows = self.rows(None);
        format!("INSERT INTO {table} (k, v, n) VALUES {rows}")
    }

    fn statement(&mut self) -> String {
        let table = self.pick(&TABLES);
        match self.number(100) {
            0..15 => self.insert(table),
            15..25 => self.of_rows(table),
            25..50 => self.of_partition(table),
            50..70 => self.of_schema(table),
            70..90 => self.of_table(table),
            _ => self.of_view(table),
        }
    }

    fn of_rows(&mut self, table: &str) -> String {
        let key = (self.number(2) + 1) * 100 + self.number(20);
        match self.number(5) {
            0 => format!("DELETE FROM {table} WHERE k = {key}"),
            1 => format!("DELETE FROM {table} PARTITION p1 WHERE k > 110"),
            2 => format!("UPDATE {table} SET v = 'updated' WHERE k > {key}"),
            3 => {
                let other = self.pick(&TABLES);
                let (first, second, third) = (self.insert(table), self.insert(other), self.insert(table));
                format!("BEGIN; {first}; {second}; {third}; COMMIT")
            }
            _ => {
                let other = self.pick(&TABLES);
                format!("INSERT INTO {table} (k, v, n) SELECT k, v, n FROM {other} WHERE k < 150")
            }
        }
    }

    fn of_partition(&mut self, table: &str) -> String {
        let n = self.number(4) + 1;
        let range = format!("[(\"{}\"), (\"{}\"))", n * 100, (n + 1) * 100);
        let force = if self.one_of(30) { " FORCE" } else { "" };
        match self.number(11) {
            0 | 1 => format!("ALTER TABLE {table} ADD PARTITION p{n} VALUES {range}"),
            2 => format!("ALTER TABLE {table} DROP PARTITION p{n}{force}"),
            3 => format!("RECOVER PARTITION p{n} FROM {table}"),
            4 => format!("ALTER TABLE {table} RENAME PARTITION p{n} q{n}"),
            5 => format!("TRUNCATE TABLE {table} PARTITION (p{n})"),
            6 => format!("ALTER TABLE {table} ADD TEMPORARY PARTITION tp{n} VALUES {range}"),
            7 => {
                let rows = self.rows(Some(n));
                format!("INSERT INTO {table} TEMPORARY PARTITION (tp{n}) (k, v, n) VALUES {rows}")
            }
            8 => format!("ALTER TABLE {table} REPLACE PARTITION (p{n}) WITH TEMPORARY PARTITION (tp{n})"),
            9 => {
                let rows = self.rows(Some(n));
                format!("INSERT OVERWRITE TABLE {table} PARTITION (p{n}) (k, v, n) VALUES {rows}")
            }
            _ => format!("ALTER TABLE {table} MODIFY DISTRIBUTION DISTRIBUTED BY HASH(k) BUCKETS {n}"),
        }
    }

    fn of_schema(&mut self, table: &str) -> String {
        let column = self.pick(&["c1", "c2"]);
        match self.number(14) {
            0 => format!("ALTER TABLE {table} ADD COLUMN {column} INT DEFAULT \"1\""),
            1 => format!("ALTER TABLE {table} ADD COLUMN {column} INT SUM DEFAULT \"0\""),
            2 => format!("ALTER TABLE {table} DROP COLUMN {column}"),
            3 => format!("ALTER TABLE {table} RENAME COLUMN c1 c2"),
            4 => format!("ALTER TABLE {table} MODIFY COLUMN {column} BIGINT DEFAULT \"1\""),
            5 => format!("ALTER TABLE {table} ADD COLUMN k2 INT KEY DEFAULT \"0\" AFTER k"),
            6 => format!("ALTER TABLE {table} ADD ROLLUP r1 (k, n)"),
            7 => format!("ALTER TABLE {table} DROP ROLLUP r1"),
            8 => format!("ALTER TABLE {table} RENAME ROLLUP r1 r2"),
            9 => format!("ALTER TABLE {table} ADD INDEX i1 (v) USING INVERTED"),
            10 => format!("ALTER TABLE {table} DROP INDEX i1"),
            11 => format!("BUILD INDEX i1 ON {table}"),
            12 => format!("ALTER TABLE {table} MODIFY COLUMN n COMMENT 'it''s {}'", self.number(9)),
            _ => format!("CREATE MATERIALIZED VIEW mv1 AS SELECT v, sum(n) FROM {table} GROUP BY v"),
        }
    }

    fn of_table(&mut self, table: &str) -> String {
        let other = self.pick(&TABLES);
        let force = if self.one_of(30) { " FORCE" } else { "" };
        match self.number(12) {
            0..4 => self.create(table),
            4 => format!("DROP TABLE {table}{force}"),
            5 => format!("RECOVER TABLE {table}"),
            6 => format!("ALTER TABLE {table} RENAME {other}"),
            7 => format!("ALTER TABLE {table} REPLACE WITH TABLE {other} PROPERTIES (\"swap\" = \"true\")"),
            8 => format!("ALTER TABLE {table} REPLACE WITH TABLE {other} PROPERTIES (\"swap\" = \"false\")"),
            9 => format!("TRUNCATE TABLE {table}"),
            10 => format!("ALTER TABLE {table} MODIFY COMMENT 'it is {}'", self.number(9)),
            _ => {
                let rows = self.rows(None);
                format!("INSERT OVERWRITE TABLE {table} (k, v, n) VALUES {rows}")
            }
        }
    }

    fn of_view(&mut self, table: &str) -> String {
        let view = self.pick(&VIEWS);
        match self.number(4) {
            0 | 1 => format!("CREATE VIEW {view} AS SELECT k, n FROM {table} WHERE n > {}", self.number(9)),
            2 => format!("ALTER VIEW {view} AS SELECT v, count(*) AS many FROM {table} GROUP BY v"),
            _ => format!("DROP VIEW {view}"),
        }
    }
}

/// Drops the views that no query can read any more, as they cannot be compared.
async fn drop_broken_views(pair: &Pair) {
    for view in VIEWS {
        if pair.up.sql_in(DB, &format!("SELECT * FROM {view}")).await.is_err() {
            pair.run(&format!("DROP VIEW IF EXISTS {view}")).await;
        }
    }
}

/// Draws statements until the source takes one, and returns how many it refused.
async fn write(user: &mut User, pair: &Pair, tells: bool) -> usize {
    for refused in 0..DRAWS {
        let statement = user.statement();
        let result = pair.up.sql_in(DB, &statement).await;
        if tells {
            let error = result.as_ref().err().map(|error| format!(" -- {error}")).unwrap_or_default();
            eprintln!("{statement};{error}");
        }
        if result.is_ok() {
            return refused;
        }
    }
    panic!("the source took none of {DRAWS} statements");
}

async fn follows(seed: u64) {
    let tells = std::env::var_os("CCR_RANDOM_SEED").is_some();
    let mut user = User { random: StdRng::seed_from_u64(seed), rows: 0 };
    let pair = slow_pair(|options| options.frontends = 2).await;
    // Temporary partitions may stay; copies would wait for them otherwise.
    pair.sql("ADMIN SET ALL FRONTENDS CONFIG (\"ignore_backup_tmp_partitions\" = \"true\")").await;
    let disturbed = user.one_of(60);
    for table in TABLES {
        let create = user.create(table);
        pair.run(&create).await;
    }
    let mut syncer = Syncer::start().await;
    syncer.allow("keeps failing, retrying");
    syncer.create(&pair.database_job(JOB)).await;
    if user.one_of(50) {
        syncer.wait_for(JOB, Target::InSync).await;
    }

    let mut refused = 0;
    for round in 0..ROUNDS {
        for _ in 0..STATEMENTS_PER_ROUND {
            if disturbed && user.one_of(15) {
                let disturbance = disturb(&mut user.random, &pair);
                if tells {
                    eprintln!("-- {disturbance}");
                }
            }
            refused += write(&mut user, &pair, tells).await;
        }
        if user.one_of(60) || round + 1 == ROUNDS {
            settle(&pair).await;
            drop_broken_views(&pair).await;
            eprintln!("seed {seed}: a pause in round {round}, {refused} statements were refused");
            syncer.wait_for(JOB, Target::InSync).await;
            same::assert_same_but_temporary(&pair).await;
        }
    }
    assert_one_full_backup(&syncer, 1);
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_users_do_the_target_becomes_the_source() {
    for seed in seeds("RANDOM", SEEDS) {
        follows(seed).await;
    }
}
