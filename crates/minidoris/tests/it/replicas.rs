//! The replicas of a table `d.t`, and what is asked of their backends.

use doris_thrift::{BackendClient, ClientPool, PoolOptions, TIngestBinlogRequest, TUniqueId};
use minidoris::Cluster;

use crate::harness::bounded;

/// One replica: partition, tablet, index of its backend.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub partition: i64,
    pub tablet: i64,
    pub backend: usize,
}

pub fn places(cluster: &Cluster) -> Vec<Place> {
    let state = cluster.inner().fe.lock();
    let table = state.database_named("d").unwrap().table_named("t").unwrap().as_olap().unwrap();
    let mut places = Vec::new();
    for partition in table.partitions.values() {
        for tablet in partition.tablets() {
            let id = tablet.replicas[0].backend_id;
            let backend = (0..cluster.backend_count()).find(|at| cluster.be(*at).id == id).unwrap();
            places.push(Place { partition: partition.id, tablet: tablet.id, backend });
        }
    }
    places
}

pub fn client(cluster: &Cluster, backend: usize) -> BackendClient {
    let node = cluster.be(backend);
    ClientPool::new(PoolOptions::default()).backend(&format!("{}:{}", node.host, node.be_port))
}

pub fn request(up: &Cluster, from: Place, to: Place, version: i64, txn_id: i64) -> TIngestBinlogRequest {
    let source = up.be(from.backend);
    TIngestBinlogRequest {
        txn_id: Some(txn_id),
        remote_tablet_id: Some(from.tablet),
        binlog_version: Some(version),
        remote_host: Some(source.host),
        remote_port: Some(source.http_port.to_string()),
        partition_id: Some(to.partition),
        local_tablet_id: Some(to.tablet),
        load_id: Some(TUniqueId::new(-1, -1)),
    }
}

pub async fn get(cluster: &Cluster, backend: usize, path: &str) -> (u16, String) {
    let node = cluster.be(backend);
    let url = format!("http://{}:{}{path}", node.host, node.http_port);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = bounded(client.get(url).send()).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}
