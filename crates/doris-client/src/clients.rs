//! What all clusters of a process share.

use std::collections::HashMap;
use std::sync::Arc;

use doris_thrift::{ClientPool, PoolOptions};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::cluster::{ClusterConfig, DorisCluster};
use crate::options::ClientOptions;

/// Connection pools and limits per backend; made once per process.
#[derive(Debug)]
pub struct Clients {
    pub(crate) options: Arc<ClientOptions>,
    pub(crate) thrift: ClientPool,
    pub(crate) http: reqwest::Client,
    /// Ingest places per backend address.
    ingests: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Clients {
    pub fn new(options: ClientOptions) -> Arc<Self> {
        let thrift = ClientPool::new(PoolOptions {
            connect_timeout: options.connect_timeout,
            rpc_timeout: options.rpc_timeout,
            max_message_size: options.max_message_size,
            max_idle_per_peer: options.max_idle_per_peer,
            max_connections_per_peer: options.max_connections_per_peer,
        });
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(options.connect_timeout)
            .timeout(options.rpc_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client without TLS and with constant options can be built");
        Arc::new(Self { options: Arc::new(options), thrift, http, ingests: Mutex::default() })
    }

    /// A cluster with one account. Connects on the first call.
    pub fn cluster(self: &Arc<Self>, config: ClusterConfig) -> DorisCluster {
        DorisCluster::new(Arc::clone(self), config)
    }

    pub(crate) fn ingest_places(&self, backend: &str) -> Arc<Semaphore> {
        let mut ingests = self.ingests.lock();
        if let Some(places) = ingests.get(backend) {
            return Arc::clone(places);
        }
        let places = Arc::new(Semaphore::new(self.options.ingests_per_backend));
        ingests.insert(backend.to_owned(), Arc::clone(&places));
        places
    }
}
