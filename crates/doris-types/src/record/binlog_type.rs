//! The number that says which record a binlog carries.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `TBinlogType`, kept as a number so that types of a newer FE survive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BinlogType(pub i32);

impl BinlogType {
    pub const UPSERT: Self = Self(0);
    pub const ADD_PARTITION: Self = Self(1);
    pub const CREATE_TABLE: Self = Self(2);
    pub const DROP_PARTITION: Self = Self(3);
    pub const DROP_TABLE: Self = Self(4);
    pub const ALTER_JOB: Self = Self(5);
    pub const MODIFY_TABLE_ADD_OR_DROP_COLUMNS: Self = Self(6);
    pub const DUMMY: Self = Self(7);
    pub const ALTER_DATABASE_PROPERTY: Self = Self(8);
    pub const MODIFY_TABLE_PROPERTY: Self = Self(9);
    pub const BARRIER: Self = Self(10);
    pub const MODIFY_PARTITIONS: Self = Self(11);
    pub const REPLACE_PARTITIONS: Self = Self(12);
    pub const TRUNCATE_TABLE: Self = Self(13);
    pub const RENAME_TABLE: Self = Self(14);
    pub const RENAME_COLUMN: Self = Self(15);
    pub const MODIFY_COMMENT: Self = Self(16);
    pub const MODIFY_VIEW_DEF: Self = Self(17);
    pub const REPLACE_TABLE: Self = Self(18);
    pub const MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES: Self = Self(19);
    pub const INDEX_CHANGE_JOB: Self = Self(20);
    pub const RENAME_ROLLUP: Self = Self(21);
    pub const RENAME_PARTITION: Self = Self(22);
    pub const DROP_ROLLUP: Self = Self(23);
    pub const RECOVER_INFO: Self = Self(24);
    pub const MODIFY_DISTRIBUTION_BUCKET_NUM: Self = Self(25);
    pub const MODIFY_DISTRIBUTION_TYPE: Self = Self(26);

    /// Doris's name of the type, `UNKNOWN` for a number this crate has no record for.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(kind, _)| *kind == self).map_or("UNKNOWN", |(_, name)| name)
    }

    /// Whether this crate has a record for the type.
    pub fn is_known(self) -> bool {
        NAMES.iter().any(|(kind, _)| *kind == self)
    }

    /// All known types, in order of their numbers.
    pub fn known() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(kind, _)| *kind)
    }
}

impl fmt::Display for BinlogType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_known() { f.write_str(self.name()) } else { write!(f, "UNKNOWN({})", self.0) }
    }
}

const NAMES: [(BinlogType, &str); 27] = [
    (BinlogType::UPSERT, "UPSERT"),
    (BinlogType::ADD_PARTITION, "ADD_PARTITION"),
    (BinlogType::CREATE_TABLE, "CREATE_TABLE"),
    (BinlogType::DROP_PARTITION, "DROP_PARTITION"),
    (BinlogType::DROP_TABLE, "DROP_TABLE"),
    (BinlogType::ALTER_JOB, "ALTER_JOB"),
    (BinlogType::MODIFY_TABLE_ADD_OR_DROP_COLUMNS, "MODIFY_TABLE_ADD_OR_DROP_COLUMNS"),
    (BinlogType::DUMMY, "DUMMY"),
    (BinlogType::ALTER_DATABASE_PROPERTY, "ALTER_DATABASE_PROPERTY"),
    (BinlogType::MODIFY_TABLE_PROPERTY, "MODIFY_TABLE_PROPERTY"),
    (BinlogType::BARRIER, "BARRIER"),
    (BinlogType::MODIFY_PARTITIONS, "MODIFY_PARTITIONS"),
    (BinlogType::REPLACE_PARTITIONS, "REPLACE_PARTITIONS"),
    (BinlogType::TRUNCATE_TABLE, "TRUNCATE_TABLE"),
    (BinlogType::RENAME_TABLE, "RENAME_TABLE"),
    (BinlogType::RENAME_COLUMN, "RENAME_COLUMN"),
    (BinlogType::MODIFY_COMMENT, "MODIFY_COMMENT"),
    (BinlogType::MODIFY_VIEW_DEF, "MODIFY_VIEW_DEF"),
    (BinlogType::REPLACE_TABLE, "REPLACE_TABLE"),
    (BinlogType::MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES, "MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES"),
    (BinlogType::INDEX_CHANGE_JOB, "INDEX_CHANGE_JOB"),
    (BinlogType::RENAME_ROLLUP, "RENAME_ROLLUP"),
    (BinlogType::RENAME_PARTITION, "RENAME_PARTITION"),
    (BinlogType::DROP_ROLLUP, "DROP_ROLLUP"),
    (BinlogType::RECOVER_INFO, "RECOVER_INFO"),
    (BinlogType::MODIFY_DISTRIBUTION_BUCKET_NUM, "MODIFY_DISTRIBUTION_BUCKET_NUM"),
    (BinlogType::MODIFY_DISTRIBUTION_TYPE, "MODIFY_DISTRIBUTION_TYPE"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_are_the_numbers_0_to_26() {
        let numbers: Vec<i32> = BinlogType::known().map(|kind| kind.0).collect();
        assert_eq!(numbers, (0..=26).collect::<Vec<_>>());
    }

    #[test]
    fn an_unknown_number_is_kept() {
        assert_eq!(BinlogType(42).to_string(), "UNKNOWN(42)");
        assert_eq!(BinlogType(42).name(), "UNKNOWN");
        assert_eq!(BinlogType::RENAME_TABLE.to_string(), "RENAME_TABLE");
    }
}
