//! Who an account is: a user name and a pattern of hosts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `'user'@'host'`. Ordered so that, within one name, the more specific pattern comes first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UserIdentity {
    pub user: String,
    /// An address, or a pattern with `%` and `_`; `%` alone is any host.
    pub host: String,
}

impl UserIdentity {
    pub fn new(user: &str, host: &str) -> Self {
        Self { user: user.to_owned(), host: host.to_owned() }
    }

    /// Whether a client at `address` can be this account. An unknown address is only matched by `%`.
    pub fn admits(&self, address: Option<&str>) -> bool {
        self.host == "%" || address.is_some_and(|address| matches(self.host.as_bytes(), address.as_bytes()))
    }

    /// Smaller is tried earlier: addresses, then patterns by length, then any host.
    fn rank(&self) -> (u8, usize) {
        match self.host.as_str() {
            "%" => (2, 0),
            host if host.contains(['%', '_']) => (1, usize::MAX - host.len()),
            _ => (0, 0),
        }
    }
}

impl PartialOrd for UserIdentity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UserIdentity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |identity: &Self| identity.rank();
        self.user
            .cmp(&other.user)
            .then_with(|| key(self).cmp(&key(other)))
            .then_with(|| self.host.cmp(&other.host))
    }
}

impl fmt::Display for UserIdentity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "'{}'@'{}'", self.user, self.host)
    }
}

/// LIKE without an escape: `%` any text, `_` one character.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'%', rest)) => (0..=text.len()).any(|at| matches(rest, &text[at..])),
        Some((wanted, rest)) => text
            .split_first()
            .is_some_and(|(first, tail)| (*wanted == b'_' || wanted == first) && matches(rest, tail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_choose_addresses() {
        let cases = [
            ("%", None, true),
            ("%", Some("10.0.0.1"), true),
            ("10.0.0.1", Some("10.0.0.1"), true),
            ("10.0.0.1", None, false),
            ("10.0.0.1", Some("10.0.0.11"), false),
            ("10.%", Some("10.0.0.1"), true),
            ("10.%", Some("11.0.0.1"), false),
            ("10.0.0._", Some("10.0.0.7"), true),
        ];
        for (host, address, expected) in cases {
            assert_eq!(UserIdentity::new("u", host).admits(address), expected, "{host} {address:?}");
        }
    }

    #[test]
    fn specific_accounts_come_first() {
        let mut all = ["%", "10.%", "10.0.0.1", "10.0.%"].map(|host| UserIdentity::new("u", host)).to_vec();
        all.sort();
        let hosts: Vec<&str> = all.iter().map(|identity| identity.host.as_str()).collect();
        assert_eq!(hosts, ["10.0.0.1", "10.0.%", "10.%", "%"]);
    }
}
