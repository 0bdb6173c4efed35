//! SHOW RESOURCES and SHOW STORAGE POLICY.

use super::format::cell;
use crate::session::ResultSet;
use crate::state::FeState;

/// One row per property, secrets hidden.
pub fn resources(state: &FeState) -> ResultSet {
    const SECRETS: [&str; 3] = ["secret", "password", "token"];
    let mut result = ResultSet::new(&["Name", "ResourceType", "Item", "Value"]);
    for (name, resource) in &state.ddl.resources {
        let kind = resource.properties.get("type").map(String::as_str).unwrap_or_default().to_lowercase();
        result.rows.push(vec![cell(name), cell(&kind), cell("id"), cell(resource.id)]);
        for (key, value) in resource.properties.iter().filter(|(key, _)| *key != "type") {
            let is_secret = SECRETS.iter().any(|secret| key.to_lowercase().contains(secret));
            let value = if is_secret { "******" } else { value };
            result.rows.push(vec![cell(name), cell(&kind), cell(key), cell(value)]);
        }
    }
    result
}

pub fn storage_policies(state: &FeState) -> ResultSet {
    let mut result = ResultSet::new(&[
        "PolicyName",
        "Id",
        "Version",
        "Type",
        "StorageResource",
        "CooldownDatetime",
        "CooldownTtl",
    ]);
    for (name, policy) in &state.ddl.storage_policies {
        let property =
            |key: &str, default: &str| cell(policy.properties.get(key).map_or(default, String::as_str));
        result.rows.push(vec![
            cell(name),
            cell(policy.id),
            cell(0),
            cell("STORAGE"),
            property("storage_resource", ""),
            property("cooldown_datetime", "-1"),
            property("cooldown_ttl", "-1"),
        ]);
    }
    result
}
