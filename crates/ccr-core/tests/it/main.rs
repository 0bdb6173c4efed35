//! The engine over two clusters and a store in memory, on virtual time; see [`world`].

mod aside;
mod blocked;
mod cost;
mod crash_matrix;
mod error_pages;
mod failpoints;
mod full_sync;
mod gaps;
mod guard;
mod lanes;
mod options;
mod ordering;
mod partitions;
mod pauses;
mod quarantine;
mod random;
mod recover;
mod replay;
mod replicas;
mod restored;
mod run;
mod scenario;
mod statements;
mod support_matrix;
mod transactions;
mod world;
