//! A user who writes statements of all kinds, with little regard to the tables.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::random::Jobs;

pub const TABLES: [&str; 4] = ["t1", "t2", "t3", "t4"];
/// Of them, those that table jobs follow; the others take their places.
pub const FOLLOWED: [&str; 2] = ["t1", "t2"];
pub const VIEWS: [&str; 2] = ["v1", "v2"];

/// A user who writes statements.
pub struct User {
    pub random: StdRng,
    pub jobs: Jobs,
    /// Makes every row another one.
    pub rows: u32,
}

impl User {
    pub fn one_of(&mut self, percent: u32) -> bool {
        self.random.random_ratio(percent, 100)
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of.choose(&mut self.random).expect("there is something to pick from")
    }

    fn number(&mut self, below: u32) -> u32 {
        self.random.random_range(0..below)
    }

    pub fn create(&mut self, table: &str) -> String {
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

    pub fn statement(&mut self) -> String {
        if self.jobs == Jobs::Tables {
            return self.of_followed();
        }
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
        let medium = self.pick(&["ssd", "hdd"]);
        match self.number(12) {
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
            10 => {
                format!("ALTER TABLE {table} MODIFY PARTITION p{n} SET (\"storage_medium\" = \"{medium}\")")
            }
            _ => format!("ALTER TABLE {table} MODIFY DISTRIBUTION DISTRIBUTED BY HASH(k) BUCKETS {n}"),
        }
    }

    fn of_schema(&mut self, table: &str) -> String {
        let column = self.pick(&["c1", "c2"]);
        let (policy, on) = (self.pick(&["time_series", "size_based"]), self.pick(&["true", "false"]));
        match self.number(17) {
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
            12 => format!("ALTER TABLE {table} SET (\"compaction_policy\" = \"{policy}\")"),
            13 => format!("ALTER TABLE {table} SET (\"disable_auto_compaction\" = \"{on}\")"),
            14 => format!("ALTER TABLE {table} SET (\"distribution_type\" = \"random\")"),
            15 => format!("ALTER TABLE {table} MODIFY COLUMN n COMMENT 'it''s {}'", self.number(9)),
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

    /// A statement on a table that a job follows, or a few after which a table has its name again.
    fn of_followed(&mut self) -> String {
        let (table, partner) = (self.pick(&FOLLOWED), self.pick(&TABLES));
        match self.number(100) {
            0..15 => return self.insert(table),
            15..25 => return self.of_rows(table),
            25..50 => return self.of_partition(table),
            50..75 => return self.of_schema(table),
            _ => {}
        }
        let force = if self.one_of(30) { " FORCE" } else { "" };
        let swap = self.pick(&["true", "false"]);
        let is_partner_free = !FOLLOWED.contains(&partner);
        match self.number(8) {
            0 => format!("TRUNCATE TABLE {table}{force}"),
            1 => format!("ALTER TABLE {table} MODIFY COMMENT 'it is {}'", self.number(9)),
            2 => {
                let rows = self.rows(None);
                format!("INSERT OVERWRITE TABLE {table} (k, v, n) VALUES {rows}")
            }
            3 => format!("DROP TABLE {table}{force}; {}", self.create(table)),
            4 => format!("DROP TABLE {table}; RECOVER TABLE {table}"),
            5 => format!("ALTER TABLE {table} RENAME away; ALTER TABLE away RENAME {table}"),
            6 if is_partner_free => self.create(partner),
            // A table that takes another's place is followed under its new name.
            _ if is_partner_free => {
                format!("ALTER TABLE {table} REPLACE WITH TABLE {partner} PROPERTIES (\"swap\" = \"{swap}\")")
            }
            _ => self.insert(partner),
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
