//! ADD PARTITION from its record.
//!
//! The recorded statement lacks the distribution, which may differ from the table's default, and must not fail
//! when the partition is there already.

use std::collections::BTreeMap;

use super::RewriteError;
use super::create::REMOVED_PROPERTIES;
use super::edit::Statement;
use super::properties::{PropertyGroup, item};
use crate::range::{PartitionKey, PartitionRange};
use crate::record::{AddPartitionRecord, DistributionInfo, PartitionKeyValue};
use crate::sql::{TokenKind, quote_identifiers, unquote_string};

const STATEMENT: &str = "ADD PARTITION";

/// ``ADD PARTITION IF NOT EXISTS `p` VALUES … ("version_info" = "1") DISTRIBUTED BY HASH(`k`) BUCKETS n``, to
/// be put after `ALTER TABLE x`. An automatic bucket number becomes the number the source chose, since both
/// sides must have equally many tablets.
///
/// # Errors
/// When the recorded statement is no ADD PARTITION, or the record does not say how rows are distributed.
pub fn add_partition_sql(record: &AddPartitionRecord) -> Result<String, RewriteError> {
    add_partition_sql_with(record, &[], &BTreeMap::new())
}

/// The same without the `removed` properties of the partition, whose values are then those of its table, and
/// with others `set`.
///
/// # Errors
/// As those of [`add_partition_sql`].
pub fn add_partition_sql_with(
    record: &AddPartitionRecord,
    removed: &[&str],
    set: &BTreeMap<String, String>,
) -> Result<String, RewriteError> {
    let mut statement = Statement::new(STATEMENT, &record.sql)?;
    let name_at = behind_head(&statement)?;
    if !statement.is_word(name_at.saturating_sub(1), "EXISTS") {
        statement.insert(statement.tokens[name_at].start, "IF NOT EXISTS ");
    }
    let last = statement.tokens.iter().rposition(|token| !token.is_punctuation(';')).unwrap_or(name_at);
    let (mut has_distribution, mut has_properties) = (false, false);
    let mut depth = 0_isize;
    let mut at = name_at + 1;
    while at <= last {
        if depth == 0 && PropertyGroup::starts_at(&statement, at) {
            let group = PropertyGroup::parse(&statement, at)?;
            let is_removed = |key: &str| REMOVED_PROPERTIES.contains(&key) || removed.contains(&key);
            let text = group.render(statement.sql, is_removed, set).unwrap_or_default();
            statement.replace(group.bytes.clone(), text);
            has_properties = true;
            at = group.close + 1;
            continue;
        }
        has_distribution |= depth == 0 && statement.is_word(at, "DISTRIBUTED");
        depth += statement.depth_change(at);
        at += 1;
    }
    let distribution = if has_distribution {
        String::new()
    } else {
        let info = record.partition.distribution.as_ref();
        let missing = RewriteError::Missing { statement: STATEMENT, what: "distribution" };
        format!(" {}", distribution_clause(info.ok_or(missing)?)?)
    };
    // A recorded distribution stands behind the properties, and there are always some in front of it.
    let properties = if has_properties || has_distribution || set.is_empty() {
        String::new()
    } else {
        let items: Vec<String> = set.iter().map(|(key, value)| item(key, value)).collect();
        format!(" ({})", items.join(", "))
    };
    let end = statement.tokens[last].end();
    statement.replace(end..statement.sql.len(), format!("{properties}{distribution}"));
    Ok(statement.finish())
}

/// `DISTRIBUTED BY HASH(…) BUCKETS n` or `DISTRIBUTED BY RANDOM BUCKETS n`.
fn distribution_clause(info: &DistributionInfo) -> Result<String, RewriteError> {
    let missing = |what| RewriteError::Missing { statement: STATEMENT, what };
    if info.bucket_num <= 0 {
        return Err(missing("bucket number"));
    }
    if info.is_random() {
        return Ok(format!("DISTRIBUTED BY RANDOM BUCKETS {}", info.bucket_num));
    }
    if info.distribution_columns.is_empty() {
        return Err(missing("distribution columns"));
    }
    let columns = quote_identifiers(info.distribution_columns.iter().map(|column| column.name.as_str()));
    Ok(format!("DISTRIBUTED BY HASH({columns}) BUCKETS {}", info.bucket_num))
}

