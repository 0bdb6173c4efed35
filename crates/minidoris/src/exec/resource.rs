//! Resources and storage policies. Nothing is ever moved to them; tables name them in their properties.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{SqlError, SqlResult};
use crate::model::{OlapTable, Table};
use crate::sql::{CreateResource, Properties, ResourceKind};
use crate::state::FeState;

/// A resource, or a storage policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    pub id: i64,
    pub properties: BTreeMap<String, String>,
}

pub fn create(state: &mut FeState, create: &CreateResource) -> SqlResult<()> {
    let known = match create.kind {
        ResourceKind::Resource => state.ddl.resources.contains_key(&create.name),
        ResourceKind::StoragePolicy => state.ddl.storage_policies.contains_key(&create.name),
    };
    if known {
        return match (create.if_not_exists, create.kind) {
            (true, _) => Ok(()),
            (false, ResourceKind::Resource) => {
                Err(SqlError::general(format!("Resource({}) already exist", create.name)))
            }
            (false, ResourceKind::StoragePolicy) => {
                Err(SqlError::general(format!("the policy {} already create", create.name)))
            }
        };
    }
    let needed = match create.kind {
        ResourceKind::Resource => "type",
        ResourceKind::StoragePolicy => "storage_resource",
    };
    let Some(value) = create.properties.get(needed) else {
        return Err(SqlError::general(match create.kind {
            ResourceKind::Resource => "Resource type can't be null".to_owned(),
            ResourceKind::StoragePolicy => format!("Missing [{needed}] in properties."),
        }));
    };
    if create.kind == ResourceKind::StoragePolicy && !state.ddl.resources.contains_key(value) {
        return Err(SqlError::general(format!("storage resource doesn't exist: {value}")));
    }
    let properties = create.properties.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let resource = Resource { id: state.ids.allocate(), properties };
    match create.kind {
        ResourceKind::Resource => state.ddl.resources.insert(create.name.clone(), resource),
        ResourceKind::StoragePolicy => state.ddl.storage_policies.insert(create.name.clone(), resource),
    };
    state.journal();
    Ok(())
}

/// Refuses a storage policy that is not there.
pub fn check_policy(state: &FeState, name: Option<&str>) -> SqlResult<()> {
    match name {
        Some(name) if !name.is_empty() && !state.ddl.storage_policies.contains_key(name) => {
            Err(SqlError::general(format!("Storage policy does not exist. name: {name}")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Refuses the policies that the properties of a table name and that are not there.
pub fn check_policies(state: &FeState, properties: &Properties) -> SqlResult<()> {
    for key in ["storage_policy", "dynamic_partition.storage_policy"] {
        check_policy(state, properties.get(key).map(String::as_str))?;
    }
    Ok(())
}

/// The table that follows a storage policy.
fn follower<'s>(state: &'s FeState, policy: &str) -> Option<&'s OlapTable> {
    let tables = state.databases.values().flat_map(|db| db.tables.values()).filter_map(Table::as_olap);
    let mut tables = tables
        .filter(|table| table.partitions.values().any(|partition| table.storage_policy(partition) == policy));
    tables.next()
}

pub fn drop(state: &mut FeState, kind: ResourceKind, name: &str, if_exists: bool) -> SqlResult<()> {
    let user = state.ddl.storage_policies.iter().find(|(_, policy)| {
        kind == ResourceKind::Resource
            && policy.properties.get("storage_resource").is_some_and(|resource| resource == name)
    });
    if let Some((policy, _)) = user {
        return Err(SqlError::general(format!("S3 resource used by policy {policy}")));
    }
    if kind == ResourceKind::StoragePolicy
        && let Some(table) = follower(state, name)
    {
        return Err(SqlError::general(format!("the policy {name} is used by table: {}", table.name)));
    }
    let removed = match kind {
        ResourceKind::Resource => state.ddl.resources.remove(name),
        ResourceKind::StoragePolicy => state.ddl.storage_policies.remove(name),
    };
    match (removed, if_exists, kind) {
        (None, true, _) => Ok(()),
        (None, false, ResourceKind::Resource) => {
            Err(SqlError::general(format!("Resource({name}) does not exist")))
        }
        (None, false, ResourceKind::StoragePolicy) => {
            Err(SqlError::general(format!("the policy {name} not exist")))
        }
        (Some(_), _, _) => {
            state.journal();
            Ok(())
        }
    }
}
