//! Work that a cluster does on its own: steps of backup and restore jobs, transaction timeouts, binlog gc.