/// The identity of the added partition, to look for it on the other cluster before adding it. Types come from
/// the record's bounds, values from its statement. `None` when either is not in a known form: then only the
/// statement itself, which tolerates an existing partition, remains.
pub fn add_partition_range(record: &AddPartitionRecord) -> Option<PartitionRange> {
    let statement = Statement::new(STATEMENT, &record.sql).ok()?;
    let at = behind_head(&statement).ok()? + 1;
    let list = record.list_partition_item.as_ref();
    if !statement.is_word(at, "VALUES") {
        let is_default = list.is_some_and(|item| {
            item.is_default_partition || item.partition_keys.iter().any(|key| key.is_default)
        });
        return is_default.then(|| PartitionRange::List(vec![PartitionKey::default_list()]));
    }
    if statement.is_mark(at + 1, '[') {
        let (lower, next) = values(&statement, at + 2)?;
        let (upper, _) = values(&statement, next + 1)?;
        let types = |side: usize| record.range.get(side).map(|bound| types_of(&bound.value));
        return Some(PartitionRange::range(key(types(0)?, lower)?, key(types(1)?, upper)?));
    }
    if !statement.is_word(at + 1, "IN") || !statement.is_mark(at + 2, '(') {
        return None;
    }
    let recorded = &list?.partition_keys;
    let mut keys = Vec::with_capacity(recorded.len());
    let mut next = at + 3;
    for recorded in recorded {
        let (texts, behind) = values(&statement, next)?;
        keys.push(key(types_of(recorded), texts)?);
        next = behind + 1;
    }
    (!keys.is_empty()).then_some(PartitionRange::List(keys))
}

fn types_of(key: &PartitionKeyValue) -> Vec<String> {
    key.columns.iter().map(|column| column.type_name.clone()).collect()
}

fn key(types: Vec<String>, keys: Vec<String>) -> Option<PartitionKey> {
    (!types.is_empty() && types.len() == keys.len()).then_some(PartitionKey { types, keys })
}

/// Values in parentheses from token `at` on, or a single one without, and the index behind them.
fn values(statement: &Statement<'_>, at: usize) -> Option<(Vec<String>, usize)> {
    if !statement.is_mark(at, '(') {
        let (text, next) = value(statement, at)?;
        return Some((vec![text], next));
    }
    let mut texts = Vec::new();
    let mut next = at + 1;
    loop {
        let (text, behind) = value(statement, next)?;
        texts.push(text);
        if statement.is_mark(behind, ')') {
            return Some((texts, behind + 1));
        }
        if !statement.is_mark(behind, ',') {
            return None;
        }
        next = behind + 1;
    }
}

fn value(statement: &Statement<'_>, at: usize) -> Option<(String, usize)> {
    let token = statement.tokens.get(at)?;
    match token.kind {
        TokenKind::String => Some((unquote_string(token.text)?, at + 1)),
        TokenKind::Number => Some((token.text.to_owned(), at + 1)),
        // MAXVALUE and NULL.
        TokenKind::Word => Some((token.text.to_ascii_uppercase(), at + 1)),
        TokenKind::Punctuation if token.text == "-" => {
            let (number, next) = value(statement, at + 1)?;
            Some((format!("-{number}"), next))
        }
        TokenKind::QuotedIdentifier
        | TokenKind::Punctuation
        | TokenKind::Space
        | TokenKind::Comment
        | TokenKind::Hint => None,
    }
}

