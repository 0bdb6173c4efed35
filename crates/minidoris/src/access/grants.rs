//! SHOW GRANTS, SHOW ALL GRANTS and SHOW ROLES.

use std::collections::{BTreeMap, BTreeSet};

use super::{Account, Accounts, Grants, Privilege, Privileges, UserIdentity};
use crate::error::{SqlError, SqlResult};
use crate::session::ResultSet;

const COLUMNS: [&str; 15] = [
    "UserIdentity",
    "Comment",
    "Password",
    "Roles",
    "GlobalPrivs",
    "CatalogPrivs",
    "DatabasePrivs",
    "TablePrivs",
    "ColPrivs",
    "ResourcePrivs",
    "CloudClusterPrivs",
    "CloudStagePrivs",
    "StorageVaultPrivs",
    "WorkloadGroupPrivs",
    "ComputeGroupPrivs",
];

/// Databases that everyone may read.
const READABLE: [&str; 2] = ["information_schema", "mysql"];

pub fn all(accounts: &Accounts) -> ResultSet {
    let mut result = ResultSet::new(&COLUMNS);
    result.rows = accounts.iter().map(|(identity, account)| row(accounts, identity, account)).collect();
    result
}

pub fn of(accounts: &Accounts, identity: &UserIdentity) -> SqlResult<ResultSet> {
    let missing = || SqlError::general(format!("user: {identity} does not exist"));
    let account = accounts.get(identity).ok_or_else(missing)?;
    let mut result = ResultSet::new(&COLUMNS);
    result.rows.push(row(accounts, identity, account));
    Ok(result)
}

pub fn roles(accounts: &Accounts) -> ResultSet {
    let mut result = ResultSet::new(&[
        "Name",
        "Comment",
        "Users",
        "GlobalPrivs",
        "CatalogPrivs",
        "DatabasePrivs",
        "TablePrivs",
        "ResourcePrivs",
        "CloudClusterPrivs",
        "CloudStagePrivs",
        "StorageVaultPrivs",
        "WorkloadGroupPrivs",
        "ComputeGroupPrivs",
    ]);
    for (name, role) in &accounts.roles {
        let users: Vec<String> = accounts
            .iter()
            .filter(|(_, account)| account.roles.contains(name))
            .map(|(identity, _)| identity.to_string())
            .collect();
        let mut cells = vec![Some(name.clone()), Some(role.comment.clone()), Some(users.join(", "))];
        cells.push(set(role.grants.global));
        cells.push(catalog(&role.grants));
        cells.push(list(databases(&role.grants)));
        cells.push(list(tables(&role.grants)));
        cells.push(list(named(&role.grants.resources)));
        cells.extend([None, None, None]);
        cells.push(list(named(&role.grants.workload_groups)));
        cells.push(None);
        result.rows.push(cells);
    }
    result
}

/// What the account holds itself and through its roles.
fn row(accounts: &Accounts, identity: &UserIdentity, account: &Account) -> Vec<Option<String>> {
    let mut held = account.grants.clone();
    for role in account.roles.iter().filter_map(|role| accounts.roles.get(role)) {
        merge(&mut held, &role.grants);
    }
    for db in READABLE {
        let slot = held.databases.entry(db.to_owned()).or_default();
        *slot = slot.with(Privileges::of(&[Privilege::Select]));
    }
    let usage = held.workload_groups.entry("normal".to_owned()).or_default();
    *usage = usage.with(Privileges::of(&[Privilege::Usage]));
    let roles: Vec<&str> = account.roles.iter().map(String::as_str).collect();
    vec![
        Some(identity.to_string()),
        Some(account.comment.clone()),
        Some(if account.password.is_some() { "Yes" } else { "No" }.to_owned()),
        Some(roles.join(",")),
        set(held.global),
        catalog(&held),
        list(databases(&held)),
        list(tables(&held)),
        list(columns(&held)),
        list(named(&held.resources)),
        None,
        None,
        None,
        list(named(&held.workload_groups)),
        None,
    ]
}

fn merge(into: &mut Grants, from: &Grants) {
    into.global = into.global.with(from.global);
    into.catalog = into.catalog.with(from.catalog);
    let add = |into: &mut BTreeMap<String, Privileges>, from: &BTreeMap<String, Privileges>| {
        for (name, held) in from {
            let slot = into.entry(name.clone()).or_default();
            *slot = slot.with(*held);
        }
    };
    add(&mut into.databases, &from.databases);
    add(&mut into.resources, &from.resources);
    add(&mut into.workload_groups, &from.workload_groups);
    for (db, tables) in &from.columns {
        for (table, columns) in tables {
            let slot = into.columns.entry(db.clone()).or_default().entry(table.clone()).or_default();
            slot.extend(columns.iter().cloned());
        }
    }
    for (db, tables) in &from.tables {
        add(into.tables.entry(db.clone()).or_default(), tables);
    }
}

fn set(privileges: Privileges) -> Option<String> {
    (!privileges.is_empty()).then(|| privileges.to_string())
}

fn catalog(grants: &Grants) -> Option<String> {
    (!grants.catalog.is_empty()).then(|| format!("internal.*.*: {}", grants.catalog))
}

fn databases(grants: &Grants) -> Vec<String> {
    grants.databases.iter().map(|(db, held)| format!("internal.{db}: {held}")).collect()
}

fn tables(grants: &Grants) -> Vec<String> {
    let of_db = |(db, tables): (&String, &BTreeMap<String, Privileges>)| {
        tables.iter().map(|(table, held)| format!("internal.{db}.{table}: {held}")).collect::<Vec<_>>()
    };
    grants.tables.iter().flat_map(of_db).collect()
}

fn columns(grants: &Grants) -> Vec<String> {
    let of_db = |(db, tables): (&String, &BTreeMap<String, BTreeSet<String>>)| {
        let of_table = |(table, columns): (&String, &BTreeSet<String>)| {
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            format!("internal.{db}.{table}: Select_priv[{}]", columns.join(", "))
        };
        tables.iter().map(of_table).collect::<Vec<_>>()
    };
    grants.columns.iter().flat_map(of_db).collect()
}

fn named(held: &BTreeMap<String, Privileges>) -> Vec<String> {
    held.iter().map(|(name, held)| format!("{name}: {held}")).collect()
}

fn list(items: Vec<String>) -> Option<String> {
    (!items.is_empty()).then(|| items.join("; "))
}
