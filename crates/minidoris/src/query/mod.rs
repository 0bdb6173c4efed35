//! DML and queries.
