//! The text of SHOW CREATE TABLE and SHOW CREATE VIEW.
//!
//! The text is also what CREATE_TABLE binlogs carry, so parsing it must give the same table again.

use doris_types::sql::{quote_identifier, quote_identifiers, quote_string};

use super::table_properties;
use crate::model::{
    Column, Database, DefaultValue, Distribution, DistributionKind, KeysType, OlapTable, Partition,
    PartitionItem, PartitionScheme, PartitionValue, SecondaryIndex, View,
};

/// Whether a CREATE TABLE text is meant for people or for a downstream cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// SHOW CREATE TABLE.
    User,
    /// CREATE_TABLE binlogs: `is_being_synced` is true, auto buckets are marked, rollups are listed.
    Sync,
}

/// The CREATE TABLE statement of a table. `feature_binlog` is the FE setting `enable_feature_binlog`,
/// without which the binlog properties are not printed.
pub fn create_table_text(db: &Database, table: &OlapTable, flavour: Flavour, feature_binlog: bool) -> String {
    let _ = db;
    let mut lines: Vec<String> = table
        .columns()
        .iter()
        .filter(|column| column.visible)
        .map(|column| format!("  {}", column_text(column, table.keys_type)))
        .collect();
    lines.extend(table.secondary_indexes.iter().map(|index| format!("  {}", index_text(index))));
    let kind = if table.is_temporary { "TEMPORARY TABLE" } else { "TABLE" };
    let mut text =
        format!("CREATE {kind} {} (\n{}\n) ENGINE=OLAP", quote_identifier(&table.name), lines.join(",\n"));
    if table.has_key_clause {
        let keys = table.columns().iter().filter(|column| column.is_key && column.visible);
        let keys = quote_identifiers(keys.map(|column| column.name.as_str()));
        text.push_str(&format!("\n{} KEY({keys})", table.keys_type.keyword()));
    }
    if !table.cluster_by.is_empty() {
        let names = quote_identifiers(table.cluster_by.iter().map(String::as_str));
        text.push_str(&format!("\nCLUSTER BY ({names})"));
    }
    if !table.comment.is_empty() {
        text.push_str(&format!("\nCOMMENT '{}'", escape_comment(&table.comment)));
    }
    text.push_str(&partition_clause(table));
    text.push('\n');
    text.push_str(&distribution_text(&table.default_distribution));
    if flavour == Flavour::Sync {
        text.push_str(&rollup_clause(table));
    }
    let properties: Vec<String> = table_properties::printed(table, flavour, feature_binlog)
        .into_iter()
        .map(|(key, value)| format!("{} = {}", quote_string(&key), quote_string(&value)))
        .collect();
    text.push_str(&format!("\nPROPERTIES (\n{}\n);", properties.join(",\n")));
    text
}

/// A column as SHOW CREATE TABLE and raw ALTER statements print it.
pub fn column_text(column: &Column, keys_type: KeysType) -> String {
    let mut text = format!("{} {}", quote_identifier(&column.name), column.data_type);
    if let Some(aggregate) = column.aggregate
        && keys_type == KeysType::Aggregate
    {
        text.push_str(&format!(" {}", aggregate.keyword()));
    }
    if let Some(expression) = &column.generated {
        text.push_str(&format!(" AS ({expression})"));
    }
    text.push_str(if column.nullable { " NULL" } else { " NOT NULL" });
    if let Some(start) = column.auto_increment {
        text.push_str(&format!(" AUTO_INCREMENT({start})"));
    }
    match &column.default {
        Some(DefaultValue::Literal(value)) => text.push_str(&format!(" DEFAULT {}", quote_string(value))),
        Some(DefaultValue::Function(function)) => text.push_str(&format!(" DEFAULT {function}")),
        // A nullable column's default is NULL anyway, Doris does not print it.
        Some(DefaultValue::Null) | None => {}
    }
    if let Some(function) = &column.on_update {
        text.push_str(&format!(" ON UPDATE {function}"));
    }
    if !column.comment.is_empty() {
        text.push_str(&format!(" COMMENT {}", quote_string(&column.comment)));
    }
    text
}

/// ``INDEX i (`c`) USING INVERTED PROPERTIES("k" = "v") COMMENT 'x'``.
pub fn index_text(index: &SecondaryIndex) -> String {
    let columns = quote_identifiers(index.columns.iter().map(String::as_str));
    let mut text = format!("INDEX {} ({columns}) USING {}", plain_name(&index.name), index.kind);
    if !index.properties.is_empty() {
        let properties: Vec<String> = index
            .properties
            .iter()
            .map(|(key, value)| format!("{} = {}", quote_string(key), quote_string(value)))
            .collect();
        text.push_str(&format!(" PROPERTIES({})", properties.join(", ")));
    }
    if !index.comment.is_empty() {
        text.push_str(&format!(" COMMENT '{}'", escape_comment(&index.comment)));
    }
    text
}

/// ``DISTRIBUTED BY HASH(`a`) BUCKETS 3`` and its other forms.
pub fn distribution_text(distribution: &Distribution) -> String {
    let kind = match &distribution.kind {
        DistributionKind::Hash(columns) => {
            format!("HASH({})", quote_identifiers(columns.iter().map(String::as_str)))
        }
        DistributionKind::Random => "RANDOM".to_owned(),
    };
    if distribution.auto_bucket {
        format!("DISTRIBUTED BY {kind} BUCKETS AUTO")
    } else {
        format!("DISTRIBUTED BY {kind} BUCKETS {}", distribution.buckets)
    }
}

