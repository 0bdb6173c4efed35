//! Scripted frontends and backends.

mod fe;
mod mysql;

pub use fe::{Fe, Role};
pub use mysql::Sql;

use std::sync::Arc;
use std::time::Duration;

use doris_client::{ClientOptions, Clients, ClusterConfig, DorisCluster, Seed};
use doris_types::meta::Frontend;

/// Ends broken tests; never decides one.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn options() -> ClientOptions {
    // The list of frontends may be read again at once, so that tests need not wait.
    ClientOptions { frontends_min_age: Duration::ZERO, ..ClientOptions::default() }
}

pub fn seed(fe: &Fe) -> Seed {
    Seed { host: "127.0.0.1".into(), query_port: fe.query_port, rpc_port: fe.rpc_port }
}

/// An entry of `frontends()`.
pub fn listed(fe: &Fe, is_master: bool) -> Frontend {
    Frontend {
        host: "127.0.0.1".into(),
        query_port: fe.query_port,
        rpc_port: fe.rpc_port,
        is_master,
        version: String::new(),
    }
}

pub fn config(seeds: &[&Fe]) -> ClusterConfig {
    ClusterConfig {
        seeds: seeds.iter().map(|fe| seed(fe)).collect(),
        user: "root".into(),
        password: "s3cret".into(),
        host_mapping: [].into(),
    }
}

pub fn cluster(seeds: &[&Fe]) -> DorisCluster {
    Clients::new(options()).cluster(config(seeds))
}

pub fn cluster_with(options: ClientOptions, seeds: &[&Fe]) -> (Arc<Clients>, DorisCluster) {
    let clients = Clients::new(options);
    let cluster = clients.cluster(config(seeds));
    (clients, cluster)
}
