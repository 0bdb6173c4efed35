//! What SHOW CREATE TABLE prints can be executed and prints the same again, whatever the table looks like.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::tests::{cluster, execute};
use crate::cluster::ClusterInner;
use crate::model::{Column, Table};
use crate::show::{Flavour, create_table_text};

/// A table by the parts of its text, all of them valid together.
#[derive(Debug, Clone)]
struct Generated {
    name: String,
    model: &'static str,
    key_type: &'static str,
    key_name: String,
    values: Vec<Value>,
    comment: String,
    partitions: &'static str,
    distribution: &'static str,
    index: Option<(String, String)>,
    rollup: bool,
    properties: Vec<(&'static str, &'static str)>,
}

#[derive(Debug, Clone)]
struct Value {
    name: String,
    data_type: (&'static str, &'static str),
    aggregate: &'static str,
    nullable: bool,
    default: bool,
    comment: String,
}

/// Types of values with a default that fits.
const TYPES: [(&str, &str); 17] = [
    ("boolean", "DEFAULT \"true\""),
    ("tinyint", "DEFAULT \"-1\""),
    ("int", "DEFAULT \"7\""),
    ("bigint", "DEFAULT \"9000000000\""),
    ("largeint", "DEFAULT \"170141183460469231731687303715884105727\""),
    ("float", "DEFAULT \"1.5\""),
    ("double", "DEFAULT \"-2.25\""),
    ("decimal(10,2)", "DEFAULT \"3.14\""),
    ("decimal(76, 20)", ""),
    ("date", "DEFAULT \"2024-02-29\""),
    ("datetime(3)", "DEFAULT CURRENT_TIMESTAMP(3)"),
    ("datetime", "DEFAULT CURRENT_TIMESTAMP"),
    ("char(5)", "DEFAULT \"a\\\"b\""),
    ("varchar(20)", "DEFAULT \"it's\""),
    ("varchar", ""),
    ("string", "DEFAULT \"\""),
    ("json", ""),
];

const COMPLEX: [&str; 4] =
    ["array<varchar(10)>", "map<string,int>", "struct<a:int,b:array<date>>", "variant"];

/// Key type, with the ways to partition by it.
const KEYS: [(&str, &[&str]); 3] = [
    (
        "int",
        &[
            "",
            "PARTITION BY RANGE({k}) ()",
            "PARTITION BY RANGE({k}) (PARTITION p1 VALUES LESS THAN (\"10\"), PARTITION `p-2` VALUES LESS THAN (MAXVALUE))",
            "PARTITION BY LIST({k}) (PARTITION a VALUES IN (\"1\", \"-2\"), PARTITION rest)",
            "AUTO PARTITION BY LIST({k}) ()",
        ],
    ),
    (
        "date",
        &[
            "",
            "PARTITION BY RANGE({k}) (PARTITION p1 VALUES [(\"2024-01-01\"), (\"2024-02-01\")))",
            "PARTITION BY RANGE({k}) (FROM (\"2024-01-01\") TO (\"2024-01-05\") INTERVAL 1 DAY)",
            "AUTO PARTITION BY RANGE(date_trunc({k}, 'month')) ()",
        ],
    ),
    (
        "varchar(9)",
        &[
            "",
            "PARTITION BY LIST({k}) (PARTITION p1 VALUES IN (\"it's\", \"a\\\"b\"), PARTITION p2 VALUES IN (\"\"))",
        ],
    ),
];

/// Without `light_schema_change`, which is printed when it is true only, and is true when it is not given, and
/// `colocate_with`, which the target of a job does not keep.
const PROPERTIES: [(&str, &str); 8] = [
    ("compression", "zstd"),
    ("disable_auto_compaction", "true"),
    ("storage_medium", "SSD"),
    ("compaction_policy", "time_series"),
    ("group_commit_interval_ms", "7000"),
    ("binlog.ttl_seconds", "99"),
    ("store_row_column", "true"),
    ("min_load_replica_num", "1"),
];

/// Names that need their quotes, and others.
fn name() -> impl Strategy<Value = String> {
    select(vec!["plain", "key", "first", "Mixed", "with-hyphen", "index", "date", "naïve", "a b", "x1"])
        .prop_map(str::to_owned)
}

fn comment() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z'\"\\\\ %`;é]{1,12}"]
}

fn value() -> impl Strategy<Value = Value> {
    let data_type = prop_oneof![
        4 => select(TYPES.to_vec()),
        1 => select(COMPLEX.to_vec()).prop_map(|ty| (ty, "")),
    ];
    let aggregate = select(vec!["REPLACE", "REPLACE_IF_NOT_NULL"]);
    (name(), data_type, aggregate, any::<bool>(), any::<bool>(), comment()).prop_map(
        |(name, data_type, aggregate, nullable, default, comment)| Value {
            name,
            data_type,
            aggregate,
            nullable,
            default,
            comment,
        },
    )
}

