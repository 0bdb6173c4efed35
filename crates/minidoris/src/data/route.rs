//! Which partition a row belongs to.

use std::cmp::Ordering;
use std::collections::HashMap;

use thiserror::Error;

use crate::model::{Column, OlapTable, Partition, PartitionItem, PartitionScheme, PartitionValue};

use super::{TabletSchema, Value, cast};

/// A row that no partition takes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no partition for this tuple. tuple={tuple}")]
pub struct NoPartition {
    pub tuple: String,
}

/// Finds partitions by the values of the partition columns.
#[derive(Debug, Clone)]
pub struct Router {
    positions: Vec<usize>,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// The only partition, if there is one.
    Single(Option<i64>),
    /// Sorted by lower bound; bounds do not overlap.
    Range(Vec<(Vec<Bound>, Vec<Bound>, i64)>),
    List {
        by_key: HashMap<Vec<u8>, i64>,
        default: Option<i64>,
    },
}

#[derive(Debug, Clone, PartialEq)]
enum Bound {
    Min,
    Value(Value),
    Max,
}

impl Router {
    /// A router over some partitions of a table, usually all formal ones.
    pub fn new<'a>(
        table: &OlapTable,
        schema: &TabletSchema,
        partitions: impl IntoIterator<Item = &'a Partition>,
    ) -> Self {
        let names: &[String] = match &table.partition_scheme {
            PartitionScheme::Unpartitioned => &[],
            PartitionScheme::Range { columns, .. } | PartitionScheme::List { columns, .. } => columns,
        };
        let positions: Vec<usize> = names.iter().filter_map(|name| schema.position(name)).collect();
        let columns: Vec<&Column> = positions.iter().map(|at| &schema.columns[*at]).collect();
        let kind = match &table.partition_scheme {
            PartitionScheme::Unpartitioned => {
                Kind::Single(partitions.into_iter().next().map(|found| found.id))
            }
            PartitionScheme::Range { .. } => Kind::Range(ranges(&columns, partitions)),
            PartitionScheme::List { .. } => lists(&columns, partitions),
        };
        Self { positions, kind }
    }

    /// The partition of a row.
    pub fn route(&self, values: &[Value]) -> Result<i64, NoPartition> {
        let found = match &self.kind {
            Kind::Single(partition) => *partition,
            Kind::Range(ranges) => {
                let after =
                    ranges.partition_point(|(lower, _, _)| self.compare(lower, values) != Ordering::Greater);
                after.checked_sub(1).and_then(|at| {
                    let (_, upper, id) = &ranges[at];
                    (self.compare(upper, values) == Ordering::Greater).then_some(*id)
                })
            }
            Kind::List { by_key, default } => {
                let mut key = Vec::new();
                for position in &self.positions {
                    super::codec::put_value(&mut key, &values[*position]);
                }
                by_key.get(&key).copied().or(*default)
            }
        };
        found.ok_or_else(|| NoPartition { tuple: self.tuple(values) })
    }

    fn compare(&self, bounds: &[Bound], values: &[Value]) -> Ordering {
        for (at, position) in self.positions.iter().enumerate() {
            let order = match bounds.get(at) {
                Some(Bound::Value(bound)) => bound.order(&values[*position]),
                // A bound that names fewer columns is the least of its prefix. NULL sorts as the minimum.
                Some(Bound::Min) | None if values[*position].is_null() => Ordering::Equal,
                Some(Bound::Min) | None => Ordering::Less,
                Some(Bound::Max) => Ordering::Greater,
            };
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    }

    /// The partition columns' values of a row.
    pub fn partition_values(&self, values: &[Value]) -> Vec<Value> {
        self.positions.iter().map(|at| values[*at].clone()).collect()
    }

    fn tuple(&self, values: &[Value]) -> String {
        let text = |value: &Value| value.to_sql_text(0).unwrap_or_else(|| "NULL".to_owned());
        let shown: Vec<String> = self.positions.iter().map(|at| text(&values[*at])).collect();
        format!("({})", shown.join(", "))
    }
}

