//! Private addresses of a cluster's nodes and the public ones that reach them.

use std::collections::BTreeMap;

use parking_lot::RwLock;

/// A host mapping that can be replaced while calls run.
///
/// Without entries every address is used as it is. With entries an address must be a private one with an
/// entry, or one that is public already: the target of an entry or a host that the operator named.
#[derive(Debug, Default)]
pub struct HostMapping {
    entries: RwLock<BTreeMap<String, String>>,
}

impl HostMapping {
    /// Entries with an empty public address are left out.
    pub fn new(entries: BTreeMap<String, String>) -> Self {
        let mapping = Self::default();
        mapping.replace(entries);
        mapping
    }

    pub fn replace(&self, mut entries: BTreeMap<String, String>) {
        entries.retain(|_, public| !public.is_empty());
        *self.entries.write() = entries;
    }

    /// The address under which `host` is reached; `None` when the operator must add an entry.
    pub(crate) fn map(&self, host: &str, is_public: impl Fn(&str) -> bool) -> Option<String> {
        let entries = self.entries.read();
        if let Some(public) = entries.get(host) {
            return Some(public.clone());
        }
        let known = entries.is_empty() || is_public(host) || entries.values().any(|public| public == host);
        known.then(|| host.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapping() {
        let mapping = HostMapping::default();
        assert_eq!(mapping.map("10.0.0.1", |_| false).as_deref(), Some("10.0.0.1"));
        let entries = [("10.0.0.1", "1.1.1.1"), ("10.0.0.2", "")];
        mapping.replace(entries.map(|(a, b)| (a.to_owned(), b.to_owned())).into());
        assert_eq!(mapping.map("10.0.0.1", |_| false).as_deref(), Some("1.1.1.1"));
        assert_eq!(mapping.map("1.1.1.1", |_| false).as_deref(), Some("1.1.1.1"));
        assert_eq!(mapping.map("10.0.0.2", |_| false), None);
        assert_eq!(mapping.map("2.2.2.2", |host| host == "2.2.2.2").as_deref(), Some("2.2.2.2"));
    }
}
