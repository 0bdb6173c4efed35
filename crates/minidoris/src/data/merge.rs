//! What a reader of a tablet sees: rowsets in version order, merged by the key model.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{AggregateKind, KeysType};

use super::codec::{self, CodecError};
use super::decimal::{self, Decimal};
use super::{DeletePredicate, Rowset, TabletSchema, Value, objects, states};

/// Merges rowsets, which must be in version order. Rows of duplicate tables keep their load order, the
/// others are sorted by key.
pub fn merge(schema: &TabletSchema, rowsets: &[(i64, Arc<Rowset>)]) -> Result<Vec<Vec<Value>>, CodecError> {
    let predicates: Vec<(i64, &DeletePredicate)> = rowsets
        .iter()
        .filter_map(|(version, rowset)| Some((*version, rowset.meta.delete_predicate.as_ref()?)))
        .collect();
    let mut merger = Merger::new(schema);
    for (version, rowset) in rowsets {
        let later: Vec<&DeletePredicate> =
            predicates.iter().filter(|(at, _)| at > version).map(|(_, predicate)| *predicate).collect();
        rowset.rows(schema, |row| {
            if !later.iter().any(|predicate| predicate.matches(schema, &row.values)) {
                merger.add(row.values, row.deleted);
            }
        })?;
    }
    Ok(merger.finish())
}

/// As [`merge`], with the rows that were deleted, and for each whether it is and the version that wrote it.
pub fn merge_hidden(
    schema: &TabletSchema,
    rowsets: &[(i64, Arc<Rowset>)],
) -> Result<Vec<HiddenRow>, CodecError> {
    let mut last: HashMap<Vec<u8>, HiddenRow> = HashMap::new();
    let keys: Vec<usize> = (0..schema.columns.len()).filter(|at| schema.columns[*at].is_key).collect();
    for (version, rowset) in rowsets {
        rowset.rows(schema, |row| {
            let mut key = Vec::new();
            for position in &keys {
                codec::put_value(&mut key, &row.values[*position]);
            }
            let new = HiddenRow { values: row.values, deleted: row.deleted, version: *version };
            match last.get_mut(&key) {
                Some(old) if overtakes(schema, &old.values, &new.values, new.deleted) => *old = new,
                Some(_) => {}
                None => {
                    last.insert(key, new);
                }
            }
        })?;
    }
    Ok(last.into_values().collect())
}

/// A row of a unique table with what is hidden of it.
#[derive(Debug, Clone)]
pub struct HiddenRow {
    pub values: Vec<Value>,
    pub deleted: bool,
    pub version: i64,
}

/// Whether a later row of a unique table takes the place of an earlier one with its key.
fn overtakes(schema: &TabletSchema, old: &[Value], new: &[Value], deleted: bool) -> bool {
    let is_less = schema.sequence.is_some_and(|at| new[at].order(&old[at]) == Ordering::Less);
    // A delete sign without a sequence value applies to whatever is there.
    let unordered = deleted && schema.sequence.is_some_and(|at| new[at].is_null());
    !is_less || unordered
}

struct Merger<'a> {
    schema: &'a TabletSchema,
    key_positions: Vec<usize>,
    rows: Vec<(Vec<Value>, bool)>,
    /// Encoded key to position in `rows`; unused for duplicate tables.
    by_key: HashMap<Vec<u8>, usize>,
}

impl<'a> Merger<'a> {
    fn new(schema: &'a TabletSchema) -> Self {
        let key_positions = (0..schema.columns.len()).filter(|at| schema.columns[*at].is_key).collect();
        Self { schema, key_positions, rows: Vec::new(), by_key: HashMap::new() }
    }

    fn add(&mut self, values: Vec<Value>, deleted: bool) {
        match self.schema.keys_type {
            KeysType::Duplicate => self.rows.push((values, deleted)),
            KeysType::Unique | KeysType::Aggregate => {
                let mut key = Vec::new();
                for position in &self.key_positions {
                    codec::put_value(&mut key, &values[*position]);
                }
                match self.by_key.get(&key) {
                    Some(at) => self.combine(*at, values, deleted),
                    None => {
                        self.by_key.insert(key, self.rows.len());
                        self.rows.push((values, deleted));
                    }
                }
            }
        }
    }