fn generated() -> impl Strategy<Value = Generated> {
    let model = select(vec!["DUPLICATE", "UNIQUE", "AGGREGATE", ""]);
    let distribution = select(vec!["HASH({k}) BUCKETS 3", "HASH({k}) BUCKETS AUTO", "RANDOM BUCKETS 2"]);
    let index = prop_oneof![Just(None), (name(), comment()).prop_map(Some)];
    let properties = vec(select(PROPERTIES.to_vec()), 0..4);
    let key = (select(KEYS.to_vec()), any::<prop::sample::Index>());
    let parts =
        (name(), model, key, vec(value(), 1..5), comment(), distribution, index, any::<bool>(), properties);
    parts.prop_map(
        |(
            name,
            model,
            ((key_type, schemes), scheme),
            values,
            comment,
            distribution,
            index,
            rollup,
            properties,
        )| {
            // Only a duplicate table may spread its rows at random.
            let is_duplicate = model == "DUPLICATE" || model.is_empty();
            Generated {
                name,
                model,
                key_type,
                key_name: "the key".to_owned(),
                values,
                comment,
                partitions: schemes[scheme.index(schemes.len())],
                distribution: if is_duplicate { distribution } else { "HASH({k}) BUCKETS 3" },
                index,
                rollup: rollup && is_duplicate && !model.is_empty(),
                properties,
            }
        },
    )
}

fn quoted(name: &str) -> String {
    format!("`{name}`")
}

fn text_literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

impl Generated {
    fn sql(&self) -> String {
        let key = quoted(&self.key_name);
        let mut elements =
            vec![format!("{key} {} NOT NULL COMMENT {}", self.key_type, text_literal(&self.comment))];
        for (at, value) in self.values.iter().enumerate() {
            let (data_type, default) = value.data_type;
            elements.push(format!(
                "{} {data_type} {} {} {} COMMENT {}",
                quoted(&format!("{}{at}", value.name)),
                if self.model == "AGGREGATE" { value.aggregate } else { "" },
                if value.nullable { "NULL" } else { "NOT NULL" },
                if value.default { default } else { "" },
                text_literal(&value.comment)
            ));
        }
        if let Some((name, comment)) = &self.index {
            elements.push(format!(
                "INDEX {} ({key}) USING INVERTED COMMENT {}",
                quoted(name),
                text_literal(comment)
            ));
        }
        let mut sql = format!("CREATE TABLE {} ({})", quoted(&self.name), elements.join(", "));
        if !self.model.is_empty() {
            sql.push_str(&format!(" {} KEY({key})", self.model));
        }
        sql.push_str(&format!(" COMMENT {}", text_literal(&self.comment)));
        sql.push_str(
            &format!(" {} DISTRIBUTED BY {}", self.partitions, self.distribution).replace("{k}", &key),
        );
        if self.rollup {
            sql.push_str(&format!(" ROLLUP (`r-1` ({key}))"));
        }
        let mut properties = vec![("replication_num", "1")];
        properties.extend(
            self.properties.iter().filter(|(key, _)| self.model != "AGGREGATE" || *key != "store_row_column"),
        );
        properties.dedup_by_key(|(key, _)| *key);
        let properties: Vec<String> =
            properties.iter().map(|(key, value)| format!("\"{key}\" = \"{value}\"")).collect();
        format!("{sql} PROPERTIES ({})", properties.join(", "))
    }
}

/// Its texts in both flavours, and its columns without their ids.
fn texts(cluster: &ClusterInner, table: &str) -> ([String; 2], Vec<Column>) {
    let state = cluster.fe.lock();
    let db = state.database_named("d").unwrap();
    let Some(Table::Olap(table)) = db.table_named(table) else { panic!("no table {table}") };
    let text = |flavour| create_table_text(db, table, flavour, true);
    ([text(Flavour::User), text(Flavour::Sync)], table.columns().to_vec())
}

fn fresh() -> ClusterInner {
    let cluster = cluster(1);
    execute(&cluster, "create database d").unwrap();
    cluster
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn printed_tables_read_as_themselves(table in generated()) {
        let source = fresh();
        let sql = table.sql();
        execute(&source, &sql).map_err(|error| TestCaseError::fail(format!("{sql}\n{error}")))?;
        let (printed, columns) = texts(&source, &table.name);
        for (flavour, text) in printed.iter().enumerate() {
            let copy = fresh();
            execute(&copy, text).map_err(|error| TestCaseError::fail(format!("{text}\n{error}")))?;
            let (again, copied) = texts(&copy, &table.name);
            prop_assert_eq!(&again[flavour], text);
            prop_assert_eq!(&copied, &columns);
        }
        // Another table of the same shape.
        execute(&source, &format!("CREATE TABLE other LIKE `{}` WITH ROLLUP", table.name))
            .map_err(|error| TestCaseError::fail(format!("{sql}\n{error}")))?;
        let (like, _) = texts(&source, "other");
        prop_assert_eq!(&like[1], &printed[1].replacen(&format!("`{}`", table.name), "`other`", 1));
    }
}
