//! Partitions and tablets made by DDL and by restore.
