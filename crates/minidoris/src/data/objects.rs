//! Values of the aggregate object types, kept as text: a BITMAP as its sorted members, an HLL as the
//! sorted hashes it has seen, a QUANTILE_STATE as the list of what went in.

use std::collections::BTreeSet;

/// Members of a bitmap text, sorted; `None` when a member is no unsigned number.
pub fn bitmap_members(text: &str) -> Option<BTreeSet<u64>> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(|part| part.parse().ok()).collect()
}

pub fn bitmap_text(members: &BTreeSet<u64>) -> String {
    let parts: Vec<String> = members.iter().map(u64::to_string).collect();
    parts.join(",")
}

pub fn bitmap_union(a: &str, b: &str) -> String {
    let mut members = bitmap_members(a).unwrap_or_default();
    members.extend(bitmap_members(b).unwrap_or_default());
    bitmap_text(&members)
}

/// The HLL of one text.
pub fn hll_hash(text: &str) -> String {
    format!("{:08x}{:08x}", crc32fast::hash(text.as_bytes()), text.len())
}

pub fn hll_union(a: &str, b: &str) -> String {
    let all: BTreeSet<&str> = a.split(',').chain(b.split(',')).filter(|part| !part.is_empty()).collect();
    all.into_iter().collect::<Vec<_>>().join(",")
}

/// All inputs of both, sorted so that the order of loads does not matter.
pub fn state_union(a: &str, b: &str) -> String {
    let mut all: Vec<&str> = a.split(',').chain(b.split(',')).filter(|part| !part.is_empty()).collect();
    all.sort_unstable();
    all.join(",")
}
