//! `/pause`, `/resume`, `/delete`, `/desync`, `/sync`.

use std::sync::Arc;

use axum::extract::{Request, State};

use super::{Answer, Api, name_only};
use crate::manager::ManagerError;

pub(super) async fn pause(State(api): State<Arc<Api>>, request: Request) -> Answer {
    match name_only::read(request).await {
        Ok(name) => answer(api.manager.pause(&name).await),
        Err(error) => Answer::failure(error),
    }
}

pub(super) async fn resume(State(api): State<Arc<Api>>, request: Request) -> Answer {
    match name_only::read(request).await {
        Ok(name) => answer(api.manager.resume(&name).await),
        Err(error) => Answer::failure(error),
    }
}

pub(super) async fn delete(State(api): State<Arc<Api>>, request: Request) -> Answer {
    match name_only::read(request).await {
        Ok(name) => answer(api.manager.delete(&name).await),
        Err(error) => Answer::failure(error),
    }
}

pub(super) async fn desync(State(api): State<Arc<Api>>, request: Request) -> Answer {
    match name_only::read(request).await {
        Ok(name) => answer(api.manager.set_being_synced(&name, false).await),
        Err(error) => Answer::failure(error),
    }
}

pub(super) async fn sync(State(api): State<Arc<Api>>, request: Request) -> Answer {
    match name_only::read(request).await {
        Ok(name) => answer(api.manager.set_being_synced(&name, true).await),
        Err(error) => Answer::failure(error),
    }
}

fn answer(result: Result<(), ManagerError>) -> Answer {
    match result {
        Ok(()) => Answer::success(),
        Err(error) => Answer::failure(error),
    }
}
