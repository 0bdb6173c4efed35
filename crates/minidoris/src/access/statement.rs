//! CREATE, ALTER and DROP USER, SET PASSWORD, roles, GRANT and REVOKE.

use std::collections::BTreeSet;

use super::accounts::{Account, Grants, PasswordHash, Role, hash, read_hash};
use super::{Privilege, Privileges, UserIdentity, check};
use crate::error::{SqlError, SqlResult};
use crate::session::Session;
use crate::sql::{AccountStatement, GrantLevel, Granted, Grantee, NamedPrivilege, NewPassword};
use crate::state::FeState;

/// Roles that cannot be dropped or changed.
const BUILT_IN_ROLES: [&str; 2] = ["admin", "operator"];

/// Runs the statement; the caller's privileges have been checked.
pub fn run(state: &mut FeState, session: &Session, statement: &AccountStatement) -> SqlResult<()> {
    match statement {
        AccountStatement::CreateUser { user, password, role, comment, if_not_exists } => {
            if state.accounts.get(user).is_some() {
                if *if_not_exists {
                    return Ok(());
                }
                return Err(SqlError::general(format!("User {user} already exist")));
            }
            if let Some(role) = role {
                existing_role(state, role)?;
            }
            let account = Account {
                password: password.as_ref().map(password_hash).transpose()?.flatten(),
                roles: role.iter().cloned().collect(),
                comment: comment.clone(),
                grants: Grants::default(),
            };
            state.accounts.insert(user.clone(), account);
        }
        AccountStatement::AlterUser { user, password, if_exists } => {
            let password = password.as_ref().map(password_hash).transpose()?;
            match state.accounts.get_mut(user) {
                Some(account) => account.password = password.unwrap_or(account.password),
                None if *if_exists => return Ok(()),
                None => return Err(no_user(user)),
            }
        }
        AccountStatement::DropUser { user, if_exists } => {
            if ["root", "admin"].contains(&user.user.as_str()) && user.host == "%" {
                let message = format!("Operation DROP USER failed for {user}");
                return Err(SqlError { code: 1396, state: "HY000", message });
            }
            if state.accounts.remove(user).is_none() {
                if *if_exists {
                    return Ok(());
                }
                return Err(SqlError::general(format!("User `{user}` does not exist.")));
            }
        }
        AccountStatement::SetPassword { user, password } => {
            let own = || check::identity_of(session);
            let user = user.clone().unwrap_or_else(own);
            let password = password_hash(password)?;
            state.accounts.get_mut(&user).ok_or_else(|| no_user(&user))?.password = password;
        }
        AccountStatement::CreateRole { role, comment, if_not_exists } => {
            if state.accounts.roles.contains_key(role) {
                if *if_not_exists {
                    return Ok(());
                }
                return Err(SqlError::general(format!("Role {role} already exists!")));
            }
            let created = Role { comment: comment.clone(), ..Role::default() };
            state.accounts.roles.insert(role.clone(), created);
        }
        AccountStatement::DropRole { role, if_exists } => {
            changeable_role(role)?;
            if state.accounts.roles.remove(role).is_none() {
                if *if_exists {
                    return Ok(());
                }
                return Err(SqlError::general(format!("Role {role} does not exist")));
            }
            state.accounts.forget_role(role);
        }
        AccountStatement::Grant { revoke, granted, to } => change(state, *revoke, granted, to)?,
    }
    state.journal();
    Ok(())
}

fn change(state: &mut FeState, revoke: bool, granted: &Granted, to: &Grantee) -> SqlResult<()> {
    match granted {
        Granted::Roles(roles) => {
            let Grantee::User(user) = to else {
                return Err(SqlError::general("Roles are granted to users only"));
            };
            for role in roles {
                existing_role(state, role)?;
            }
            let account = state.accounts.get_mut(user).ok_or_else(|| no_user(user))?;
            for role in roles {
                if !revoke {
                    account.roles.insert(role.clone());
                } else if !account.roles.remove(role) {
                    return Err(SqlError::general(format!("User {user} does not have role {role}")));
                }
            }
            Ok(())
        }
        Granted::Privileges { privileges, on } => {
            let (privileges, columns) = named(privileges, on)?;
            let (grants, holder) = match to {
                Grantee::User(user) => {
                    let holder = format!("default_role_rbac_{}@{}", user.user, user.host);
                    (&mut state.accounts.get_mut(user).ok_or_else(|| no_user(user))?.grants, holder)
                }
                Grantee::Role(role) => {
                    changeable_role(role)?;
                    let found = state.accounts.roles.get_mut(role);
                    let missing = || SqlError::general(format!("Role {role} does not exist"));
                    (&mut found.ok_or_else(missing)?.grants, role.clone())
                }
            };
            if revoke {
                let missing = || SqlError::general(format!("{} does not exist in role {holder}", shown(on)));
                if !privileges.is_empty() {
                    take(grants, on, privileges).ok_or_else(missing)?;
                }
                if !columns.is_empty() {
                    take_columns(grants, on, &columns).ok_or_else(missing)?;
                }
                Ok(())
            } else {
                if !privileges.is_empty() {
                    give(grants, on, privileges);
                }
                if let GrantLevel::Table(db, table) = on
                    && !columns.is_empty()
                {
                    let tables = grants.columns.entry(db.clone()).or_default();
                    tables.entry(table.clone()).or_default().extend(columns);
                }
                Ok(())
            }
        }
    }
}

