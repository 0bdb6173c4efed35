//! Parser of the DDL dialect.