fn ranges<'a>(
    columns: &[&Column],
    partitions: impl IntoIterator<Item = &'a Partition>,
) -> Vec<(Vec<Bound>, Vec<Bound>, i64)> {
    let mut ranges = Vec::new();
    for partition in partitions {
        if let PartitionItem::Range { lower, upper } = &partition.item {
            ranges.push((bounds(columns, lower), bounds(columns, upper), partition.id));
        }
    }
    ranges.sort_by(|(a, _, _), (b, _, _)| {
        a.iter().zip(b).map(|(x, y)| order(x, y)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
    ranges
}

fn lists<'a>(columns: &[&Column], partitions: impl IntoIterator<Item = &'a Partition>) -> Kind {
    let mut by_key = HashMap::new();
    let mut default = None;
    for partition in partitions {
        if let PartitionItem::List { keys, is_default } = &partition.item {
            if *is_default {
                default = Some(partition.id);
            }
            for key in keys {
                let mut bytes = Vec::new();
                for bound in bounds(columns, key) {
                    let value = match bound {
                        Bound::Value(value) => value,
                        Bound::Min | Bound::Max => Value::Null,
                    };
                    super::codec::put_value(&mut bytes, &value);
                }
                by_key.insert(bytes, partition.id);
            }
        }
    }
    Kind::List { by_key, default }
}

fn bounds(columns: &[&Column], values: &[PartitionValue]) -> Vec<Bound> {
    let bound = |(column, value): (&&Column, &PartitionValue)| match value {
        PartitionValue::Value(text) => cast::from_text(text, column).map_or(Bound::Min, Bound::Value),
        PartitionValue::MaxValue => Bound::Max,
        PartitionValue::MinValue => Bound::Min,
        PartitionValue::Null => Bound::Value(Value::Null),
    };
    columns.iter().zip(values).map(bound).collect()
}

fn order(a: &Bound, b: &Bound) -> Ordering {
    match (a, b) {
        (Bound::Value(x), Bound::Value(y)) => x.order(y),
        (Bound::Min, Bound::Min) | (Bound::Max, Bound::Max) => Ordering::Equal,
        (Bound::Min, _) | (_, Bound::Max) => Ordering::Less,
        (Bound::Max, _) | (_, Bound::Min) => Ordering::Greater,
    }
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;

    use super::super::schema::tests::int_schema;
    use super::*;
    use crate::model::{Distribution, DistributionKind, KeysType};

    fn partition(id: i64, item: PartitionItem) -> Partition {
        let kind = DistributionKind::Random;
        Partition {
            id,
            name: format!("p{id}"),
            item,
            distribution: Distribution { kind, buckets: 1, auto_bucket: false },
            visible_version: 1,
            visible_version_time: 0,
            next_version: 2,
            replication_num: 1,
            storage_medium: "HDD".to_owned(),
            storage_policy: String::new(),
            indexes: IndexMap::new(),
        }
    }

    fn value(text: &str) -> PartitionValue {
        match text {
            "MIN" => PartitionValue::MinValue,
            "MAX" => PartitionValue::MaxValue,
            "NULL" => PartitionValue::Null,
            _ => PartitionValue::Value(text.to_owned()),
        }
    }

    fn values(texts: &[&str]) -> Vec<PartitionValue> {
        texts.iter().map(|text| value(text)).collect()
    }

    fn range(id: i64, lower: &[&str], upper: &[&str]) -> Partition {
        partition(id, PartitionItem::Range { lower: values(lower), upper: values(upper) })
    }

    fn router(columns: &[&str], partitions: &[Partition]) -> Router {
        let schema = int_schema(columns, columns.len(), KeysType::Duplicate);
        let names: Vec<&Column> = schema.columns.iter().collect();
        let kind = match partitions[0].item {
            PartitionItem::Unpartitioned => Kind::Single(Some(partitions[0].id)),
            PartitionItem::Range { .. } => Kind::Range(ranges(&names, partitions)),
            PartitionItem::List { .. } => lists(&names, partitions),
        };
        Router { positions: (0..columns.len()).collect(), kind }
    }

    #[test]
    fn ranges_are_half_open_and_may_have_gaps() {
        let router = router(
            &["k"],
            &[range(2, &["10"], &["20"]), range(1, &["MIN"], &["5"]), range(3, &["20"], &["MAX"])],
        );
        let route = |number: i128| router.route(&[Value::Int(number)]).ok();
        assert_eq!(route(-9), Some(1));
        assert_eq!(route(4), Some(1));
        assert_eq!(route(5), None);
        assert_eq!(route(10), Some(2));
        assert_eq!(route(19), Some(2));
        assert_eq!(route(20), Some(3));
        assert_eq!(router.route(&[Value::Null]), Ok(1));
        let error = router.route(&[Value::Int(7)]).unwrap_err();
        assert_eq!(error.to_string(), "no partition for this tuple. tuple=(7)");
    }

    #[test]
    fn ranges_of_several_columns_compare_in_order() {
        let router = router(
            &["a", "b"],
            &[range(1, &["MIN", "MIN"], &["5", "3"]), range(2, &["5", "3"], &["MAX", "MAX"])],
        );
        let route = |a: i128, b: i128| router.route(&[Value::Int(a), Value::Int(b)]).ok();
        assert_eq!(route(5, 2), Some(1));
        assert_eq!(route(5, 3), Some(2));
        assert_eq!(route(4, 100), Some(1));
    }

    #[test]
    fn lists_hold_their_keys_and_the_default_the_rest() {
        let list = |id, keys: &[&[&str]], is_default| {
            let keys = keys.iter().map(|key| values(key)).collect();
            partition(id, PartitionItem::List { keys, is_default })
        };
        let strict = router(&["k"], &[list(1, &[&["1"], &["NULL"]], false), list(2, &[&["2"]], false)]);
        assert_eq!(strict.route(&[Value::Int(2)]), Ok(2));
        assert_eq!(strict.route(&[Value::Null]), Ok(1));
        assert!(strict.route(&[Value::Int(3)]).is_err());
        let open = router(&["k"], &[list(1, &[&["1"]], false), list(9, &[], true)]);
        assert_eq!(open.route(&[Value::Int(3)]), Ok(9));
    }
}
