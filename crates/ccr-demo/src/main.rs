//! Two emulated clusters, the syncer and TPC-H data.

fn main() {}
