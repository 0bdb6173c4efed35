//! Accounts and privileges, and where they are checked.
//!
//! An account is a name with a host pattern; the address a client comes from (or, in five thrift methods, the
//! address that a request names) chooses among accounts of one name. Privileges are granted globally, on the
//! catalogue, on a database or on a table, to accounts and to roles, and hold for everything below.
//! ADMIN_PRIV contains all others. [`accounts`] keeps them, [`check`] asks for them, [`statement`] runs
//! CREATE USER, GRANT and their kin, [`grants`] prints them.

pub mod accounts;
pub mod check;
pub mod grants;
pub mod identity;
pub mod privilege;
pub mod statement;
#[cfg(test)]
mod tests;

pub use accounts::{Account, Accounts, Grants, Role};
pub use identity::UserIdentity;
pub use privilege::{Privilege, Privileges, Wanted};
