//! `/create_ccr`.
//!
//! A body that is no JSON object is answered with status 400 and a plain text, as in the original; every
//! other refusal with status 200 and `success: false`. Fields of the original that steer nothing here are
//! accepted: `is_master`, `cluster`, `db_id`, `table_id`, `skip_error`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ccr_core::job::{ClusterSpec, FrontendSpec, JobOptions, JobSpec, MAX_REPLICATION_NUM};
use serde_json::json;

use super::fields::{FieldResult, Fields};
use super::{Answer, Api, body, job_options};
use crate::manager::ManagerError;

pub(super) async fn handle(State(api): State<Arc<Api>>, request: Request) -> Response {
    let fields = match body::object(request).await {
        Ok(fields) => fields,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let answer = match read(fields) {
        Ok((spec, Extent::Job)) => create(&api, spec).await,
        Ok((spec, Extent::Cluster)) => create_cluster(&api, spec).await,
        Err(error) => Answer::failure(error),
    };
    answer.into_response()
}

/// What is to be replicated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// A database or a table.
    Job,
    /// All databases.
    Cluster,
}

async fn create_cluster(api: &Api, template: JobSpec) -> Answer {
    match api.manager.create_cluster(template).await {
        Ok(created) if created.failed.is_empty() => Answer::success().with("jobs", created.jobs),
        Ok(created) => Answer::success().with("jobs", created.jobs).with("failed", json!(created.failed)),
        Err(error) => Answer::failure(error),
    }
}

async fn create(api: &Api, spec: JobSpec) -> Answer {
    match api.manager.create(spec).await {
        Ok(created) if created.warnings.is_empty() => Answer::success(),
        Ok(created) => Answer::success().with("warnings", created.warnings),
        Err(error) => {
            let answer = Answer::failure(&error);
            match error {
                ManagerError::Checks { problems, .. } => answer.with("checks", json!(problems)),
                ManagerError::Invalid(_)
                | ManagerError::AlreadyExists { .. }
                | ManagerError::NotExist { .. }
                | ManagerError::BeingCreated { .. }
                | ManagerError::Unreadable { .. }
                | ManagerError::Cluster { .. }
                | ManagerError::Store(_)
                | ManagerError::Request(_)
                | ManagerError::Target(_)
                | ManagerError::Closing => answer,
            }
        }
    }
}

fn read(mut fields: Fields) -> FieldResult<(JobSpec, Extent)> {
    let name = fields.required("name")?;
    let all = fields.boolean("cluster_sync")?.unwrap_or_default();
    let extent = if all { Extent::Cluster } else { Extent::Job };
    let src = cluster(fields.object("src")?, extent)?;
    let dest = cluster(fields.object("dest")?, extent)?;
    let mut options = JobOptions {
        allow_table_exists: fields.boolean("allow_table_exists")?.unwrap_or_default(),
        reuse_binlog_label: fields.boolean("reuse_binlog_label")?.unwrap_or_default(),
        replication_num: fields.number("replication_num", MAX_REPLICATION_NUM)?.unwrap_or_default(),
        ..JobOptions::default()
    };
    job_options::Change::read(&mut fields)?.apply(&mut options);
    fields.boolean("skip_error")?;
    fields.finish()?;
    let spec = JobSpec { name, src, dest, options };
    if extent == Extent::Job {
        spec.validate()?;
    }
    Ok((spec, extent))
}

fn cluster(mut fields: Fields, extent: Extent) -> FieldResult<ClusterSpec> {
    let spec = ClusterSpec {
        host: fields.required("host")?,
        port: fields.port("port")?,
        thrift_port: fields.port("thrift_port")?,
        user: fields.required("user")?,
        password: fields.string("password")?.unwrap_or_default(),
        database: match extent {
            Extent::Job => fields.required("database")?,
            // Whatever is given, each job has its own.
            Extent::Cluster => fields.string("database")?.unwrap_or_default(),
        },
        table: fields.string("table")?.unwrap_or_default(),
        frontends: fields.objects("frontends")?.into_iter().map(frontend).collect::<FieldResult<_>>()?,
        host_mapping: {
            let mut mapping = fields.mapping("host_mapping")?.unwrap_or_default();
            mapping.retain(|_, public| !public.is_empty());
            mapping
        },
    };
    fields.boolean("is_master")?;
    fields.string("cluster")?;
    fields.integer("db_id")?;
    fields.integer("table_id")?;
    fields.finish()?;
    Ok(spec)
}

fn frontend(mut fields: Fields) -> FieldResult<FrontendSpec> {
    let spec = FrontendSpec {
        host: fields.required("host")?,
        port: fields.port("port")?,
        thrift_port: fields.port("thrift_port")?,
    };
    fields.boolean("is_master")?;
    fields.finish()?;
    Ok(spec)
}
