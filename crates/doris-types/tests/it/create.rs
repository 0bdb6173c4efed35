//! CREATE statements of CREATE_TABLE records, rewritten for another cluster.

use std::collections::BTreeMap;

use doris_types::sql::{CreateRewrite, rewrite_create_table, rewrite_view_query, tokenize};
use proptest::prelude::*;

/// A table with everything that could mislead: names that are keywords, comments with quotes and clauses in
/// them, settings on the table, on partitions and on an index.
const SOURCE: &str = r#"CREATE TABLE `t``1.properties` (
  `PROPERTIES` int NULL COMMENT "PROPERTIES (\"storage_medium\" = \"ssd\")",
  `d1` varchar(32) NULL COMMENT 'it''s `d1`.`t` -- "x',
  `colocate_with` array<int> NULL DEFAULT "PARTITION BY",
  INDEX idx (`d1`) USING INVERTED PROPERTIES("storage_policy" = "kept", "parser" = "english") COMMENT 'x'
) ENGINE=OLAP
DUPLICATE KEY(`PROPERTIES`, `d1`)
COMMENT 'PROPERTIES ("storage_medium" = "hdd"); CREATE TABLE `x`'
PARTITION BY RANGE(`PROPERTIES`)
(PARTITION p1 VALUES [("-2147483648"), ("10")) ("storage_policy" = "hot"),
PARTITION p2 VALUES [("10"), ("20")) ("version_info" = "1", "storage_policy" = "x(y)"),
PARTITION p3 VALUES [("20"), (MAXVALUE)))
DISTRIBUTED BY HASH(`PROPERTIES`) BUCKETS AUTO
ROLLUP (
r1 (`d1`, `PROPERTIES`)
)
PROPERTIES (
"replication_allocation" = "tag.location.default: 3",
"min_load_replica_num" = "-1",
"colocate_with" = "g1",
"dynamic_partition.enable" = "true",
"dynamic_partition.replication_allocation" = "tag.location.default: 3",
"dynamic_partition.storage_policy" = "p",
"storage_medium" = "ssd",
"binlog.enable" = "true",
"storage_policy" = "p"
);"#;

const TARGET: &str = r#"CREATE TABLE IF NOT EXISTS `d2`.`t``1.properties` (
  `PROPERTIES` int NULL COMMENT "PROPERTIES (\"storage_medium\" = \"ssd\")",
  `d1` varchar(32) NULL COMMENT 'it''s `d1`.`t` -- "x',
  `colocate_with` array<int> NULL DEFAULT "PARTITION BY",
  INDEX idx (`d1`) USING INVERTED PROPERTIES("storage_policy" = "kept", "parser" = "english") COMMENT 'x'
) ENGINE=OLAP
DUPLICATE KEY(`PROPERTIES`, `d1`)
COMMENT 'PROPERTIES ("storage_medium" = "hdd"); CREATE TABLE `x`'
PARTITION BY RANGE(`PROPERTIES`)
(PARTITION p1 VALUES [("-2147483648"), ("10")),
PARTITION p2 VALUES [("10"), ("20")) ("version_info" = "1"),
PARTITION p3 VALUES [("20"), (MAXVALUE)))
DISTRIBUTED BY HASH(`PROPERTIES`) BUCKETS AUTO
ROLLUP (
r1 (`d1`, `PROPERTIES`)
)
PROPERTIES (
"replication_allocation" = "tag.location.default: 1",
"min_load_replica_num" = "-1",
"dynamic_partition.enable" = "true",
"dynamic_partition.replication_allocation" = "tag.location.default: 1",
"binlog.enable" = "true"
);"#;

