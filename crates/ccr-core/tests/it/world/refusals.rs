//! What a frontend answers to a statement that it does not execute, worded in one table.

use doris_types::failure::Cause;

use super::refusal;

const TABLE: &str = include_str!("refusals.txt");

/// The refusal of this name, with these values.
pub fn refused(name: &str, values: &[&str]) -> Cause {
    let mut lines = TABLE.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let line = lines.find(|line| line[0] == name).unwrap_or_else(|| panic!("there is no refusal {name}"));
    let mut text = line[3].to_owned();
    for (at, value) in values.iter().enumerate() {
        text = text.replace(&format!("{{{at}}}"), value);
    }
    refusal(1105, text)
}
