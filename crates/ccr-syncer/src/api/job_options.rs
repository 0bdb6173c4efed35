//! The options of a job as fields of requests and answers, and `/update_job`.
//!
//! `/create_ccr` takes all of them. `/update_job` takes those that can change while a job lives; fields that
//! are left out keep their values.

use std::sync::Arc;

use axum::extract::{Request, State};
use ccr_core::job::{
    FullSyncGuard, JobOptions, JobOrdering, MAX_FULL_SYNCS_PER_DAY, MediumPolicy, SpecError,
};
use serde_json::{Value, json};

use super::fields::{FieldResult, Fields};
use super::{Answer, Api, body};

/// Options that a request gives.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    full_sync: Option<FullSyncGuard>,
    full_syncs_per_day: Option<u32>,
    storage_medium: Option<MediumPolicy>,
    ordering: Option<JobOrdering>,
}

impl Change {
    pub(super) fn read(fields: &mut Fields) -> FieldResult<Self> {
        Ok(Self {
            full_sync: fields.string("full_sync")?.as_deref().map(FullSyncGuard::parse).transpose()?,
            full_syncs_per_day: fields.number("full_syncs_per_day", MAX_FULL_SYNCS_PER_DAY)?,
            storage_medium: fields
                .string("storage_medium")?
                .as_deref()
                .map(MediumPolicy::parse)
                .transpose()?,
            ordering: fields.string("ordering")?.as_deref().map(JobOrdering::parse).transpose()?,
        })
    }

    pub(super) fn apply(&self, options: &mut JobOptions) {
        if let Some(full_sync) = self.full_sync {
            options.full_sync = full_sync;
        }
        if let Some(limit) = self.full_syncs_per_day {
            options.full_syncs_per_day = limit;
        }
        if let Some(policy) = self.storage_medium {
            options.storage_medium = policy;
        }
        if let Some(ordering) = self.ordering {
            options.ordering = ordering;
        }
    }
}

/// As shown by `/job_detail`, `/job_status` and `/job_progress`.
pub(super) fn render(options: &JobOptions) -> Value {
    let JobOptions {
        allow_table_exists: _,
        reuse_binlog_label,
        full_sync,
        full_syncs_per_day,
        replication_num,
        storage_medium,
        ordering,
    } = options;
    json!({
        "reuse_binlog_label": reuse_binlog_label,
        "full_sync": full_sync.name(),
        "full_syncs_per_day": full_syncs_per_day,
        "replication_num": replication_num,
        "storage_medium": storage_medium.name(),
        "ordering": ordering.name(),
    })
}

pub(super) async fn update(State(api): State<Arc<Api>>, request: Request) -> Answer {
    let asked = match body::object(request).await {
        Ok(fields) => read(fields).map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    match asked {
        Ok((name, change)) => {
            match api.manager.update_options(&name, move |options| change.apply(options)).await {
                Ok(()) => Answer::success(),
                Err(error) => Answer::failure(error),
            }
        }
        Err(error) => Answer::failure(error),
    }
}

fn read(mut fields: Fields) -> FieldResult<(String, Change)> {
    let name = fields.required("name")?;
    let change = Change::read(&mut fields)?;
    for fixed in
        ["allow_table_exists", "reuse_binlog_label", "replication_num", "cluster_sync", "src", "dest"]
    {
        fields.refuse(fixed, "is fixed for the life of a job")?;
    }
    fields.finish()?;
    if change == Change::default() {
        return Err(SpecError::new("update_job", "must name an option to change"));
    }
    Ok((name, change))
}
