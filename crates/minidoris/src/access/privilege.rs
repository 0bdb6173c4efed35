//! Privileges, sets of them, and the sets that operations ask for.

use serde::{Deserialize, Serialize};

/// In the order in which sets of them are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    Node,
    Admin,
    Grant,
    Select,
    Load,
    Alter,
    Create,
    Drop,
    Usage,
    ShowView,
}

const ALL: [(Privilege, &str); 10] = [
    (Privilege::Node, "Node_priv"),
    (Privilege::Admin, "Admin_priv"),
    (Privilege::Grant, "Grant_priv"),
    (Privilege::Select, "Select_priv"),
    (Privilege::Load, "Load_priv"),
    (Privilege::Alter, "Alter_priv"),
    (Privilege::Create, "Create_priv"),
    (Privilege::Drop, "Drop_priv"),
    (Privilege::Usage, "Usage_priv"),
    (Privilege::ShowView, "Show_view_priv"),
];

/// A set of privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Privileges(u16);

impl Privileges {
    pub const NONE: Self = Self(0);

    pub const fn of(list: &[Privilege]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < list.len() {
            bits |= 1 << list[at] as u16;
            at += 1;
        }
        Self(bits)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn contains(self, privilege: Privilege) -> bool {
        self.0 & Self::of(&[privilege]).0 != 0
    }

    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The privileges behind a word of GRANT: `SELECT_PRIV`, `ALL`, `READ_ONLY`, `READ_WRITE`.
    pub fn named(word: &str) -> Option<Self> {
        use Privilege::{Alter, Create, Drop, Load, Select};
        let word = word.to_ascii_lowercase();
        match word.as_str() {
            "all" | "read_write" => Some(Self::of(&[Select, Load, Alter, Create, Drop])),
            "read_only" => Some(Self::of(&[Select])),
            _ => ALL
                .iter()
                .find(|(_, name)| name.eq_ignore_ascii_case(&word))
                .map(|(privilege, _)| Self::of(&[*privilege])),
        }
    }
}

impl std::fmt::Display for Privileges {
    /// `Select_priv,Load_priv`.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> =
            ALL.iter().filter(|(privilege, _)| self.contains(*privilege)).map(|(_, name)| *name).collect();
        out.write_str(&names.join(","))
    }
}

/// What an operation asks for: one of several privileges, and how a refusal calls them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub name: &'static str,
    pub any: Privileges,
}

impl Wanted {
    pub const ADMIN: Self = Self::new("ADMIN", &[Privilege::Admin]);
    pub const NODE: Self = Self::new("ADMIN/NODE", &[Privilege::Admin, Privilege::Node]);
    /// To change which nodes there are, for which ADMIN is not enough.
    pub const OPERATOR: Self = Self::new("NODE", &[Privilege::Node]);
    pub const GRANT: Self = Self::new("GRANT", &[Privilege::Admin, Privilege::Grant]);
    pub const SELECT: Self = Self::new("SELECT", &[Privilege::Admin, Privilege::Select]);
    pub const LOAD: Self = Self::new("LOAD", &[Privilege::Admin, Privilege::Load]);
    pub const ALTER: Self = Self::new("ALTER", &[Privilege::Admin, Privilege::Alter]);
    pub const CREATE: Self = Self::new("CREATE", &[Privilege::Admin, Privilege::Create]);
    pub const ALTER_CREATE: Self =
        Self::new("RECOVER", &[Privilege::Admin, Privilege::Alter, Privilege::Create]);
    pub const DROP: Self = Self::new("DROP", &[Privilege::Admin, Privilege::Drop]);
    /// Any privilege that lets an object be seen.
    pub const SHOW: Self = Self::new(
        "SHOW",
        &[
            Privilege::Admin,
            Privilege::Select,
            Privilege::Load,
            Privilege::Alter,
            Privilege::Create,
            Privilege::Drop,
            Privilege::ShowView,
        ],
    );

    const fn new(name: &'static str, any: &[Privilege]) -> Self {
        Self { name, any: Privileges::of(any) }
    }
}