/// The bounds or list of a partition: `VALUES [("1"), ("10"))`, `VALUES IN ("a","b")`; empty for the
/// default partition of a list and for unpartitioned tables. `nested` puts single list values into
/// parentheses of their own, as ADD_PARTITION records do.
pub fn partition_values_text(item: &PartitionItem, table: &OlapTable, nested: bool) -> String {
    let types = table.partition_scheme.column_types(table.columns());
    let key = |values: &[PartitionValue]| {
        let values: Vec<String> = values
            .iter()
            .zip(&types)
            .map(|(value, data_type)| match value {
                PartitionValue::MaxValue => "MAXVALUE".to_owned(),
                PartitionValue::Null => "NULL".to_owned(),
                PartitionValue::Value(_) | PartitionValue::MinValue if data_type.is_date() => {
                    format!("'{}'", value.text(data_type))
                }
                PartitionValue::Value(_) | PartitionValue::MinValue => quote_string(value.text(data_type)),
            })
            .collect();
        values.join(", ")
    };
    match item {
        PartitionItem::Unpartitioned => String::new(),
        PartitionItem::Range { lower, upper } => format!("VALUES [({}), ({}))", key(lower), key(upper)),
        PartitionItem::List { keys, .. } if keys.is_empty() => String::new(),
        PartitionItem::List { keys, .. } => {
            let bare = types.len() == 1 && !nested;
            let keys: Vec<String> = keys
                .iter()
                .map(|values| if bare { key(values) } else { format!("({})", key(values)) })
                .collect();
            format!("VALUES IN ({})", keys.join(","))
        }
    }
}

fn partition_clause(table: &OlapTable) -> String {
    let head = match &table.partition_scheme {
        PartitionScheme::Unpartitioned => return String::new(),
        PartitionScheme::Range { auto_expr: Some(expression), .. } => {
            format!("AUTO PARTITION BY RANGE ({expression})")
        }
        PartitionScheme::Range { columns, auto_expr: None } => {
            format!("PARTITION BY RANGE({})", quote_identifiers(columns.iter().map(String::as_str)))
        }
        PartitionScheme::List { columns, is_auto } => format!(
            "{}PARTITION BY LIST ({})",
            if *is_auto { "AUTO " } else { "" },
            quote_identifiers(columns.iter().map(String::as_str))
        ),
    };
    let partitions: Vec<String> = sorted_partitions(table)
        .into_iter()
        .map(|partition| {
            let values = partition_values_text(&partition.item, table, false);
            let text = format!("PARTITION {} {values}", plain_name(&partition.name)).trim_end().to_owned();
            match partition.storage_policy.as_str() {
                "" => text,
                policy => format!("{text} (\"storage_policy\" = {})", quote_string(policy)),
            }
        })
        .collect();
    format!("\n{head}\n({})", partitions.join(",\n"))
}

/// The formal partitions in the order of their ranges; lists in the order of their first keys.
pub fn sorted_partitions(table: &OlapTable) -> Vec<&Partition> {
    let types = table.partition_scheme.column_types(table.columns());
    let mut partitions: Vec<&Partition> = table.partitions.values().collect();
    let first_key = |partition: &Partition| match &partition.item {
        PartitionItem::Unpartitioned => Vec::new(),
        PartitionItem::Range { lower, .. } => lower.clone(),
        PartitionItem::List { keys, .. } => keys.first().cloned().unwrap_or_default(),
    };
    // The default partition of a list has no key and comes last.
    partitions.sort_by(|a, b| {
        let (x, y) = (first_key(a), first_key(b));
        x.is_empty()
            .cmp(&y.is_empty())
            .then_with(|| PartitionValue::compare_keys(&x, &y, &types))
            .then_with(|| a.id.cmp(&b.id))
    });
    partitions
}

fn rollup_clause(table: &OlapTable) -> String {
    let rollups: Vec<String> = table
        .indexes
        .values()
        .filter(|index| index.id != table.base_index_id && index.state == crate::model::IndexState::Normal)
        // The clause cannot say what a materialised view holds.
        .filter(|index| index.view.is_none())
        .map(|index| {
            let visible = index.columns.iter().filter(|column| column.visible);
            let columns: Vec<String> = visible.map(|column| plain_name(&column.name)).collect();
            format!("{} ({})", plain_name(&index.name), columns.join(", "))
        })
        .collect();
    if rollups.is_empty() { String::new() } else { format!("\nROLLUP (\n{}\n)", rollups.join(",\n")) }
}

/// The CREATE VIEW statement of a view.
pub fn create_view_text(view: &View) -> String {
    let columns: Vec<String> = view
        .columns
        .iter()
        .map(|column| {
            if column.comment.is_empty() {
                plain_name(&column.name)
            } else {
                format!("{} comment '{}'", plain_name(&column.name), escape_comment(&column.comment))
            }
        })
        .collect();
    let comment = if view.comment.is_empty() {
        String::new()
    } else {
        format!(" COMMENT '{}'", escape_comment(&view.comment))
    };
    let columns = if columns.is_empty() { String::new() } else { format!("({})\n", columns.join(",")) };
    format!("CREATE VIEW {}\n{columns}{comment} AS {};", quote_identifier(&view.name), view.definition)
}

/// Doris prints these names without quotes; one that would not read as a name again gets them.
pub fn plain_name(name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$');
    if plain { name.to_owned() } else { quote_identifier(name) }
}

/// Inside single quotes. Double quotes are escaped as well, as Doris does everywhere.
pub fn escape_comment(comment: &str) -> String {
    comment.replace('\\', "\\\\").replace('\'', "\\'").replace('"', "\\\"")
}
