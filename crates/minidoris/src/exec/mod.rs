//! DDL execution.