/// The set behind the words of a GRANT and the columns that may be read, if that may be granted there.
fn named(words: &[NamedPrivilege], on: &GrantLevel) -> SqlResult<(Privileges, BTreeSet<String>)> {
    let mut all = Privileges::NONE;
    let mut columns = BTreeSet::new();
    for NamedPrivilege { name, columns: limited } in words {
        let set = Privileges::named(name)
            .ok_or_else(|| SqlError::general(format!("Invalid privilege type: {name}")))?;
        if limited.is_empty() {
            all = all.with(set);
            continue;
        }
        if !name.eq_ignore_ascii_case("select_priv") {
            return Err(SqlError::general(format!("{} do not support col auth.", name.to_uppercase())));
        }
        if !matches!(on, GrantLevel::Table(..)) {
            return Err(SqlError::general("Col auth must specify specific table"));
        }
        columns.extend(limited.iter().cloned());
    }
    let text = match on {
        GrantLevel::Global => None,
        GrantLevel::Catalog | GrantLevel::Database(_) | GrantLevel::Table(..) => {
            let usage = all.contains(Privilege::Usage);
            if all.contains(Privilege::Node) || all.contains(Privilege::Admin) {
                Some("ADMIN_PRIV and NODE_PRIV can only be granted/revoked on/from *.*.*")
            } else {
                usage.then_some("USAGE_PRIV can not be granted/revoked on/from database or table")
            }
        }
        GrantLevel::Resource(_) | GrantLevel::WorkloadGroup(_) => {
            let usable = Privileges::of(&[Privilege::Usage, Privilege::Grant]);
            (!all.without(usable).is_empty())
                .then_some("Only USAGE_PRIV and GRANT_PRIV can be granted/revoked on/from a resource")
        }
    };
    text.map_or(Ok((all, columns)), |text| Err(SqlError::general(text)))
}

fn give(grants: &mut Grants, on: &GrantLevel, privileges: Privileges) {
    let slot = match on {
        GrantLevel::Global => &mut grants.global,
        GrantLevel::Catalog => &mut grants.catalog,
        GrantLevel::Database(db) => grants.databases.entry(db.clone()).or_default(),
        GrantLevel::Table(db, table) => {
            grants.tables.entry(db.clone()).or_default().entry(table.clone()).or_default()
        }
        GrantLevel::Resource(name) => grants.resources.entry(name.clone()).or_default(),
        GrantLevel::WorkloadGroup(name) => grants.workload_groups.entry(name.clone()).or_default(),
    };
    *slot = slot.with(privileges);
}

/// `None` when nothing was ever granted there.
fn take(grants: &mut Grants, on: &GrantLevel, privileges: Privileges) -> Option<()> {
    let slot = match on {
        GrantLevel::Global => Some(&mut grants.global),
        GrantLevel::Catalog => Some(&mut grants.catalog),
        GrantLevel::Database(db) => grants.databases.get_mut(db),
        GrantLevel::Table(db, table) => grants.tables.get_mut(db).and_then(|tables| tables.get_mut(table)),
        GrantLevel::Resource(name) => grants.resources.get_mut(name),
        GrantLevel::WorkloadGroup(name) => grants.workload_groups.get_mut(name),
    }
    .filter(|held| !held.is_empty())?;
    *slot = slot.without(privileges);
    grants.databases.retain(|_, held| !held.is_empty());
    grants.tables.values_mut().for_each(|tables| tables.retain(|_, held| !held.is_empty()));
    grants.tables.retain(|_, tables| !tables.is_empty());
    grants.resources.retain(|_, held| !held.is_empty());
    grants.workload_groups.retain(|_, held| !held.is_empty());
    Some(())
}

/// `None` when one of the columns was not granted.
fn take_columns(grants: &mut Grants, on: &GrantLevel, columns: &BTreeSet<String>) -> Option<()> {
    let GrantLevel::Table(db, table) = on else { return None };
    let held = grants.columns.get_mut(db)?.get_mut(table)?;
    if !columns.is_subset(held) {
        return None;
    }
    held.retain(|column| !columns.contains(column));
    grants.columns.values_mut().for_each(|tables| tables.retain(|_, held| !held.is_empty()));
    grants.columns.retain(|_, tables| !tables.is_empty());
    Some(())
}

fn shown(on: &GrantLevel) -> String {
    match on {
        GrantLevel::Global => "*.*.*".to_owned(),
        GrantLevel::Catalog => "internal.*.*".to_owned(),
        GrantLevel::Database(db) => format!("internal.{db}.*"),
        GrantLevel::Table(db, table) => format!("internal.{db}.{table}"),
        GrantLevel::Resource(name) | GrantLevel::WorkloadGroup(name) => name.clone(),
    }
}

fn existing_role(state: &FeState, role: &str) -> SqlResult<()> {
    match state.accounts.roles.get(role) {
        Some(_) => Ok(()),
        None => Err(SqlError::general(format!("Role {role} does not exist"))),
    }
}

fn changeable_role(role: &str) -> SqlResult<()> {
    match BUILT_IN_ROLES.contains(&role) {
        true => Err(SqlError::general(format!("Can not drop or modify role {role}"))),
        false => Ok(()),
    }
}

fn password_hash(password: &NewPassword) -> SqlResult<Option<PasswordHash>> {
    match password {
        NewPassword::Plain(text) => Ok(hash(text)),
        NewPassword::Hashed(text) if text.is_empty() => Ok(None),
        NewPassword::Hashed(text) => read_hash(text).map(Some).ok_or_else(|| SqlError {
            code: 1372,
            state: "HY000",
            message: "Password hash should be a 41-digit hexadecimal number".to_owned(),
        }),
    }
}

fn no_user(user: &UserIdentity) -> SqlError {
    SqlError::general(format!("user {user} does not exist"))
}
