//! The accounts and roles of a cluster.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use super::{Privilege, Privileges, UserIdentity, Wanted};

/// Doris keeps only the hash that `mysql_native_password` needs: SHA1(SHA1(password)).
pub type PasswordHash = [u8; 20];

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Account {
    /// `None`: no password.
    pub password: Option<PasswordHash>,
    pub grants: Grants,
    pub roles: BTreeSet<String>,
    pub comment: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Role {
    pub grants: Grants,
    pub comment: String,
}

/// Privileges by what they are granted on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    pub global: Privileges,
    pub catalog: Privileges,
    pub databases: BTreeMap<String, Privileges>,
    /// By database, then table.
    pub tables: BTreeMap<String, BTreeMap<String, Privileges>>,
    /// Columns that may be read, by database, then table.
    #[serde(default)]
    pub columns: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    pub resources: BTreeMap<String, Privileges>,
    pub workload_groups: BTreeMap<String, Privileges>,
}

/// All accounts and roles.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Accounts {
    /// By user name, the most specific host first.
    users: BTreeMap<String, Vec<(UserIdentity, Account)>>,
    pub roles: BTreeMap<String, Role>,
}

impl Accounts {
    /// `root` and `admin` on any host, and the roles that Doris starts with.
    pub fn with_password(root_password: &str) -> Self {
        let role = |privileges: &[Privilege]| Role {
            grants: Grants { global: Privileges::of(privileges), ..Grants::default() },
            comment: String::new(),
        };
        let mut accounts = Self::default();
        accounts.roles.insert("admin".to_owned(), role(&[Privilege::Admin]));
        accounts.roles.insert("operator".to_owned(), role(&[Privilege::Node, Privilege::Admin]));
        for (name, role) in [("root", "operator"), ("admin", "admin")] {
            let account = Account {
                password: hash(root_password),
                roles: BTreeSet::from([role.to_owned()]),
                ..Account::default()
            };
            accounts.insert(UserIdentity::new(name, "%"), account);
        }
        accounts
    }

    pub fn insert(&mut self, identity: UserIdentity, account: Account) {
        let of_name = self.users.entry(identity.user.clone()).or_default();
        of_name.retain(|(known, _)| *known != identity);
        of_name.push((identity, account));
        of_name.sort_by(|(a, _), (b, _)| a.cmp(b));
    }

    pub fn remove(&mut self, identity: &UserIdentity) -> Option<Account> {
        let of_name = self.users.get_mut(&identity.user)?;
        let at = of_name.iter().position(|(known, _)| known == identity)?;
        let (_, account) = of_name.remove(at);
        if of_name.is_empty() {
            self.users.remove(&identity.user);
        }
        Some(account)
    }

    pub fn get(&self, identity: &UserIdentity) -> Option<&Account> {
        let of_name = self.users.get(&identity.user)?;
        of_name.iter().find(|(known, _)| known == identity).map(|(_, account)| account)
    }

    pub fn get_mut(&mut self, identity: &UserIdentity) -> Option<&mut Account> {
        let of_name = self.users.get_mut(&identity.user)?;
        of_name.iter_mut().find(|(known, _)| known == identity).map(|(_, account)| account)
    }

    pub fn iter(&self) -> impl Iterator<Item = &(UserIdentity, Account)> {
        self.users.values().flatten()
    }

    /// Takes a role from everyone who has it.
    pub fn forget_role(&mut self, role: &str) {
        for (_, account) in self.users.values_mut().flatten() {
            account.roles.remove(role);
        }
    }

    /// The account of a client: the first of that name whose pattern admits the address and whose password
    /// `proves` accepts.
    pub fn login(
        &self,
        user: &str,
        address: Option<&str>,
        proves: impl Fn(Option<&PasswordHash>) -> bool,
    ) -> Option<&UserIdentity> {
        let of_name = self.users.get(user)?;
        let found = of_name
            .iter()
            .find(|(identity, account)| identity.admits(address) && proves(account.password.as_ref()));
        found.map(|(identity, _)| identity)
    }

    /// [`Self::login`] with the password in plain text.
    pub fn login_plain(&self, user: &str, address: Option<&str>, password: &str) -> Option<&UserIdentity> {
        let given = hash(password);
        self.login(user, address, |known| known == given.as_ref())
    }

    fn grants_of(&self, identity: &UserIdentity) -> impl Iterator<Item = &Grants> {
        let account = self.get(identity);
        let roles = account.into_iter().flat_map(|account| &account.roles);
        let of_roles = roles.filter_map(|role| self.roles.get(role)).map(|role| &role.grants);
        account.into_iter().map(|account| &account.grants).chain(of_roles)
    }

    pub fn allows_globally(&self, identity: &UserIdentity, wanted: Wanted) -> bool {
        self.grants_of(identity).any(|grants| grants.global.intersects(wanted.any))
    }

    /// On the database as a whole.
    pub fn allows_database(&self, identity: &UserIdentity, db: &str, wanted: Wanted) -> bool {
        self.grants_of(identity).any(|grants| grants.on_database(db).intersects(wanted.any))
    }

    /// On the database or on anything in it, which is enough to see it.
    pub fn allows_within(&self, identity: &UserIdentity, db: &str, wanted: Wanted) -> bool {
        self.grants_of(identity).any(|grants| {
            grants.on_database(db).intersects(wanted.any)
                || grants
                    .tables
                    .get(db)
                    .is_some_and(|tables| tables.values().any(|held| held.intersects(wanted.any)))
                || (reads_columns(wanted) && grants.columns.contains_key(db))
        })
    }

    pub fn allows_table(&self, identity: &UserIdentity, db: &str, table: &str, wanted: Wanted) -> bool {
        self.grants_of(identity).any(|grants| {
            let on_table = grants.tables.get(db).and_then(|tables| tables.get(table)).copied();
            grants.on_database(db).with(on_table.unwrap_or_default()).intersects(wanted.any)
                || (wanted == Wanted::SHOW && grants.columns_of(db, table).is_some())
        })
    }

    /// The columns of a table that the account may read although it may not read the table as a whole.
    pub fn readable_columns(&self, identity: &UserIdentity, db: &str, table: &str) -> BTreeSet<String> {
        let columns = self.grants_of(identity).filter_map(|grants| grants.columns_of(db, table));
        columns.flatten().cloned().collect()
    }
}

/// Whether a privilege on columns is one of those wanted.
fn reads_columns(wanted: Wanted) -> bool {
    wanted.any.contains(Privilege::Select)
}

impl Grants {
    fn columns_of(&self, db: &str, table: &str) -> Option<&BTreeSet<String>> {
        self.columns.get(db)?.get(table)
    }

    fn on_database(&self, db: &str) -> Privileges {
        let on_db = self.databases.get(db).copied().unwrap_or_default();
        self.global.with(self.catalog).with(on_db)
    }
}

/// What Doris stores for a password; nothing for an empty one.
pub fn hash(password: &str) -> Option<PasswordHash> {
    if password.is_empty() {
        return None;
    }
    let once: [u8; 20] = Sha1::digest(password).into();
    Some(Sha1::digest(once).into())
}

/// Reads `*` and 40 hexadecimal digits, as `IDENTIFIED BY PASSWORD` takes them.
pub fn read_hash(text: &str) -> Option<PasswordHash> {
    let digits = text.strip_prefix('*').filter(|digits| digits.len() == 40 && digits.is_ascii())?;
    let mut bytes = [0; 20];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}
