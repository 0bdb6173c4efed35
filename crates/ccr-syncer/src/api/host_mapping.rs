//! `/update_host_mapping` and its alias: an empty public address removes the entry.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};

use super::fields::Fields;
use super::{Answer, Api, body};

pub(super) async fn handle(State(api): State<Arc<Api>>, request: Request) -> Answer {
    match change(&api, request).await {
        Ok(()) => Answer::success(),
        Err(error) => Answer::failure(error),
    }
}

async fn change(api: &Api, request: Request) -> Result<(), String> {
    let fields = body::object(request).await?;
    let (name, src, dest) = read(fields).map_err(|error| error.to_string())?;
    api.manager.update_host_mapping(&name, src, dest).await.map_err(|error| error.to_string())
}

type Change = (String, BTreeMap<String, String>, BTreeMap<String, String>);

fn read(mut fields: Fields) -> super::fields::FieldResult<Change> {
    let name = fields.required("name")?;
    let src = fields.mapping("src_host_mapping")?.unwrap_or_default();
    let dest = fields.mapping("dest_host_mapping")?.unwrap_or_default();
    fields.finish()?;
    Ok((name, src, dest))
}
