//! Which bucket of a partition a row belongs to.

use crate::model::{Distribution, DistributionKind};

use super::{TabletSchema, Value};

/// Assigns rows of one load to buckets.
#[derive(Debug, Clone)]
pub struct Bucketing {
    buckets: usize,
    /// Positions of the distribution columns; empty for RANDOM.
    positions: Vec<usize>,
    next: usize,
}

impl Bucketing {
    /// `start` rotates the first bucket of RANDOM loads.
    pub fn new(distribution: &Distribution, schema: &TabletSchema, start: usize) -> Self {
        let positions = match &distribution.kind {
            DistributionKind::Hash(names) => names.iter().filter_map(|name| schema.position(name)).collect(),
            DistributionKind::Random => Vec::new(),
        };
        Self { buckets: (distribution.buckets as usize).max(1), positions, next: start }
    }

    /// The bucket of the next row.
    pub fn bucket(&mut self, values: &[Value]) -> usize {
        if self.buckets == 1 {
            return 0;
        }
        if self.positions.is_empty() {
            self.next = self.next.wrapping_add(1);
            return self.next % self.buckets;
        }
        let mut hasher = crc32fast::Hasher::new();
        for position in &self.positions {
            hash(&mut hasher, values.get(*position).unwrap_or(&Value::Null));
        }
        hasher.finalize() as usize % self.buckets
    }
}

/// Feeds a value in a form that depends on its meaning only, so that both clusters agree.
fn hash(hasher: &mut crc32fast::Hasher, value: &Value) {
    match value {
        // Doris hashes NULL like a 32-bit zero.
        Value::Null => hasher.update(&[0; 4]),
        Value::Bool(flag) => hasher.update(&[u8::from(*flag)]),
        Value::Int(number) => hasher.update(&number.to_le_bytes()),
        Value::Float(number) => hasher.update(&number.to_le_bytes()),
        Value::Decimal(number) => hasher.update(&number.unscaled.to_le_bytes()),
        Value::Date(date) => hasher.update(&date.packed().to_le_bytes()),
        Value::DateTime(at) => hasher.update(&at.packed().to_le_bytes()),
        Value::WideDecimal(text) | Value::Text(text) => hasher.update(text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::tests::int_schema;
    use super::*;
    use crate::model::KeysType;

    #[test]
    fn hashing_is_stable_and_spreads() {
        let schema = int_schema(&["k", "v"], 1, KeysType::Duplicate);
        let kind = DistributionKind::Hash(vec!["K".to_owned()]);
        let distribution = Distribution { kind, buckets: 4, auto_bucket: false };
        let place = |start| -> Vec<usize> {
            let mut bucketing = Bucketing::new(&distribution, &schema, start);
            (0..1000).map(|key| bucketing.bucket(&[Value::Int(key), Value::Int(key % 7)])).collect()
        };
        assert_eq!(place(0), place(3));
        for bucket in 0..4 {
            let share = place(0).iter().filter(|at| **at == bucket).count();
            assert!((150..350).contains(&share), "bucket {bucket} has {share} of 1000 rows");
        }
    }

    #[test]
    fn random_goes_round() {
        let schema = int_schema(&["k"], 1, KeysType::Duplicate);
        let distribution = Distribution { kind: DistributionKind::Random, buckets: 3, auto_bucket: false };
        let mut bucketing = Bucketing::new(&distribution, &schema, 0);
        let places: Vec<usize> = (0..4).map(|_| bucketing.bucket(&[Value::Null])).collect();
        assert_eq!(places, [1, 2, 0, 1]);
    }
}
