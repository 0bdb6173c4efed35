//! Rows to values and back. What cannot be read concerns one job only, and the error says which.

use ccr_core::job::{ClusterSpec, DesiredState, JobOptions, JobRecord, JobSpec, JobState, STATE_VERSION};
use ccr_core::store::{StoreError, StoreResult};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Version of the JSON of the `src`, `dest` and `options` columns.
pub(crate) const SPEC_VERSION: i64 = 1;

/// A row of `ccr_jobs`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct JobRow {
    pub id: String,
    pub name: String,
    pub spec_version: i64,
    pub src: String,
    pub dest: String,
    pub options: String,
    pub desired: String,
    pub created_at_ms: i64,
}

impl JobRow {
    pub(crate) fn encode(job: &JobRecord) -> StoreResult<Self> {
        Ok(Self {
            id: job.id.clone(),
            name: job.spec.name.clone(),
            spec_version: SPEC_VERSION,
            src: encode_cluster("source cluster", &job.id, &job.spec.src)?,
            dest: encode_cluster("target cluster", &job.id, &job.spec.dest)?,
            options: encode_options(&job.id, &job.spec.options)?,
            desired: desired_name(job.desired).to_owned(),
            created_at_ms: job.created_at_ms,
        })
    }

    pub(crate) fn decode(&self) -> StoreResult<JobRecord> {
        if self.spec_version > SPEC_VERSION {
            return Err(corrupt("specification", &self.id, newer(self.spec_version, SPEC_VERSION)));
        }
        let src: ClusterSpec = decode("source cluster", &self.id, &self.src)?;
        let dest: ClusterSpec = decode("target cluster", &self.id, &self.dest)?;
        let options: JobOptions = decode("options", &self.id, &self.options)?;
        let desired = match self.desired.as_str() {
            "running" => DesiredState::Running,
            "paused" => DesiredState::Paused,
            other => {
                return Err(corrupt("desired state", &self.id, format!("unknown value {other:?}")));
            }
        };
        Ok(JobRecord {
            id: self.id.clone(),
            spec: JobSpec { name: self.name.clone(), src, dest, options },
            desired,
            created_at_ms: self.created_at_ms,
        })
    }
}

pub(crate) fn desired_name(desired: DesiredState) -> &'static str {
    match desired {
        DesiredState::Running => "running",
        DesiredState::Paused => "paused",
    }
}

pub(crate) fn encode_state(job_id: &str, state: &JobState) -> StoreResult<String> {
    encode("state", job_id, state)
}

pub(crate) fn decode_state(job_id: &str, text: &str) -> StoreResult<JobState> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    // The version first: what a newer syncer wrote may not even have the shape that we expect.
    let Versioned { version } = decode("state", job_id, text)?;
    if version > STATE_VERSION {
        return Err(corrupt("state", job_id, newer(version.into(), STATE_VERSION.into())));
    }
    decode("state", job_id, text)
}

pub(crate) fn encode_cluster(what: &'static str, job_id: &str, cluster: &ClusterSpec) -> StoreResult<String> {
    encode(what, job_id, cluster)
}

pub(crate) fn encode_options(job_id: &str, options: &JobOptions) -> StoreResult<String> {
    encode("options", job_id, options)
}

/// Epochs are stored as signed integers, which every database has.
pub(crate) fn encode_epoch(epoch: u64) -> i64 {
    // An epoch beyond i64 was never handed out, so it must not match any stored one.
    i64::try_from(epoch).unwrap_or(-1)
}

pub(crate) fn decode_epoch(job_id: &str, epoch: i64) -> StoreResult<u64> {
    u64::try_from(epoch).map_err(|_| corrupt("lease", job_id, format!("epoch {epoch} is negative")))
}

pub(crate) fn corrupt(what: &'static str, job_id: &str, detail: impl ToString) -> StoreError {
    StoreError::Corrupt { what, job_id: job_id.to_owned(), detail: detail.to_string() }
}

fn newer(found: i64, known: i64) -> String {
    format!("it has version {found}, written by a newer syncer; this one knows up to {known}")
}

fn encode(what: &'static str, job_id: &str, value: &impl Serialize) -> StoreResult<String> {
    serde_json::to_string(value).map_err(|error| corrupt(what, job_id, error))
}

fn decode<T: DeserializeOwned>(what: &'static str, job_id: &str, text: &str) -> StoreResult<T> {
    // serde_json quotes a value of the wrong type in its message, and such a value could be a password.
    serde_json::from_str(text).map_err(|error| {
        let detail =
            format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column());
        corrupt(what, job_id, detail)
    })
}
