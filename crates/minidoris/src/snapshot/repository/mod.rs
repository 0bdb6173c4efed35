//! Repositories: named places outside the cluster that backups are uploaded to and restores read from.
//!
//! What kind of storage a repository names makes no difference here: [`storage`] keeps the contents of every
//! location for all clusters of the process, so that a snapshot written by one cluster can be restored in
//! another that names the same location, as with a real object store.

mod disk;
pub(crate) mod storage;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

pub(crate) use disk::{load, save};
pub(crate) use storage::{StoredFile, StoredPlace, StoredSnapshot};

use super::LOCAL_REPOSITORY;
use super::job::Job;
use crate::error::{SqlError, SqlResult};
use crate::sql::{CreateRepository, Properties, RepositoryKind, RepositoryStatement};
use crate::state::FeState;

/// A repository as SHOW REPOSITORIES describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    pub id: i64,
    pub kind: RepositoryKind,
    pub is_read_only: bool,
    pub location: String,
    /// Endpoints and credentials, in the order given. Never shown, but for SHOW CREATE REPOSITORY.
    #[serde(with = "crate::model::ordered")]
    pub properties: IndexMap<String, String>,
    /// Milliseconds since the epoch.
    pub create_time: i64,
}

/// Repositories by name.
pub type Repositories = BTreeMap<String, Repository>;

/// CREATE, ALTER and DROP REPOSITORY.
pub fn run(state: &mut FeState, statement: &RepositoryStatement, now_ms: i64) -> SqlResult<()> {
    match statement {
        RepositoryStatement::Create(create) => self::create(state, create, now_ms)?,
        RepositoryStatement::Alter { name, properties } => alter(state, name, properties)?,
        RepositoryStatement::Drop { name } => drop(state, name)?,
    }
    state.journal();
    Ok(())
}

fn create(state: &mut FeState, create: &CreateRepository, now_ms: i64) -> SqlResult<()> {
    let is_name = create.name.starts_with(|first: char| first.is_ascii_alphabetic())
        && create.name.len() <= 256
        && create.name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    if !is_name {
        return Err(SqlError::general(format!(
            "Incorrect repository name '{}'. repository name regex is '^[a-zA-Z][a-zA-Z0-9-_]{{0,255}}$'",
            create.name
        )));
    }
    if state.snapshots.repositories.contains_key(&create.name) {
        return Err(SqlError::general(format!(
            "Failed to create repository: repository with same name already exist: {}",
            create.name
        )));
    }
    let repository = Repository {
        id: state.ids.allocate(),
        kind: create.kind.clone(),
        is_read_only: create.is_read_only,
        location: create.location.trim_end_matches('/').to_owned(),
        properties: create.properties.clone(),
        create_time: now_ms,
    };
    state.snapshots.repositories.insert(create.name.clone(), repository);
    Ok(())
}

/// Only an S3 repository has properties that can change.
fn alter(state: &mut FeState, name: &str, properties: &Properties) -> SqlResult<()> {
    let Some(repository) = state.snapshots.repositories.get_mut(name) else {
        return Err(SqlError::common("Repository does not exist"));
    };
    if repository.kind != RepositoryKind::S3 {
        return Err(SqlError::general(
            "Failed to alter repository: Only support alter s3 repository's properties",
        ));
    }
    repository.properties.extend(properties.clone());
    Ok(())
}

/// What was stored there stays, as it does when Doris forgets a bucket.
fn drop(state: &mut FeState, name: &str) -> SqlResult<()> {
    if !state.snapshots.repositories.contains_key(name) {
        return Err(SqlError::common("Repository does not exist"));
    }
    let mut jobs = state.snapshots.databases.values().flatten();
    if jobs.any(|job: &Job| !job.is_done() && job.repository().is_some_and(|place| place.repository == name))
    {
        return Err(SqlError::common("Current job is running on this repository. Can not drop it"));
    }
    state.snapshots.repositories.remove(name);
    Ok(())
}

/// The repository of a BACKUP or RESTORE statement; `None` is the one that keeps everything on the backends.
pub(super) fn named<'a>(state: &'a FeState, name: &str) -> SqlResult<Option<&'a Repository>> {
    if name == LOCAL_REPOSITORY {
        return Ok(None);
    }
    let found = state.snapshots.repositories.get(name);
    found.map(Some).ok_or_else(|| SqlError::common(format!("Repository {name} does not exist")))
}
