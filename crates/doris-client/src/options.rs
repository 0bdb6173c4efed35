//! Timeouts and bounds, for all clusters of the process.

use std::time::Duration;

#[derive(Debug, Clone)]
pub struct ClientOptions {
    pub connect_timeout: Duration,
    /// A thrift call to a frontend, and a statement that reads.
    pub rpc_timeout: Duration,
    /// `commitTxn`. The FE waits for the publish for half of it.
    pub commit_timeout: Duration,
    /// A statement that changes something (creating a table with many tablets takes long), and the transfer of
    /// a snapshot in either direction.
    pub statement_timeout: Duration,
    /// `ingest_binlog`, which lasts as long as the download when the backend works synchronously. A
    /// repeated ingest starts the download again, so it must suffice for the largest rowset.
    pub ingest_timeout: Duration,
    /// Longest wait for one of the ingest places of a backend.
    pub ingest_queue_timeout: Duration,
    pub ingests_per_backend: usize,
    /// Largest thrift answer, in bytes. A frontend limits what it reads, not what it sends, and snapshots
    /// are large.
    pub max_message_size: usize,
    /// Largest part (metadata or job info) of a snapshot after decompression, in bytes.
    pub max_snapshot_size: usize,
    /// Largest packet of the MySQL protocol, in bytes.
    pub max_allowed_packet: usize,
    /// Largest result of a query, in bytes of values.
    pub max_result_size: usize,
    pub max_connections_per_peer: usize,
    pub max_idle_per_peer: usize,
    /// MySQL connections per frontend and cluster.
    pub max_sql_connections: usize,
    /// Send snapshots compressed when the frontend allows it.
    pub compress_restore: bool,
    /// The list of frontends is read again when it is older.
    pub frontends_max_age: Duration,
    /// Least time between two readings of the list, however often calls fail.
    pub frontends_min_age: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            rpc_timeout: Duration::from_secs(30),
            commit_timeout: Duration::from_secs(33),
            statement_timeout: Duration::from_secs(120),
            ingest_timeout: Duration::from_secs(600),
            ingest_queue_timeout: Duration::from_secs(600),
            ingests_per_backend: 48,
            max_message_size: 512 << 20,
            max_snapshot_size: 1 << 30,
            max_allowed_packet: 64 << 20,
            max_result_size: 256 << 20,
            max_connections_per_peer: 128,
            max_idle_per_peer: 64,
            max_sql_connections: 16,
            compress_restore: true,
            frontends_max_age: Duration::from_secs(60),
            frontends_min_age: Duration::from_millis(500),
        }
    }
}
