//! What accounts may do, without sockets.

use super::accounts::{Account, Accounts, hash, read_hash};
use super::{UserIdentity, Wanted};
use crate::access::Grants;
use crate::access::{Privilege, Privileges};

fn account(password: &str, grants: Grants) -> Account {
    Account { password: hash(password), grants, ..Account::default() }
}

#[test]
fn the_address_and_the_password_choose_the_account() {
    let mut accounts = Accounts::default();
    for (host, password) in [("%", "any"), ("10.%", "ten"), ("10.0.0.1", "one")] {
        accounts.insert(UserIdentity::new("u", host), account(password, Grants::default()));
    }
    let host = |address, password| {
        accounts.login_plain("u", address, password).map(|identity| identity.host.clone())
    };
    assert_eq!(host(Some("10.0.0.1"), "one").as_deref(), Some("10.0.0.1"));
    assert_eq!(host(Some("10.0.0.1"), "ten").as_deref(), Some("10.%"));
    assert_eq!(host(Some("10.0.0.2"), "one"), None);
    assert_eq!(host(Some("11.0.0.1"), "any").as_deref(), Some("%"));
    assert_eq!(host(None, "any").as_deref(), Some("%"));
    assert_eq!(host(None, "ten"), None);
}

#[test]
fn privileges_hold_for_what_lies_below() {
    let mut accounts = Accounts::with_password("");
    let select = Privileges::of(&[Privilege::Select]);
    let mut grants = Grants::default();
    grants.databases.insert("d".to_owned(), select);
    grants.tables.entry("e".to_owned()).or_default().insert("t".to_owned(), select);
    let identity = UserIdentity::new("u", "%");
    accounts.insert(identity.clone(), account("", grants));
    let table = |db, table, wanted| accounts.allows_table(&identity, db, table, wanted);
    assert!(table("d", "any", Wanted::SELECT) && table("e", "t", Wanted::SELECT));
    assert!(!table("e", "other", Wanted::SELECT) && !table("d", "any", Wanted::LOAD));
    assert!(!accounts.allows_database(&identity, "e", Wanted::SELECT));
    assert!(accounts.allows_within(&identity, "e", Wanted::SHOW));
    assert!(!accounts.allows_globally(&identity, Wanted::NODE));
    // ADMIN comes with the role.
    let root = UserIdentity::new("root", "%");
    assert!(
        accounts.allows_table(&root, "d", "t", Wanted::LOAD) && accounts.allows_globally(&root, Wanted::NODE)
    );
}

#[test]
fn hashes_are_those_of_mysql() {
    // The value that `SELECT PASSWORD('mypass')` prints.
    assert_eq!(read_hash("*6C8989366EAF75BB670AD8EA7A7FC1176A95CEF4"), hash("mypass"));
    assert_eq!(read_hash("6C89"), None);
    assert_eq!(hash(""), None);
}
