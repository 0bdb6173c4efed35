//! Users, roles and what they are granted.

use crate::access::UserIdentity;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountStatement {
    CreateUser {
        user: UserIdentity,
        password: Option<NewPassword>,
        /// DEFAULT ROLE.
        role: Option<String>,
        comment: String,
        if_not_exists: bool,
    },
    AlterUser {
        user: UserIdentity,
        password: Option<NewPassword>,
        if_exists: bool,
    },
    DropUser {
        user: UserIdentity,
        if_exists: bool,
    },
    SetPassword {
        /// `None`: one's own.
        user: Option<UserIdentity>,
        password: NewPassword,
    },
    CreateRole {
        role: String,
        comment: String,
        if_not_exists: bool,
    },
    DropRole {
        role: String,
        if_exists: bool,
    },
    /// GRANT, or REVOKE of the same.
    Grant {
        revoke: bool,
        granted: Granted,
        to: Grantee,
    },
}

#[derive(Clone, PartialEq, Eq)]
pub enum NewPassword {
    Plain(String),
    /// `*` and 40 hexadecimal digits.
    Hashed(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Granted {
    Privileges { privileges: Vec<NamedPrivilege>, on: GrantLevel },
    Roles(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPrivilege {
    /// As written.
    pub name: String,
    /// `SELECT_PRIV(a, b)`; empty: on all columns.
    pub columns: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantLevel {
    /// `*.*.*`
    Global,
    /// `*.*`, `internal.*.*`
    Catalog,
    Database(String),
    Table(String, String),
    Resource(String),
    WorkloadGroup(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grantee {
    User(UserIdentity),
    Role(String),
}

impl std::fmt::Debug for NewPassword {
    /// Without the password, so that no log of statements has it.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            NewPassword::Plain(_) => "Plain(…)",
            NewPassword::Hashed(_) => "Hashed(…)",
        })
    }
}
