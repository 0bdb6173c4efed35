//! What the operator asked for. Immutable after creation, but for the host mappings.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Longest job name: the metadata tables of the original hold 512 characters.
pub const MAX_NAME_LENGTH: usize = 512;

/// The most that `full_syncs_per_day` may be.
pub const MAX_FULL_SYNCS_PER_DAY: u32 = 1000;

/// The most replicas that Doris allows.
pub const MAX_REPLICATION_NUM: u32 = 32767;

/// A job as requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    pub name: String,
    pub src: ClusterSpec,
    pub dest: ClusterSpec,
    #[serde(default)]
    pub options: JobOptions,
}

/// One side of a job.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSpec {
    pub host: String,
    /// MySQL protocol.
    pub port: u16,
    pub thrift_port: u16,
    pub user: String,
    pub password: String,
    pub database: String,
    /// Empty for a database job.
    #[serde(default)]
    pub table: String,
    /// Frontends the caller named besides `host`; others are discovered.
    #[serde(default)]
    pub frontends: Vec<FrontendSpec>,
    /// Private to public address.
    #[serde(default)]
    pub host_mapping: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrontendSpec {
    pub host: String,
    pub port: u16,
    pub thrift_port: u16,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOptions {
    /// Table jobs: the target table may exist before the job.
    #[serde(default)]
    pub allow_table_exists: bool,
    /// Downstream transactions carry the upstream label.
    #[serde(default)]
    pub reuse_binlog_label: bool,
    /// What happens when the job finds that everything must be copied again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub full_sync: FullSyncGuard,
    /// How many full syncs the job may start by itself within 24 hours; 0 for any number.
    #[serde(default, skip_serializing_if = "is_default")]
    pub full_syncs_per_day: u32,
    /// In which order changes are applied.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ordering: JobOrdering,
    /// Replicas of each tablet downstream; 0 for as many as upstream. Fixed for the life of the job.
    #[serde(default, skip_serializing_if = "is_default")]
    pub replication_num: u32,
    /// Where tables and partitions of the target live.
    #[serde(default, skip_serializing_if = "is_default")]
    pub storage_medium: MediumPolicy,
}

/// What decides whether a table or a partition of the target lives on HDD or SSD.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediumPolicy {
    /// The process: [`crate::runner::EngineOptions::follow_storage_medium`].
    #[default]
    Default,
    /// The upstream: statements and changes of media are followed.
    Upstream,
    /// The target: it places what the job creates as its own settings say.
    Target,
}

/// Whether a job starts a full sync by itself; see [`super::holds`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FullSyncGuard {
    /// It does, and says why.
    #[default]
    Auto,
    /// It waits for an operator.
    Ask,
}

/// In which order a job applies what happens upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobOrdering {
    /// As upstream: the target is the source as it was at some moment.
    #[default]
    Source,
    /// Each table's changes in their order, independently of those of other tables.
    Table,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyncType {
    Database,
    Table,
}

/// A field of a request that cannot be used, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
pub struct SpecError {
    pub field: String,
    pub problem: String,
}

impl SpecError {
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

impl FullSyncGuard {
    /// By its name in requests.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn parse(name: &str) -> Result<Self, SpecError> {
        match name {
            "auto" => Ok(FullSyncGuard::Auto),
            "ask" => Ok(FullSyncGuard::Ask),
            other => Err(SpecError::new("full_sync", format!("must be auto or ask, not {other:?}"))),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            FullSyncGuard::Auto => "auto",
            FullSyncGuard::Ask => "ask",
        }
    }
}

impl JobOrdering {
    /// By its name in requests.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn parse(name: &str) -> Result<Self, SpecError> {
        match name {
            "source" => Ok(JobOrdering::Source),
            "table" => Ok(JobOrdering::Table),
            other => Err(SpecError::new("ordering", format!("must be source or table, not {other:?}"))),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            JobOrdering::Source => "source",
            JobOrdering::Table => "table",
        }
    }
}

impl MediumPolicy {
    /// By its name in requests.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn parse(name: &str) -> Result<Self, SpecError> {
        match name {
            "default" => Ok(MediumPolicy::Default),
            "upstream" => Ok(MediumPolicy::Upstream),
            "target" => Ok(MediumPolicy::Target),
            other => {
                let problem = format!("must be default, upstream or target, not {other:?}");
                Err(SpecError::new("storage_medium", problem))
            }
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            MediumPolicy::Default => "default",
            MediumPolicy::Upstream => "upstream",
            MediumPolicy::Target => "target",
        }
    }

    /// The policy where the process follows the upstream or not.
    pub fn or_default(self, follow: bool) -> Self {
        match (self, follow) {
            (MediumPolicy::Default, true) => MediumPolicy::Upstream,
            (MediumPolicy::Default, false) => MediumPolicy::Target,
            (MediumPolicy::Upstream | MediumPolicy::Target, _) => self,
        }
    }
}

impl JobOptions {
    /// Whether the target's media follow the upstream; `Default` has been resolved when a job runs.
    pub fn follows_media(&self) -> bool {
        self.storage_medium == MediumPolicy::Upstream
    }

