//! Property parsing and its texts.

use std::collections::BTreeMap;

use crate::snapshot::properties::{backup_properties, restore_properties};
use crate::sql::Properties;

#[test]
fn backup_properties_are_known_or_refused() {
    let parse = |pairs: &[(&str, &str)]| {
        let properties: Properties =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        backup_properties(&properties, None).map_err(|error| error.message)
    };
    assert_eq!(parse(&[]).unwrap().timeout_ms, 86_400_000);
    assert_eq!(parse(&[("type", "FULL"), ("timeout", "600")]).unwrap().timeout_ms, 600_000);
    assert!(parse(&[("content", "metadata_only")]).unwrap().metadata_only);
    assert_eq!(parse(&[("timeout", "599")]).unwrap_err(), "timeout must be at least 10 min");
    assert!(parse(&[("type", "incremental")]).is_err());
    assert_eq!(parse(&[("a", "1"), ("b", "2")]).unwrap_err(), "Unknown backup job properties: [a, b]");
}

#[test]
fn restore_properties_are_known_or_refused() {
    let parse = |pairs: &[(&str, &str)]| {
        let properties: BTreeMap<String, String> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        restore_properties(&properties).map_err(|error| error.message)
    };
    let defaults = parse(&[]).unwrap();
    assert_eq!(
        (defaults.replication_num, defaults.reserve_replica, defaults.atomic_restore),
        (3, false, false)
    );
    assert!(parse(&[("reserve_replica", "TRUE")]).unwrap().reserve_replica);
    let allocation = parse(&[("replication_allocation", "tag.location.default: 2")]).unwrap();
    assert_eq!(allocation.replication_num, 2);
    for name in ["allow_load", "reserve_colocate", "clean_tables", "atomic_restore", "is_being_synced"] {
        assert_eq!(parse(&[(name, "1")]).unwrap_err(), format!("Invalid boolean property {name} value: 1"));
    }
    assert_eq!(parse(&[("timeout", "10")]).unwrap_err(), "timeout must be at least 10 min");
    assert_eq!(parse(&[("x", "y")]).unwrap_err(), "Unknown restore job properties: [x]");
}