    fn combine(&mut self, at: usize, values: Vec<Value>, deleted: bool) {
        let (old, old_deleted) = &mut self.rows[at];
        match self.schema.keys_type {
            KeysType::Duplicate => {}
            KeysType::Unique => {
                if overtakes(self.schema, old, &values, deleted) {
                    *old = values;
                    *old_deleted = deleted;
                }
            }
            KeysType::Aggregate => {
                for (position, value) in values.into_iter().enumerate() {
                    let column = &self.schema.columns[position];
                    if !column.is_key {
                        let kind = column.aggregate.unwrap_or(AggregateKind::Replace);
                        aggregate(kind, &mut old[position], value);
                    }
                }
            }
        }
    }

    fn finish(mut self) -> Vec<Vec<Value>> {
        self.rows.retain(|(_, deleted)| !deleted);
        let mut rows: Vec<Vec<Value>> = self.rows.into_iter().map(|(values, _)| values).collect();
        match self.schema.keys_type {
            KeysType::Duplicate => {}
            KeysType::Unique | KeysType::Aggregate => {
                let keys = self.key_positions;
                rows.sort_by(|a, b| {
                    keys.iter()
                        .map(|at| a[*at].order(&b[*at]))
                        .find(|order| order.is_ne())
                        .unwrap_or(Ordering::Equal)
                });
            }
        }
        rows
    }
}

/// Folds a newer value of an aggregate column into the older one.
pub fn aggregate(kind: AggregateKind, old: &mut Value, new: Value) {
    if kind == AggregateKind::Replace {
        *old = new;
        return;
    }
    // NULL changes nothing in all other kinds.
    if new.is_null() {
        return;
    }
    if old.is_null() {
        *old = new;
        return;
    }
    match kind {
        AggregateKind::Replace | AggregateKind::ReplaceIfNotNull => *old = new,
        AggregateKind::Sum => *old = add(old, &new),
        AggregateKind::Min => {
            if new.order(old) == Ordering::Less {
                *old = new;
            }
        }
        AggregateKind::Max => {
            if new.order(old) == Ordering::Greater {
                *old = new;
            }
        }
        AggregateKind::BitmapUnion => *old = union(old, &new, objects::bitmap_union),
        AggregateKind::HllUnion => *old = union(old, &new, objects::hll_union),
        AggregateKind::QuantileUnion => *old = union(old, &new, objects::state_union),
        AggregateKind::Generic => *old = union(old, &new, states::union),
    }
}

fn union(old: &Value, new: &Value, join: fn(&str, &str) -> String) -> Value {
    match (old, new) {
        (Value::Text(a), Value::Text(b)) => Value::Text(join(a, b)),
        _ => new.clone(),
    }
}