    fn validate(&self) -> Result<(), SpecError> {
        if self.full_syncs_per_day > MAX_FULL_SYNCS_PER_DAY {
            let problem = format!("must be from 0 to {MAX_FULL_SYNCS_PER_DAY}");
            return Err(SpecError::new("full_syncs_per_day", problem));
        }
        if self.replication_num > MAX_REPLICATION_NUM {
            let problem = format!("must be from 0 to {MAX_REPLICATION_NUM}");
            return Err(SpecError::new("replication_num", problem));
        }
        Ok(())
    }
}

impl JobSpec {
    pub fn sync_type(&self) -> SyncType {
        if self.src.table.is_empty() { SyncType::Database } else { SyncType::Table }
    }

    /// Checks everything that can be checked without asking a cluster.
    pub fn validate(&self) -> Result<(), SpecError> {
        if self.name.is_empty() {
            return Err(SpecError::new("name", "must not be empty"));
        }
        if self.name.chars().count() > MAX_NAME_LENGTH {
            return Err(SpecError::new("name", format!("must have at most {MAX_NAME_LENGTH} characters")));
        }
        if self.name.chars().any(char::is_control) {
            return Err(SpecError::new("name", "must not hold control characters"));
        }
        self.src.validate("src")?;
        self.dest.validate("dest")?;
        self.options.validate()?;
        if self.src.table.is_empty() != self.dest.table.is_empty() {
            let (missing, given) = if self.src.table.is_empty() { ("src", "dest") } else { ("dest", "src") };
            return Err(SpecError::new(
                format!("{missing}.table"),
                format!(
                    "must be set because {given}.table is set; give both for a table job or none for a \
                     database job"
                ),
            ));
        }
        if self.src.host == self.dest.host
            && self.src.port == self.dest.port
            && self.src.database == self.dest.database
            && self.src.table == self.dest.table
        {
            return Err(SpecError::new("dest", "is the same database and table as src"));
        }
        Ok(())
    }

    /// A short id that is the same for the same name and sides, and differs from that of an earlier job
    /// of the same name because the creation time is part of it. Part of every label.
    pub fn job_id(&self, created_at_ms: i64) -> String {
        let mut hasher = Sha256::new();
        for part in [&self.name, &self.src.identity(), &self.dest.identity(), &created_at_ms.to_string()] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl ClusterSpec {
    fn validate(&self, side: &str) -> Result<(), SpecError> {
        let required = [("host", &self.host), ("user", &self.user), ("database", &self.database)];
        for (field, value) in required {
            if value.is_empty() {
                return Err(SpecError::new(format!("{side}.{field}"), "must not be empty"));
            }
        }
        for (field, port) in [("port", self.port), ("thrift_port", self.thrift_port)] {
            if port == 0 {
                return Err(SpecError::new(format!("{side}.{field}"), "must be a port from 1 to 65535"));
            }
        }
        Ok(())
    }

    fn identity(&self) -> String {
        format!("{}:{}:{}/{}/{}", self.host, self.port, self.thrift_port, self.database, self.table)
    }
}

impl fmt::Debug for ClusterSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterSpec")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("thrift_port", &self.thrift_port)
            .field("user", &self.user)
            .field("database", &self.database)
            .field("table", &self.table)
            .field("host_mapping", &self.host_mapping)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(host: &str, table: &str) -> ClusterSpec {
        ClusterSpec {
            host: host.to_owned(),
            port: 9030,
            thrift_port: 9020,
            user: "root".to_owned(),
            password: "secret-word".to_owned(),
            database: "d1".to_owned(),
            table: table.to_owned(),
            frontends: Vec::new(),
            host_mapping: BTreeMap::new(),
        }
    }

    fn job(src_table: &str, dest_table: &str) -> JobSpec {
        JobSpec {
            name: "j".to_owned(),
            src: side("a", src_table),
            dest: side("b", dest_table),
            options: JobOptions::default(),
        }
    }

    #[test]
    fn names_the_field_that_is_wrong() {
        let cases: Vec<(&str, JobSpec)> = vec![
            ("name", JobSpec { name: String::new(), ..job("", "") }),
            ("src.host", JobSpec { src: side("", ""), ..job("", "") }),
            ("dest.port", JobSpec { dest: ClusterSpec { port: 0, ..side("b", "") }, ..job("", "") }),
            (
                "src.user",
                JobSpec { src: ClusterSpec { user: String::new(), ..side("a", "") }, ..job("", "") },
            ),
            ("dest.table", job("t", "")),
            ("src.table", job("", "t")),
            ("dest", JobSpec { dest: side("a", ""), ..job("", "") }),
        ];
        for (field, spec) in cases {
            assert_eq!(spec.validate().expect_err("must be refused").field, field);
        }
        assert_eq!(job("", "").validate(), Ok(()));
        assert_eq!(job("t", "t2").validate(), Ok(()));
    }

    #[test]
    fn id_depends_on_creation_time_and_sides() {
        assert_eq!(job("", "").job_id(1), job("", "").job_id(1));
        assert_ne!(job("", "").job_id(1), job("", "").job_id(2));
        assert_ne!(job("", "").job_id(1), job("t", "t").job_id(1));
    }

    #[test]
    fn debug_hides_the_password() {
        assert!(!format!("{:?}", job("", "")).contains("secret-word"));
    }
}
