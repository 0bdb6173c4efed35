//! Frontend settings: those that matter for replication, with Doris's defaults and kinds.
//!
//! Any other name can be set, too; it then shows as a text. Only the settings that this crate asks for have an
//! effect: the binlog feature, compressed restores, temporary partitions in backups, the limits of
//! transactions and backups, how long what was dropped can be recovered, the ids of restored indexes, what
//! becomes of emptied backends, debug points.

use indexmap::IndexMap;

/// What is known of a setting besides its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    pub name: &'static str,
    pub default: &'static str,
    /// The Java type that SHOW FRONTEND CONFIG prints.
    pub kind: &'static str,
    pub mutable: bool,
    pub master_only: bool,
}

const fn setting(
    name: &'static str,
    default: &'static str,
    kind: &'static str,
    mutable: bool,
    master_only: bool,
) -> Described {
    Described { name, default, kind, mutable, master_only }
}

const KNOWN: [Described; 40] = [
    setting("allow_replica_on_same_host", "false", "boolean", false, false),
    setting("arrow_flight_sql_port", "8070", "int", false, false),
    setting("backup_handler_update_interval_millis", "3000", "long", false, false),
    setting("backup_job_default_timeout_ms", "86400000", "int", true, true),
    setting("catalog_trash_expire_second", "86400", "long", true, true),
    setting("catalog_trash_ignore_min_erase_latency", "false", "boolean", true, true),
    setting("drop_backend_after_decommission", "true", "boolean", true, true),
    setting("dynamic_partition_check_interval_seconds", "600", "long", true, true),
    setting("dynamic_partition_enable", "true", "boolean", true, true),
    setting("edit_log_port", "9010", "int", false, false),
    // On in Doris. Here every process shares one address, so that a client of the frontend would always look
    // like a process beside the backend that went down.
    setting("enable_abort_txn_by_checking_coordinator_be", "false", "boolean", true, true),
    setting("enable_debug_points", "false", "boolean", false, false),
    setting("enable_feature_binlog", "false", "boolean", false, false),
    setting("enable_fqdn_mode", "false", "boolean", false, false),
    setting("enable_restore_snapshot_rpc_compression", "true", "boolean", true, true),
    setting("force_do_metadata_checkpoint", "false", "boolean", true, true),
    setting("http_port", "8030", "int", false, false),
    setting("ignore_backup_not_support_table_type", "false", "boolean", true, true),
    setting("ignore_backup_tmp_partitions", "false", "boolean", true, true),
    setting("label_keep_max_second", "259200", "int", true, true),
    setting("max_agent_task_threads_num", "4096", "int", false, true),
    setting("max_backup_restore_job_num_per_db", "10", "int", true, false),
    setting("max_backup_tablets_per_job", "300000", "int", true, true),
    setting("max_publishing_txn_num_per_table", "500", "long", true, true),
    setting("max_running_txn_num_per_db", "10000", "int", true, true),
    setting("query_port", "9030", "int", false, false),
    setting("qe_max_connection", "1024", "int", false, false),
    setting("restore_reset_index_id", "false", "boolean", true, true),
    setting("rpc_port", "9020", "int", false, false),
    setting("schedule_slot_num_per_hdd_path", "4", "int", true, true),
    setting("stream_load_default_timeout_second", "259200", "int", true, true),
    setting("streaming_label_keep_max_second", "43200", "int", true, true),
    setting("thrift_backlog_num", "1024", "int", false, false),
    setting("thrift_client_timeout_ms", "0", "int", false, false),
    setting("thrift_max_message_size", "104857600", "int", false, false),
    setting("thrift_server_max_worker_threads", "4096", "int", false, false),
    setting("thrift_server_type", "THREAD_POOL", "String", false, false),
    setting("tablet_create_timeout_second", "2", "int", true, true),
    setting("try_commit_lock_timeout_seconds", "5", "int", true, true),
    setting("version_prefix", "doris", "String", false, false),
];

/// Every known setting at its default.
pub fn defaults() -> IndexMap<String, String> {
    KNOWN.iter().map(|known| (known.name.to_owned(), known.default.to_owned())).collect()
}

/// What is known of a setting of that name.
pub fn describe(name: &str) -> Option<Described> {
    KNOWN.iter().copied().find(|known| known.name == name)
}