/// Index of the partition name: behind `ADD [TEMPORARY] PARTITION [IF NOT EXISTS]`.
fn behind_head(statement: &Statement<'_>) -> Result<usize, RewriteError> {
    let mut at = statement.expect_word(0, "ADD")?;
    if statement.is_word(at, "TEMPORARY") {
        at += 1;
    }
    at = statement.skip_if_exists(statement.expect_word(at, "PARTITION")?);
    statement.dotted_name(at).map(|name| name.parts[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Column, KeyLiteral, ListPartitionItem, Partition, RangeBound};

    fn record(sql: &str, distribution: Option<DistributionInfo>) -> AddPartitionRecord {
        AddPartitionRecord {
            sql: sql.to_owned(),
            partition: Partition { distribution, ..Partition::default() },
            ..AddPartitionRecord::default()
        }
    }

    fn hash(columns: &[&str], buckets: i64) -> Option<DistributionInfo> {
        let columns = columns.iter().map(|name| Column::scalar(*name, "INT", true)).collect();
        Some(DistributionInfo::hash(columns, buckets, true))
    }

    #[test]
    fn gets_the_distribution_of_the_record() {
        let sql = "ADD PARTITION `p2` VALUES [(\"10\"), (\"20\")) (\"version_info\" = \"1\");";
        assert_eq!(
            add_partition_sql(&record(sql, hash(&["k", "a`b"], 3))).unwrap(),
            "ADD PARTITION IF NOT EXISTS `p2` VALUES [(\"10\"), (\"20\")) (\"version_info\" = \"1\") \
             DISTRIBUTED BY HASH(`k`, `a``b`) BUCKETS 3"
        );
        let sql = "ADD PARTITION `p;` VALUES IN ((\"a;\"),('b')) (\"version_info\" = \"1\") ; ";
        assert_eq!(
            add_partition_sql(&record(sql, Some(DistributionInfo::random(7, false)))).unwrap(),
            "ADD PARTITION IF NOT EXISTS `p;` VALUES IN ((\"a;\"),('b')) (\"version_info\" = \"1\") \
             DISTRIBUTED BY RANDOM BUCKETS 7"
        );
    }

    #[test]
    fn default_temporary_and_bare_partitions() {
        for (sql, expected) in [
            (
                "ADD PARTITION `p`  (\"version_info\" = \"1\");",
                "ADD PARTITION IF NOT EXISTS `p`  (\"version_info\" = \"1\")",
            ),
            ("ADD TEMPORARY PARTITION `p`", "ADD TEMPORARY PARTITION IF NOT EXISTS `p`"),
            ("ADD PARTITION IF NOT EXISTS `p`", "ADD PARTITION IF NOT EXISTS `p`"),
        ] {
            let done = add_partition_sql(&record(sql, hash(&["k"], 1))).unwrap();
            assert_eq!(done, format!("{expected} DISTRIBUTED BY HASH(`k`) BUCKETS 1"));
        }
    }

    #[test]
    fn a_recorded_distribution_is_kept_and_storage_settings_are_not() {
        let sql = "ADD PARTITION `p` VALUES IN ((\"DISTRIBUTED\")) (\"version_info\" = \"1\", \"storage_policy\" = \"x\") \
                   DISTRIBUTED BY RANDOM BUCKETS 2;";
        assert_eq!(
            add_partition_sql(&record(sql, None)).unwrap(),
            "ADD PARTITION IF NOT EXISTS `p` VALUES IN ((\"DISTRIBUTED\")) (\"version_info\" = \"1\") \
             DISTRIBUTED BY RANDOM BUCKETS 2"
        );
    }

    #[test]
    fn an_unknown_distribution_is_an_error() {
        let sql = "ADD PARTITION `p`";
        for info in [None, hash(&["k"], 0), hash(&[], 3)] {
            let error = add_partition_sql(&record(sql, info)).unwrap_err();
            assert!(matches!(error, RewriteError::Missing { .. }), "{error}");
        }
        for sql in ["", "DROP PARTITION `p`", "ADD PARTITION", "ADD PARTITION `p"] {
            assert!(add_partition_sql(&record(sql, hash(&["k"], 1))).is_err(), "{sql}");
        }
    }

    fn literals(types: &[&str]) -> PartitionKeyValue {
        let columns = types
            .iter()
            .map(|name| KeyLiteral { type_name: (*name).to_owned(), literal: serde_json::Value::Null })
            .collect();
        PartitionKeyValue { columns, is_default: false }
    }

    #[test]
    fn tells_the_identity_of_a_range_partition() {
        let sql =
            "ADD PARTITION `p` VALUES [('2024-01-01', \"-5\"), (MAXVALUE, 7)) (\"version_info\" = \"1\");";
        let bound = RangeBound { value: literals(&["DATEV2", "INT"]), ..RangeBound::default() };
        let record = AddPartitionRecord { range: vec![bound.clone(), bound], ..record(sql, None) };
        assert_eq!(
            add_partition_range(&record).unwrap().to_string(),
            "[types: [DATEV2, INT]; keys: [2024-01-01, -5]; ..types: [DATEV2, INT]; keys: [MAXVALUE, 7]; )"
        );
    }

    #[test]
    fn tells_the_identity_of_a_list_partition() {
        let item = |keys: &[&[&str]], is_default_partition| ListPartitionItem {
            clazz: String::new(),
            partition_keys: keys.iter().map(|types| literals(types)).collect(),
            is_default_partition,
        };
        for (sql, keys, is_default, expected) in [
            (
                "ADD PARTITION `p` VALUES IN ((\"a\"),(NULL)) (\"version_info\" = \"1\");",
                [["VARCHAR"].as_slice(), &["VARCHAR"]].as_slice(),
                false,
                "[types: [VARCHAR]; keys: [a]; , types: [VARCHAR]; keys: [NULL]; ]",
            ),
            (
                "ADD PARTITION `p` VALUES IN (\"a\",\"b\")",
                &[["VARCHAR"].as_slice(), &["VARCHAR"]],
                false,
                "[types: [VARCHAR]; keys: [a]; , types: [VARCHAR]; keys: [b]; ]",
            ),
            (
                "ADD PARTITION `p` VALUES IN ((\"1\", \"x\")) ",
                &[["INT", "VARCHAR"].as_slice()],
                false,
                "[types: [INT, VARCHAR]; keys: [1, x]; ]",
            ),
            (
                "ADD PARTITION `p`  (\"version_info\" = \"1\");",
                &[],
                true,
                "[types: []; keys: [default key]; ]",
            ),
        ] {
            let record =
                AddPartitionRecord { list_partition_item: Some(item(keys, is_default)), ..record(sql, None) };
            assert_eq!(add_partition_range(&record).unwrap().to_string(), expected);
        }
        assert_eq!(add_partition_range(&record("ADD TEMPORARY PARTITION `p`", None)), None);
    }

    #[test]
    fn a_property_can_be_left_to_the_table() {
        let sql = "ADD PARTITION `p1` VALUES LESS THAN (\"5\") (\"replication_num\" = \"1\", \"version_info\" = \"1\")";
        let record = record(sql, hash(&["k"], 3));
        assert!(add_partition_sql(&record).unwrap().contains("replication_num"));
        let without = add_partition_sql_with(&record, &["replication_num"], &BTreeMap::new()).unwrap();
        assert!(!without.contains("replication_num") && without.contains("version_info"), "{without}");
    }

    #[test]
    fn a_property_can_be_given() {
        let set = BTreeMap::from([("storage_medium".to_owned(), "SSD".to_owned())]);
        for (sql, expected) in [
            (
                "ADD PARTITION `p` VALUES LESS THAN (\"5\") (\"version_info\" = \"1\", \"storage_medium\" = \"HDD\");",
                "ADD PARTITION IF NOT EXISTS `p` VALUES LESS THAN (\"5\") (\"version_info\" = \"1\", \
                 \"storage_medium\" = \"SSD\")",
            ),
            (
                "ADD TEMPORARY PARTITION `p`",
                "ADD TEMPORARY PARTITION IF NOT EXISTS `p` (\"storage_medium\" = \"SSD\")",
            ),
        ] {
            let done = add_partition_sql_with(&record(sql, hash(&["k"], 1)), &[], &set).unwrap();
            assert_eq!(done, format!("{expected} DISTRIBUTED BY HASH(`k`) BUCKETS 1"));
        }
    }
}
