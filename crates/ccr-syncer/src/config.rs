//! What the process runs with, made from the flags.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use ccr_core::runner::EngineOptions;
use doris_client::ClientOptions;

use crate::api::Settings;
use crate::flags::{DbType, Flags};

/// Checks of a creation ask every backend and every table of a database.
/// MySQL connections to a frontend when the flag sets no limit.
const MOST_CONNECTIONS: usize = 1000;
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub struct Config {
    /// Listened on; with the port, this node's identity.
    pub host: String,
    /// 0 picks a free one.
    pub port: u16,
    pub database: PathBuf,
    pub engine: EngineOptions,
    pub client: ClientOptions,
    pub check_timeout: Duration,
    pub api: Settings,
    /// Failpoints set from the start, with their values.
    pub failpoints: Vec<(String, String)>,
}

impl Config {
    /// Fails on what this build cannot do.
    pub fn from_flags(flags: &Flags) -> anyhow::Result<Self> {
        match flags.db_type {
            DbType::Sqlite3 => {}
            DbType::Mysql => bail!("db_type mysql: this build supports sqlite3 only"),
            DbType::Postgresql => bail!("db_type postgresql: this build supports sqlite3 only"),
        }
        if !flags.failpoints.is_empty() && !flags.enable_failpoints {
            bail!("failpoints: need enable_failpoints");
        }
        for (flag, value) in [
            ("connect_timeout", flags.connect_timeout),
            ("rpc_timeout", flags.rpc_timeout),
            ("commit_txn_timeout", flags.commit_txn_timeout),
        ] {
            if value.is_zero() {
                bail!("{flag}: must be greater than 0");
            }
        }
        let max_packet = usize::try_from(flags.mysql_max_allowed_packet).unwrap_or(usize::MAX);
        let client = ClientOptions {
            connect_timeout: flags.connect_timeout,
            rpc_timeout: flags.rpc_timeout,
            commit_timeout: flags.commit_txn_timeout,
            ingests_per_backend: flags.max_ingest_concurrency_per_backend as usize,
            max_allowed_packet: max_packet,
            max_sql_connections: match flags.fe_max_open_conns {
                0 => MOST_CONNECTIONS,
                connections => connections as usize,
            },
            compress_restore: flags.features.get("feature_compressed_snapshot"),
            ..ClientOptions::default()
        };
        let engine = EngineOptions {
            binlog_batch_size: flags.binlog_batch_size,
            max_transactions_in_flight: flags.max_pipeline_ingesting_num as usize,
            max_copies: flags.max_table_copies as usize,
            quarantine_after: flags.quarantine_after,
            atomic_restore: flags.features.get("feature_atomic_restore"),
            force_replace: flags.features.get("feature_restore_replace_diff_schema"),
            clean_tables: flags.features.get("feature_clean_table_and_partitions"),
            follow_storage_medium: !flags.features.get("feature_filter_storage_medium"),
            ..EngineOptions::default()
        };
        Ok(Self {
            host: flags.host.clone(),
            port: flags.port,
            database: flags.db_dir.clone(),
            engine,
            client,
            check_timeout: CHECK_TIMEOUT,
            api: Settings { features: flags.features.clone(), failpoints: flags.enable_failpoints },
            failpoints: flags.failpoints.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_steer() {
        let arguments = [
            "-port=1",
            "-binlog_batch_size=7",
            "-max_pipeline_ingesting_num=3",
            "-max_ingest_concurrency_per_backend=5",
            "-max_table_copies=2",
            "-quarantine_after=7s",
            "-rpc_timeout=4s",
            "-commit_txn_timeout=6s",
            "-connect_timeout=2s",
            "-feature_atomic_restore=false",
            "-feature_clean_table_and_partitions",
            "-feature_filter_storage_medium=false",
        ];
        let config = Config::from_flags(&Flags::parse_from_args(arguments).unwrap()).unwrap();
        assert_eq!((config.engine.binlog_batch_size, config.engine.max_transactions_in_flight), (7, 3));
        assert_eq!((config.engine.max_copies, config.engine.quarantine_after.as_secs()), (2, 7));
        assert!(!config.engine.atomic_restore && config.engine.clean_tables && config.engine.force_replace);
        assert!(config.engine.follow_storage_medium);
        let default = Config::from_flags(&Flags::parse_from_args(["-port=1"]).unwrap()).unwrap();
        assert!(!default.engine.follow_storage_medium);
        assert_eq!(config.client.ingests_per_backend, 5);
        let timeouts =
            [config.client.connect_timeout, config.client.rpc_timeout, config.client.commit_timeout];
        assert_eq!(timeouts.map(|timeout| timeout.as_secs()), [2, 4, 6]);
    }

    #[test]
    fn failpoints_need_to_be_enabled() {
        let config = |arguments: &[&str]| {
            Config::from_flags(&Flags::parse_from_args(arguments.iter().copied()).unwrap())
        };
        let error = config(&["-failpoints=ingest:after=fail"]).unwrap_err().to_string();
        assert!(error.contains("enable_failpoints"), "{error}");
        let set = config(&["-failpoints=ingest:after=fail", "-enable_failpoints"]).unwrap().failpoints;
        assert_eq!(set, [("ingest:after".to_owned(), "fail".to_owned())]);
    }

    #[test]
    fn a_time_limit_of_zero_is_refused_and_connections_without_limit_have_ours() {
        for name in ["connect_timeout", "rpc_timeout", "commit_txn_timeout"] {
            let flags = Flags::parse_from_args([format!("-{name}=0")]).unwrap();
            let error = Config::from_flags(&flags).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("greater than 0"), "{error}");
        }
        let flags = Flags::parse_from_args(["-fe_max_open_conns=0".to_owned()]).unwrap();
        assert_eq!(Config::from_flags(&flags).unwrap().client.max_sql_connections, MOST_CONNECTIONS);
    }

    #[test]
    fn other_databases_are_refused_by_name() {
        for name in ["mysql", "postgresql"] {
            let flags = Flags::parse_from_args([format!("-db_type={name}")]).unwrap();
            let error = Config::from_flags(&flags).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("sqlite3"), "{error}");
        }
    }
}
