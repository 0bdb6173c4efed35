//! The identity text of a partition, which is the only key that maps it across clusters.
//!
//! Doris prints the same text in UPSERT binlogs, getMeta and SHOW PROC and treats it as frozen, trailing
//! blanks included.

use super::{Column, DataType, PartitionItem, PartitionScheme, PartitionValue};

impl PartitionScheme {
    /// The partition columns' names; none for an unpartitioned table.
    pub fn column_names(&self) -> &[String] {
        match self {
            PartitionScheme::Unpartitioned => &[],
            PartitionScheme::Range { columns, .. } | PartitionScheme::List { columns, .. } => columns,
        }
    }

    /// The types of the partition columns, in their order.
    pub fn column_types<'a>(&self, columns: &'a [Column]) -> Vec<&'a DataType> {
        self.column_names()
            .iter()
            .filter_map(|name| columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)))
            .map(|column| &column.data_type)
            .collect()
    }
}

impl PartitionItem {
    /// `[types: [INT]; keys: [1]; ..types: [INT]; keys: [10]; )` for a range, `[types: …; keys: …; , … ]`
    /// for a list, empty for an unpartitioned table. `columns` are those of the base index.
    pub fn identity(&self, scheme: &PartitionScheme, columns: &[Column]) -> String {
        let types = scheme.column_types(columns);
        match self {
            PartitionItem::Unpartitioned => String::new(),
            PartitionItem::Range { lower, upper } => {
                format!("[{}..{})", key_text(lower, &types), key_text(upper, &types))
            }
            PartitionItem::List { is_default: true, .. } => "[types: []; keys: [default key]; ]".to_owned(),
            PartitionItem::List { keys, is_default: false } => {
                let keys: Vec<String> = keys.iter().map(|key| key_text(key, &types)).collect();
                format!("[{}]", keys.join(", "))
            }
        }
    }
}

fn key_text(values: &[PartitionValue], types: &[&DataType]) -> String {
    let names: Vec<&str> = types.iter().map(|data_type| data_type.primitive_name()).collect();
    let values: Vec<&str> =
        values.iter().zip(types).map(|(value, data_type)| value.text(data_type)).collect();
    format!("types: [{}]; keys: [{}]; ", names.join(", "), values.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, data_type: DataType) -> Column {
        Column {
            name: name.to_owned(),
            data_type,
            is_key: true,
            nullable: true,
            aggregate: None,
            default: None,
            comment: String::new(),
            unique_id: 0,
            visible: true,
            auto_increment: None,
            generated: None,
            on_update: None,
            define: None,
        }
    }

    fn values(texts: &[&str]) -> Vec<PartitionValue> {
        texts.iter().map(|text| PartitionValue::Value((*text).to_owned())).collect()
    }

    #[test]
    fn identities_have_the_frozen_text() {
        let columns = [
            column("d", DataType::Date),
            column("k", DataType::Int),
            column("c", DataType::Varchar { length: 9 }),
        ];
        let range = |names: &[&str]| PartitionScheme::Range {
            columns: names.iter().map(|name| (*name).to_owned()).collect(),
            auto_expr: None,
        };
        let list = PartitionScheme::List { columns: vec!["c".to_owned()], is_auto: false };
        let item = PartitionItem::Range { lower: values(&["1"]), upper: values(&["10"]) };
        assert_eq!(
            item.identity(&range(&["k"]), &columns),
            "[types: [INT]; keys: [1]; ..types: [INT]; keys: [10]; )"
        );
        let item = PartitionItem::Range {
            lower: values(&["2024-01-01", "5"]),
            upper: vec![PartitionValue::Value("2024-02-01".into()), PartitionValue::MaxValue],
        };
        assert_eq!(
            item.identity(&range(&["d", "k"]), &columns),
            "[types: [DATEV2, INT]; keys: [2024-01-01, 5]; ..types: [DATEV2, INT]; keys: [2024-02-01, MAXVALUE]; )"
        );
        let item = PartitionItem::List { keys: vec![values(&["bj"]), values(&["sh"])], is_default: false };
        assert_eq!(
            item.identity(&list, &columns),
            "[types: [VARCHAR]; keys: [bj]; , types: [VARCHAR]; keys: [sh]; ]"
        );
        let item = PartitionItem::List { keys: Vec::new(), is_default: true };
        assert_eq!(item.identity(&list, &columns), "[types: []; keys: [default key]; ]");
        assert_eq!(PartitionItem::Unpartitioned.identity(&PartitionScheme::Unpartitioned, &columns), "");
    }
}
