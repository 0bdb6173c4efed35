//! `/create_ccr`.
//!
//! A body that is no JSON object is answered with status 400 and a plain text, as in the original; every
//! other refusal with status 200 and `success: false`. Fields of the original that steer nothing here are
//! accepted: `is_master`, `cluster`, `db_id`, `table_id`, `skip_error`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ccr_core::job::{ClusterSpec, FrontendSpec, JobOptions, JobSpec, MAX_REPLICATION_NUM, SpecError};
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
        Ok(spec) => create(&api, spec).await,
        Err(error) => Answer::failure(error),
    };
    answer.into_response()
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

fn read(mut fields: Fields) -> FieldResult<JobSpec> {
    let name = fields.required("name")?;
    let src = cluster(fields.object("src")?)?;
    let dest = cluster(fields.object("dest")?)?;
    let mut options = JobOptions {
        allow_table_exists: fields.boolean("allow_table_exists")?.unwrap_or_default(),
        reuse_binlog_label: fields.boolean("reuse_binlog_label")?.unwrap_or_default(),
        replication_num: fields.number("replication_num", MAX_REPLICATION_NUM)?.unwrap_or_default(),
        ..JobOptions::default()
    };
    job_options::Change::read(&mut fields)?.apply(&mut options);
    fields.boolean("skip_error")?;
    if fields.boolean("cluster_sync")?.unwrap_or_default() {
        let problem = "replicating a whole cluster is not supported yet; create one job per database";
        return Err(SpecError::new("cluster_sync", problem));
    }
    fields.finish()?;
    let spec = JobSpec { name, src, dest, options };
    spec.validate()?;
    Ok(spec)
}

fn cluster(mut fields: Fields) -> FieldResult<ClusterSpec> {
    let spec = ClusterSpec {
        host: fields.required("host")?,
        port: fields.port("port")?,
        thrift_port: fields.port("thrift_port")?,
        user: fields.required("user")?,
        password: fields.string("password")?.unwrap_or_default(),
        database: fields.required("database")?,
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