/// The sum of two values of one column.
fn add(a: &Value, b: &Value) -> Value {
    match (a, b) {
        (Value::Int(x), Value::Int(y)) => Value::Int(x.wrapping_add(*y)),
        (Value::Decimal(x), Value::Decimal(y)) => {
            let scale = x.scale.max(y.scale);
            let sum = x.rescale(scale).zip(y.rescale(scale));
            let sum = sum.and_then(|(x, y)| x.unscaled.checked_add(y.unscaled));
            Value::Decimal(sum.map_or(*x, |unscaled| Decimal::new(unscaled, scale)))
        }
        (Value::WideDecimal(x), Value::WideDecimal(y)) => Value::WideDecimal(decimal::add_text(x, y)),
        _ => match (a.as_f64(), b.as_f64()) {
            (Some(x), Some(y)) => Value::Float(x + y),
            _ => b.clone(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::tests::int_schema;
    use super::super::{Condition, Operator, Row, RowsetMeta};
    use super::*;

    fn ints(numbers: &[i64]) -> Vec<Value> {
        numbers.iter().map(|number| Value::Int(i128::from(*number))).collect()
    }

    fn rowset(schema: &TabletSchema, rows: Vec<Row>) -> Arc<Rowset> {
        Arc::new(Rowset::of_rows(schema, &rows, RowsetMeta::default()))
    }

    fn read(schema: &TabletSchema, loads: Vec<Vec<Row>>) -> Vec<Vec<Value>> {
        let rowsets: Vec<_> =
            loads.into_iter().enumerate().map(|(at, rows)| (at as i64 + 2, rowset(schema, rows))).collect();
        merge(schema, &rowsets).unwrap()
    }

    #[test]
    fn duplicate_tables_keep_every_row_in_load_order() {
        let schema = int_schema(&["k", "v"], 1, KeysType::Duplicate);
        let rows =
            read(&schema, vec![vec![ints(&[2, 1]).into(), ints(&[1, 1]).into()], vec![ints(&[2, 1]).into()]]);
        assert_eq!(rows, vec![ints(&[2, 1]), ints(&[1, 1]), ints(&[2, 1])]);
    }

    #[test]
    fn unique_tables_keep_the_newest_row_of_a_key() {
        let schema = int_schema(&["k", "v"], 1, KeysType::Unique);
        let rows = read(
            &schema,
            vec![
                vec![ints(&[2, 1]).into(), ints(&[1, 1]).into(), ints(&[2, 9]).into()],
                vec![ints(&[1, 5]).into(), Row::delete(ints(&[2, 0]))],
                vec![ints(&[3, 0]).into()],
            ],
        );
        assert_eq!(rows, vec![ints(&[1, 5]), ints(&[3, 0])]);
    }

    #[test]
    fn a_lower_sequence_loses() {
        let mut schema = int_schema(&["k", "v", "s"], 1, KeysType::Unique);
        schema.sequence = Some(2);
        let rows = read(&schema, vec![vec![ints(&[1, 1, 9]).into()], vec![ints(&[1, 2, 8]).into()]]);
        assert_eq!(rows, vec![ints(&[1, 1, 9])]);
        let rows = read(&schema, vec![vec![ints(&[1, 1, 9]).into()], vec![ints(&[1, 2, 9]).into()]]);
        assert_eq!(rows, vec![ints(&[1, 2, 9])]);
    }

    #[test]
    fn aggregates_fold_in_load_order() {
        use AggregateKind::{Max, Min, Replace, ReplaceIfNotNull, Sum};
        let kinds = [Sum, Min, Max, Replace, ReplaceIfNotNull];
        let mut schema = int_schema(&["k", "a", "b", "c", "d", "e"], 1, KeysType::Aggregate);
        for (column, kind) in schema.columns[1..].iter_mut().zip(kinds) {
            column.aggregate = Some(kind);
        }
        let mut nulls = ints(&[1]);
        nulls.resize(6, Value::Null);
        let rows = read(
            &schema,
            vec![
                vec![ints(&[1, 1, 5, 5, 5, 5]).into()],
                vec![ints(&[1, 2, 4, 9, 4, 4]).into()],
                vec![nulls.into()],
            ],
        );
        let mut wanted = ints(&[1, 3, 4, 9, 0, 4]);
        wanted[4] = Value::Null;
        assert_eq!(rows, vec![wanted]);
    }

    #[test]
    fn aggregate_tables_without_value_columns_remove_duplicates() {
        let schema = int_schema(&["k", "l"], 2, KeysType::Aggregate);
        let rows = read(&schema, vec![vec![ints(&[1, 1]).into()], vec![ints(&[1, 1]).into()]]);
        assert_eq!(rows, vec![ints(&[1, 1])]);
    }

    #[test]
    fn a_delete_predicate_hides_only_older_rows() {
        let schema = int_schema(&["k", "v"], 1, KeysType::Duplicate);
        let predicate = DeletePredicate {
            conditions: vec![Condition { column: 0, operator: Operator::Greater, values: ints(&[1]) }],
        };
        let delete = Rowset {
            meta: RowsetMeta { delete_predicate: Some(predicate), ..RowsetMeta::default() },
            ..Rowset::default()
        };
        let rowsets = vec![
            (2, rowset(&schema, vec![ints(&[1, 0]).into(), ints(&[2, 0]).into()])),
            (3, Arc::new(delete)),
            (4, rowset(&schema, vec![ints(&[3, 0]).into()])),
        ];
        assert_eq!(merge(&schema, &rowsets).unwrap(), vec![ints(&[1, 0]), ints(&[3, 0])]);
        assert_eq!(merge(&schema, &rowsets[..1]).unwrap().len(), 2);
    }
}
