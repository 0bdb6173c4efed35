//! The predicate of a DELETE on duplicate and aggregate tables: a conjunction that hides older rows.

use std::cmp::Ordering;

use super::codec::{self, CodecError, Reader};
use super::{TabletSchema, Value};

/// All conditions must hold. Columns are named by unique id, so a renamed column stays meant.
#[derive(Debug, Clone, PartialEq)]
pub struct DeletePredicate {
    pub conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    pub column: i32,
    pub operator: Operator,
    /// One value for comparisons, any number for lists, none for the NULL tests.
    pub values: Vec<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
    IsNull,
    IsNotNull,
}

const OPERATORS: [Operator; 10] = [
    Operator::Equal,
    Operator::NotEqual,
    Operator::Less,
    Operator::LessOrEqual,
    Operator::Greater,
    Operator::GreaterOrEqual,
    Operator::In,
    Operator::NotIn,
    Operator::IsNull,
    Operator::IsNotNull,
];

impl DeletePredicate {
    /// Whether a row of `schema` is deleted. A column that the schema no longer has matches nothing.
    pub fn matches(&self, schema: &TabletSchema, values: &[Value]) -> bool {
        self.conditions.iter().all(|condition| {
            schema
                .position_of_unique_id(condition.column)
                .and_then(|position| values.get(position))
                .is_some_and(|value| condition.matches(value))
        })
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        codec::put_unsigned(out, self.conditions.len() as u128);
        for condition in &self.conditions {
            codec::put_signed(out, i128::from(condition.column));
            let code = OPERATORS.iter().position(|operator| *operator == condition.operator).unwrap_or(0);
            out.push(code as u8);
            codec::put_unsigned(out, condition.values.len() as u128);
            for value in &condition.values {
                codec::put_value(out, value);
            }
        }
    }

    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut conditions = Vec::new();
        for _ in 0..reader.count()? {
            let column = reader.i32()?;
            let code = usize::from(reader.byte()?);
            let operator = *OPERATORS.get(code).ok_or(CodecError::Invalid("operator"))?;
            let mut values = Vec::new();
            for _ in 0..reader.count()? {
                values.push(reader.value()?);
            }
            conditions.push(Condition { column, operator, values });
        }
        Ok(Self { conditions })
    }
}

impl Condition {
    fn matches(&self, value: &Value) -> bool {
        let is = |wanted: fn(Ordering) -> bool| {
            !value.is_null()
                && self.values.first().is_some_and(|other| !other.is_null() && wanted(value.order(other)))
        };
        let listed = || self.values.iter().any(|other| value.order(other) == Ordering::Equal);
        match self.operator {
            Operator::Equal => is(Ordering::is_eq),
            Operator::NotEqual => is(Ordering::is_ne),
            Operator::Less => is(Ordering::is_lt),
            Operator::LessOrEqual => is(Ordering::is_le),
            Operator::Greater => is(Ordering::is_gt),
            Operator::GreaterOrEqual => is(Ordering::is_ge),
            Operator::In => !value.is_null() && listed(),
            Operator::NotIn => !value.is_null() && !listed(),
            Operator::IsNull => value.is_null(),
            Operator::IsNotNull => !value.is_null(),
        }
    }
}
