//! The `meta` payload: the tables and views themselves, opaque to everyone but a cluster that restores.
//!
//! Four bytes of length, big-endian, then JSON. Only the frame is Doris's; the JSON is this program's own
//! form of its catalogue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::Table;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SnapshotMeta {
    #[serde(rename = "tblNameMap")]
    pub tables: BTreeMap<String, Table>,
    #[serde(rename = "resourceNameMap", default)]
    pub resources: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Error)]
pub enum MetaError {
    #[error("meta of {0} bytes does not match its length")]
    Length(usize),
    #[error("meta is not readable: {0}")]
    Json(#[from] serde_json::Error),
}

impl SnapshotMeta {
    pub fn to_bytes(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).expect("the catalogue has string and integer keys only");
        let mut bytes = Vec::with_capacity(json.len() + 4);
        bytes.extend(u32::try_from(json.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(json);
        bytes
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MetaError> {
        let Some((length, json)) = bytes.split_first_chunk::<4>() else {
            return Err(MetaError::Length(bytes.len()));
        };
        if usize::try_from(u32::from_be_bytes(*length)).ok() != Some(json.len()) {
            return Err(MetaError::Length(bytes.len()));
        }
        Ok(serde_json::from_slice(json)?)
    }
}
