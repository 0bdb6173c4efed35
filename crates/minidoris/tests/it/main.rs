//! minidoris from outside: every test starts clusters in its process and talks to them over sockets.

#![allow(clippy::unwrap_used)]

mod alter_beside_loads;
mod clients;
mod concurrency;
mod dynamic_partition;
mod harness;
mod held;
mod index_files;
mod kill;
mod load;
mod nodes;
mod persistence;
mod prepared;
mod privileges;
mod program;
mod protocol;
mod random_sql;
mod raw;
mod recycle_bin;
mod replay;
mod replicas;
mod replicate;
mod repositories;
mod rows;
mod rpc_faults;
mod schema;
mod slt;
mod staged;
mod stream_load;
mod stream_load_more;
mod topology;
mod tpch;
mod transactions;
mod transfer;
mod wire;
