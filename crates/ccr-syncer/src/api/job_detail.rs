//! `/job_detail`: the request as stored, in the original's shape, without passwords; and all `options`.

use std::sync::Arc;

use axum::extract::{Request, State};
use ccr_core::job::{ClusterSpec, DesiredState, JobRecord, SyncType};
use serde_json::{Map, Value, json};

use super::{Answer, Api, job_options, name_only};

const MASK: &str = "******";

pub(super) async fn handle(State(api): State<Arc<Api>>, request: Request) -> Answer {
    let record = match name_only::read(request).await {
        Ok(name) => api.manager.record(&name).map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    match record {
        Ok(record) => Answer::success().with("job_detail", render(&record)),
        Err(error) => Answer::failure(error).with("job_detail", Value::Null),
    }
}

fn render(record: &JobRecord) -> Value {
    let spec = &record.spec;
    let mut extra = Map::new();
    if spec.options.reuse_binlog_label {
        extra.insert("reuse_binlog_label".to_owned(), Value::Bool(true));
    }
    json!({
        "name": spec.name,
        "id": record.id,
        "sync_type": match spec.sync_type() { SyncType::Database => 0, SyncType::Table => 1 },
        "src": cluster(&spec.src),
        "dest": cluster(&spec.dest),
        "state": match record.desired { DesiredState::Running => 0, DesiredState::Paused => 1 },
        "extra": extra,
        "options": job_options::render(&spec.options),
    })
}

fn cluster(spec: &ClusterSpec) -> Value {
    let frontends = spec.frontends.iter().map(|frontend| {
        json!({
            "host": frontend.host,
            "port": frontend.port.to_string(),
            "thrift_port": frontend.thrift_port.to_string(),
            "is_master": false,
        })
    });
    let mut value = json!({
        "host": spec.host,
        "port": spec.port.to_string(),
        "thrift_port": spec.thrift_port.to_string(),
        "is_master": false,
        "frontends": frontends.collect::<Vec<_>>(),
        "user": spec.user,
        "password": MASK,
        "cluster": "",
        "database": spec.database,
        "db_id": 0,
        "table": spec.table,
        "table_id": 0,
    });
    if !spec.host_mapping.is_empty() {
        value["host_mapping"] = json!(spec.host_mapping);
    }
    value
}
