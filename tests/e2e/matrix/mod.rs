//! Every kind of change, at every moment of a job's life: before the snapshot, while the backup is under
//! way, while the restore is, and in the stream.
//!
//! A [`Case`] is one form of a statement. Its tables exist once per moment, in one database, so one
//! job shows all cases of a family at all moments, beside each other. Each case loads rows before and after
//! its change. In the end both sides hold the same tables with the same rows, schema and partitions, and
//! there was one full backup.
//!
//! A family names the types of binlog that it is about, and fails when the upstream has not served them
//! while the job was in its stream. [`coverage`] fails when a known type is in no family.
//!
//! | file | what changes |
//! |---|---|
//! | `rows` | loads, deletes, updates |
//! | `partitions` | range, list and automatic partitions; temporary ones, replacing, overwriting; buckets; media |
//! | `cancelled` | changes that are given up |
//! | `columns` | light and heavy changes of columns |
//! | `indexes` | rollups, materialised views, secondary indexes |
//! | `kinds` | tables of all kinds and properties, made by a statement and brought by a snapshot |
//! | `tables` | tables as a whole: made, dropped, renamed, replaced, emptied, described |
//! | `lives` | the table of a table job that comes and goes |
//! | `views` | views |
//! | `expired` | what no statement writes: a gap |
//! | `every` | one case per type: to other names, between other releases (`releases`), under faults (`disturbed`) |
//! | `apart`, `readable`, `untouched` | what becomes of a table, and what is seen of it, while it is copied |
//! | `skipped` | what an operator asks to pass over |
//! | `random` | statements of all kinds, drawn at random by a `user` |

mod apart;
mod cancelled;
mod columns;
mod coverage;
mod disturbed;
mod doubtful;
mod every;
mod expired;
mod index_files;
mod indexes;
mod kinds;
mod lives;
mod partitions;
mod random;
mod readable;
mod releases;
mod rows;
mod run;
mod same;
mod served;
mod skipped;
mod tables;
mod untouched;
mod user;
mod views;

pub use every::EVERY;
pub use run::{Shape, in_database_job_of, in_table_jobs_at, last_seq, run, settle, slow_pair};
pub use same::{
    assert_same_database, assert_same_databases, assert_same_partitions, assert_same_table, ends_equal,
};

/// One test per family of cases, and the list of the types of binlog that they are about.
macro_rules! families {
    ($list:ident, $runner:ident: $($test:ident => $cases:expr, [$($kind:ident),* $(,)?];)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::run::$runner($cases, &[$(doris_types::record::BinlogType::$kind),*]).await;
            }
        )*

        pub(super) const $list: &[&[doris_types::record::BinlogType]] =
            &[$(&[$(doris_types::record::BinlogType::$kind),*]),*];
    };
}
use families;

/// One change. In all statements `{t}` stands for the case's table; other names start with `{t}_`.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The table's name, to which the moment is added.
    pub name: &'static str,
    /// Makes the tables and their first rows, before the job is created.
    pub setup: &'static [&'static str],
    /// The change, and loads in its midst. [`SETTLE`] waits for the jobs of ALTER statements.
    pub change: &'static [&'static str],
    /// Loads after it.
    pub after: &'static [&'static str],
    /// The name that the table of a table job has in the end.
    ends_as: &'static str,
}

impl Case {
    const fn ends_as(self, name: &'static str) -> Self {
        Self { ends_as: name, ..self }
    }
}

/// Stands between statements: wait until all schema change and rollup jobs have ended.
const SETTLE: &str = "SETTLE";

/// Stands between statements: from here on, the jobs of ALTER statements stay where they are.
const HOLD_ALTERS: &str = "HOLD ALTERS";

/// Each of them goes on by one step: to a schema change's shadow index, which loads fill from then on.
const STEP_ALTERS: &str = "STEP ALTERS";

/// They go on by themselves again.
const RELEASE_ALTERS: &str = "RELEASE ALTERS";

const fn case(
    name: &'static str,
    setup: &'static [&'static str],
    change: &'static [&'static str],
    after: &'static [&'static str],
) -> Case {
    Case { name, setup, change, after, ends_as: "{t}" }
}

const PLAIN_TABLE: &str = "CREATE TABLE {t} (k INT NOT NULL, v VARCHAR(20), n INT) DUPLICATE KEY(k) \
     DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")";
const PLAIN_ROWS: &str = "INSERT INTO {t} VALUES (1, 'one', 10), (2, NULL, 20), (3, 'three', NULL)";

/// Duplicate keys and three rows.
const PLAIN: &[&str] = &[PLAIN_TABLE, PLAIN_ROWS];

/// A second table beside it.
const OTHER: &str = "CREATE TABLE {t}_x (k INT NOT NULL, v VARCHAR(20), n INT) DUPLICATE KEY(k) \
     DISTRIBUTED BY HASH(k) BUCKETS 3 PROPERTIES (\"binlog.enable\" = \"true\")";
const OTHER_ROWS: &str = "INSERT INTO {t}_x VALUES (71, 'x', 1), (72, NULL, 2)";
const WITH_OTHER: &[&str] = &[PLAIN_TABLE, PLAIN_ROWS, OTHER, OTHER_ROWS];

const RANGED_TABLE: &str = "CREATE TABLE {t} (k INT NOT NULL, v VARCHAR(20), n INT) DUPLICATE KEY(k) \
     PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN (\"100\"), PARTITION p2 VALUES LESS THAN (\"200\")) \
     DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")";
const RANGED_ROWS: &str = "INSERT INTO {t} VALUES (1, 'one', 10), (2, NULL, 20), (101, 'second', NULL)";

/// The same with two range partitions.
const RANGED: &[&str] = &[RANGED_TABLE, RANGED_ROWS];

/// With a list of values per partition.
const LISTED: &[&str] = &[
    "CREATE TABLE {t} (c VARCHAR(10) NOT NULL, k INT) DUPLICATE KEY(c) \
     PARTITION BY LIST(c) (PARTITION north VALUES IN (\"no\", \"fi\"), PARTITION south VALUES IN (\"it\")) \
     DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")",
    "INSERT INTO {t} VALUES ('no', 1), ('fi', 2), ('it', 3)",
];

const MORE: &str = "INSERT INTO {t} VALUES (4, 'four', 40), (5, 'five', 50)";
const MORE_ROWS: &[&str] = &[MORE];