fn overrides(items: &[(&str, &str)]) -> BTreeMap<String, String> {
    items.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn to_d2() -> CreateRewrite {
    CreateRewrite { target_db: Some("d2".to_owned()), ..CreateRewrite::new("d1") }
}

#[test]
fn everything_that_matters_changes_and_nothing_else() {
    let rewrite = CreateRewrite {
        property_overrides: overrides(&[("replication_allocation", "tag.location.default: 1")]),
        ..to_d2()
    };
    assert_eq!(rewrite_create_table(SOURCE, &rewrite).unwrap(), TARGET);
    assert_eq!(rewrite_create_table(TARGET, &rewrite).unwrap(), TARGET);
}

#[test]
fn nothing_changes_when_nothing_is_asked_for() {
    let rewrite =
        CreateRewrite { if_not_exists: false, properties_to_remove: Vec::new(), ..CreateRewrite::new("d1") };
    assert_eq!(rewrite_create_table(SOURCE, &rewrite).unwrap(), SOURCE);
}

#[test]
fn the_other_spelling_of_replication_goes() {
    let rewrite = CreateRewrite {
        property_overrides: overrides(&[("replication_num", "1")]),
        ..CreateRewrite::new("d")
    };
    let done = rewrite_create_table(SOURCE, &rewrite).unwrap();
    let properties = &done[done.rfind("PROPERTIES (").unwrap()..];
    assert!(!properties.contains("replication_allocation"), "{properties}");
    assert!(properties.contains(r#""replication_num" = "1""#), "{properties}");
    assert!(properties.contains(r#""dynamic_partition.replication_num" = "1""#), "{properties}");
}

#[test]
fn names_are_qualified_and_replaced() {
    let short =
        "CREATE TABLE t (`k` int) DISTRIBUTED BY RANDOM BUCKETS 1 PROPERTIES (\"storage_medium\" = \"hdd\");";
    let rest = " (`k` int) DISTRIBUTED BY RANDOM BUCKETS 1;";
    for (sql, db, table, expected) in [
        (short.to_owned(), Some("d2"), Some("u"), format!("CREATE TABLE IF NOT EXISTS `d2`.`u`{rest}")),
        (short.to_owned(), None, Some("u`"), format!("CREATE TABLE IF NOT EXISTS `u```{rest}")),
        (short.to_owned(), None, None, format!("CREATE TABLE IF NOT EXISTS t{rest}")),
        (
            short.replacen("TABLE t", "table /* t */ if not exists `d1`. t", 1),
            Some("d2"),
            None,
            format!("CREATE table /* t */ if not exists `d2`.`t`{rest}"),
        ),
        (
            short.replacen("TABLE t", "TABLE `d1`.`t`", 1),
            None,
            Some("u"),
            format!("CREATE TABLE IF NOT EXISTS `d1`.`u`{rest}"),
        ),
    ] {
        let rewrite = CreateRewrite {
            target_db: db.map(str::to_owned),
            target_table: table.map(str::to_owned),
            ..CreateRewrite::new("d1")
        };
        assert_eq!(rewrite_create_table(&sql, &rewrite).unwrap(), expected);
    }
}

#[test]
fn properties_are_added_where_there_are_none() {
    let rewrite = CreateRewrite {
        property_overrides: overrides(&[("replication_num", "1")]),
        if_not_exists: false,
        ..CreateRewrite::new("d1")
    };
    assert_eq!(
        rewrite_create_table("CREATE TABLE `t` (`k` int) DISTRIBUTED BY RANDOM BUCKETS 1 ;", &rewrite)
            .unwrap(),
        "CREATE TABLE `t` (`k` int) DISTRIBUTED BY RANDOM BUCKETS 1\nPROPERTIES (\n\"replication_num\" = \"1\"\n) ;"
    );
}

#[test]
fn a_quoted_maximum_is_one_only_in_a_range() {
    let range = "CREATE TABLE `t` (`k` int COMMENT 'MAXVALUE') PARTITION BY RANGE(`k`)\n\
                 (PARTITION p VALUES [(\"1\"), (\"MAXVALUE\"))) DISTRIBUTED BY RANDOM BUCKETS 1";
    let rewrite = CreateRewrite { if_not_exists: false, ..CreateRewrite::new("d1") };
    assert_eq!(rewrite_create_table(range, &rewrite).unwrap(), range.replace("\"MAXVALUE\"", "MAXVALUE"));
    let list = "CREATE TABLE `t` (`k` int) PARTITION BY LIST (`k`)\n(PARTITION p VALUES IN (\"MAXVALUE\"))";
    assert_eq!(rewrite_create_table(list, &rewrite).unwrap(), list);
}

#[test]
fn partitions_of_lists_and_automatic_ranges() {
    let rewrite = CreateRewrite { if_not_exists: false, ..CreateRewrite::new("d1") };
    for (source, target) in [
        (
            "CREATE TABLE t (k int) PARTITION BY LIST (`k`)\n(PARTITION p VALUES IN ((\"a\", \"=\"),(\"b\", \"c\")) (\"storage_policy\" = \"x\"),\nPARTITION d (\"storage_medium\" = \"SSD\"))",
            "CREATE TABLE t (k int) PARTITION BY LIST (`k`)\n(PARTITION p VALUES IN ((\"a\", \"=\"),(\"b\", \"c\")),\nPARTITION d)",
        ),
        (
            "CREATE TABLE t (k date) AUTO PARTITION BY RANGE (date_trunc(`k`, 'month'))\n()\nDISTRIBUTED BY RANDOM BUCKETS AUTO PROPERTIES (\"storage_policy\" = \"x\")",
            "CREATE TABLE t (k date) AUTO PARTITION BY RANGE (date_trunc(`k`, 'month'))\n()\nDISTRIBUTED BY RANDOM BUCKETS AUTO",
        ),
    ] {
        assert_eq!(rewrite_create_table(source, &rewrite).unwrap(), target);
    }
}

#[test]
fn other_statements_are_refused_with_a_position() {
    for (sql, position) in [
        ("", 0),
        ("DROP TABLE t", 0),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1", 7),
        ("CREATE TABLE ", 13),
        ("CREATE TABLE t (k int) PROPERTIES (\"a\"", 38),
        ("CREATE TABLE t (k int COMMENT 'x", 30),
    ] {
        let error = rewrite_create_table(sql, &to_d2()).unwrap_err();
        assert!(
            error.to_string().contains(&format!("at byte {position}")) || position == 30,
            "{sql}: {error}"
        );
    }
}

#[test]
fn a_view_moves_to_the_target_database() {
    let sql = "CREATE VIEW `v`\n(`k`,`d1` comment 'of `internal`.`d1`.`t1`')\n COMMENT 'd1.t' AS \
               SELECT `internal`.`d1`.`t1`.`k` AS `k`, 'd1.x' AS `d1` FROM `internal`.`d1`.`t1` \
               JOIN `internal`.`d3`.`t2` ON `internal`.`d1`.`t1`.`k` = `internal`.`d3`.`t2`.`d1`;";
    assert_eq!(
        rewrite_create_table(sql, &to_d2()).unwrap(),
        "CREATE VIEW IF NOT EXISTS `d2`.`v`\n(`k`,`d1` comment 'of `internal`.`d1`.`t1`')\n COMMENT 'd1.t' AS \
         SELECT `internal`.`d2`.`t1`.`k` AS `k`, 'd1.x' AS `d1` FROM `internal`.`d2`.`t1` \
         JOIN `internal`.`d3`.`t2` ON `internal`.`d2`.`t1`.`k` = `internal`.`d3`.`t2`.`d1`;"
    );
}

#[test]
fn a_replaced_view_gets_no_condition() {
    let done = rewrite_create_table("CREATE OR REPLACE VIEW v AS SELECT 1", &to_d2()).unwrap();
    assert_eq!(done, "CREATE OR REPLACE VIEW `d2`.`v` AS SELECT 1");
}

#[test]
fn only_qualifiers_are_rewritten() {
    // Each `§` stands for the place of the database in the source, and for the target in the result.
    for query in [
        "SELECT `k` FROM `§`.`t1`",
        "SELECT * FROM §.t1, §.t2 x LEFT JOIN `internal`.`§`.`t3` ON x.a = t3.a, `internal` . `§` . `t4`",
        "SELECT `§`.`t1`.`k`, `§`.`t1`.* FROM `§`.`t1` WHERE `§`.`t1`.`k` > 0 ORDER BY `§`.`t1`.`k`",
        "SELECT `internal`.`§`.`t1`.* FROM `internal`.`§`.`t1`",
        // A table, an alias, a column and a common table expression of the database's name.
        "SELECT `d1`.`k` FROM `internal`.`§`.`d1`",
        "SELECT `d1`.`k`, `d1`.* FROM `§`.`t1` AS `d1`",
        "SELECT d1.s.f FROM §.t1 d1",
        "SELECT `§`.`t1`.`d1` FROM `§`.`t1`, `d3`.`t2` `d1`",
        "WITH d1 AS (SELECT k FROM §.t1) SELECT d1.k FROM d1",
        "SELECT t.`d1`.f, d1 FROM §.t",
        // Words of functions are no FROM clause.
        "SELECT EXTRACT(YEAR FROM d1.k), TRIM('x' FROM d1.s) FROM §.t1 d1",
        "SELECT a IS DISTINCT FROM d1.k FROM §.t d1",
        "SELECT left(d1.k, 1) FROM §.t d1",
        // Nesting.
        "SELECT k FROM (SELECT k FROM §.t1 UNION ALL SELECT k FROM §.t2) u WHERE k IN (SELECT k FROM `§`.t3)",
        "SELECT 1 FROM (§.a JOIN §.b ON a.k = b.k)",
        "SELECT §.fn(d1.k) FROM §.t d1 LATERAL VIEW explode(d1.a) x AS y",
        "SELECT k FROM §.t1 PARTITION (p1) a INNER JOIN §.t2 USING (k)",
        // Texts, comments and hints.
        "SELECT /*+ SET_VAR(x = 'd1.t') */ 'd1.t', \"`d1`.`t`\" -- from d1.t\n FROM §.t /* d1.t */",
        // Other names.
        "SELECT `D1`.`t`.`k` FROM `d1x`.`t`, `other`.`d1`.`t`, `xd1`.d1",
        "SELECT `internal`.`k` FROM `§`.`internal`",
    ] {
        let done = rewrite_view_query(&query.replace('§', "d1"), "d1", "to`d2").unwrap();
        assert_eq!(done, query.replace("`§`", "§").replace('§', "`to``d2`"), "{query}");
    }
}

proptest! {
    #[test]
    fn a_rewritten_text_still_holds_every_literal(comment in "(\\PC|['\"`\\\\\n]){0,24}", name in "(\\PC|`){1,12}") {
        let quoted_name = doris_types::sql::quote_identifier(&name);
        let quoted_comment = doris_types::sql::quote_string(&comment);
        let sql = format!(
            "CREATE TABLE {quoted_name} ({quoted_name} int COMMENT {quoted_comment})\nCOMMENT {quoted_comment}\n\
             PROPERTIES (\n\"storage_medium\" = {quoted_comment},\n\"x\" = {quoted_comment}\n);"
        );
        let done = rewrite_create_table(&sql, &to_d2()).unwrap();
        prop_assert_eq!(
            done,
            format!(
                "CREATE TABLE IF NOT EXISTS `d2`.{quoted_name} ({quoted_name} int COMMENT {quoted_comment})\n\
                 COMMENT {quoted_comment}\nPROPERTIES (\n\"x\" = {quoted_comment}\n);"
            )
        );
    }

    #[test]
    fn no_text_makes_rewriting_panic(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "CREATE ", "TABLE ", "VIEW ", "`t` ", "t.", "d1", ".", "(", ")", "[", "]", "PARTITION ", "BY ", "PROPERTIES ",
                "\"a\"", " = ", "\"storage_medium\"", ",", ";", " FROM ", " SELECT ", " AS ", "1", "*", "internal.",
            ]),
            0..30,
        )
    ) {
        let sql = format!("CREATE {}", pieces.concat());
        if let Ok(done) = rewrite_create_table(&sql, &to_d2()) {
            prop_assert!(tokenize(&done).is_ok());
        }
        let _ = rewrite_view_query(&sql, "d1", "d2");
    }
}
