//! `/job_skip_binlog` and `/force_fullsync`: requests that are persisted before they are answered.
//!
//! Fields that the chosen way of skipping does not need are accepted and ignored, as clients send them
//! with zero values.

use std::sync::Arc;

use axum::extract::{Request, State};
use ccr_core::control;
use ccr_core::job::SpecError;

use super::fields::{FieldResult, Fields};
use super::{Answer, Api, body, name_only};

pub(super) async fn handle(State(api): State<Arc<Api>>, request: Request) -> Answer {
    let asked = match body::object(request).await {
        Ok(fields) => read(fields).map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    match asked {
        Ok((name, request)) => steer(&api, &name, request).await,
        Err(error) => Answer::failure(error),
    }
}

pub(super) async fn force_fullsync(State(api): State<Arc<Api>>, request: Request) -> Answer {
    match name_only::read(request).await {
        Ok(name) => {
            let request = control::Request::FullSync { detail: "force_fullsync".to_owned() };
            steer(&api, &name, request).await
        }
        Err(error) => Answer::failure(error),
    }
}

async fn steer(api: &Api, name: &str, request: control::Request) -> Answer {
    match api.manager.steer(name, request).await {
        Ok(()) => Answer::success(),
        Err(error) => Answer::failure(error),
    }
}

fn read(mut fields: Fields) -> FieldResult<(String, control::Request)> {
    let name = fields.required("name")?;
    let skip_by = fields.required("skip_by")?;
    let commit_seq = fields.integer("skip_commit_seq")?.filter(|seq| *seq != 0);
    let table = fields.string("skip_table")?.filter(|table| !table.is_empty());
    let table_id = fields.integer("skip_table_id")?.filter(|id| *id != 0);
    fields.finish()?;
    let needed = |field: &str| SpecError::new(field, format!("is required when skip_by is {skip_by}"));
    let detail = || format!("job_skip_binlog {skip_by}");
    let request = match skip_by.to_lowercase().as_str() {
        method @ ("silence" | "withdraw") => match commit_seq.ok_or_else(|| needed("skip_commit_seq"))? {
            commit_seq if commit_seq <= 0 => {
                return Err(SpecError::new("skip_commit_seq", "must be greater than 0"));
            }
            commit_seq if method == "silence" => control::Request::SkipBinlog { commit_seq },
            commit_seq => control::Request::WithdrawSkip { commit_seq },
        },
        "fullsync" => control::Request::FullSync { detail: detail() },
        "partialsync" => control::Request::PartialSync {
            table: table.ok_or_else(|| needed("skip_table"))?,
            table_id: table_id.ok_or_else(|| needed("skip_table_id"))?,
            detail: detail(),
        },
        _ => {
            let problem = format!("must be silence, withdraw, fullsync or partialsync, not {skip_by:?}");
            return Err(SpecError::new("skip_by", problem));
        }
    };
    Ok((name, request))
}
