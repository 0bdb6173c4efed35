//! The tables printed at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use crate::compare::Comparison;

/// What was measured.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub full_sync: Duration,
    /// From the last change upstream until nothing was left to replicate.
    pub catch_up: Duration,
    pub largest_lag: i64,
    pub changes: usize,
    /// Calls on both clusters between the end of the full sync and the end, by name.
    pub calls: BTreeMap<String, u64>,
}

/// Calls that the demo itself causes by asking for the lag, or that are no calls of the syncer.
fn is_replication(call: &str) -> bool {
    !call.contains(':') && call != "getBinlogLag"
}

impl Facts {
    /// Downstream transactions committed.
    pub fn transactions(&self) -> u64 {
        self.calls.get("commitTxn").copied().unwrap_or(0)
    }

    /// All summary tables as one text.
    pub fn render(&self, tables: &[Comparison], queries: &[Comparison]) -> String {
        let mut parts = vec![equality("table", tables), equality("query", queries), self.numbers()];
        parts.push(self.per_transaction());
        parts.join("\n")
    }

    fn numbers(&self) -> String {
        let mut table = plain();
        table.set_header(["measure", "value"]);
        table.add_row(["changes made upstream while replicating".to_owned(), self.changes.to_string()]);
        table.add_row(["transactions replicated".to_owned(), self.transactions().to_string()]);
        table.add_row(["full sync".to_owned(), seconds(self.full_sync)]);
        table.add_row(["catch-up after the last change".to_owned(), seconds(self.catch_up)]);
        table.add_row(["largest lag, in binlogs".to_owned(), self.largest_lag.to_string()]);
        table.add_row(["lag at the end, in binlogs".to_owned(), "0".to_owned()]);
        right(&mut table, &[1]);
        table.to_string()
    }

    fn per_transaction(&self) -> String {
        let mut table = plain();
        table.set_header(["call after the full sync", "count", "per transaction"]);
        let transactions = self.transactions().max(1);
        let per = |count: u64| format!("{:.2}", count as f64 / transactions as f64);
        let mut total = 0;
        for (call, count) in self.calls.iter().filter(|(call, count)| is_replication(call) && **count > 0) {
            table.add_row([call.clone(), count.to_string(), per(*count)]);
            total += count;
        }
        table.add_row(["all".to_owned(), total.to_string(), per(total)]);
        right(&mut table, &[1, 2]);
        table.to_string()
    }
}

fn equality(what: &str, comparisons: &[Comparison]) -> String {
    let mut table = plain();
    table.set_header([what, "rows", "checksum", "downstream"]);
    for comparison in comparisons {
        let outcome = comparison.difference.clone().unwrap_or_else(|| "EQUAL".to_owned());
        table.add_row([
            comparison.name.clone(),
            comparison.rows.to_string(),
            format!("{:016x}", comparison.checksum),
            outcome,
        ]);
    }
    right(&mut table, &[1]);
    table.to_string()
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table
}

fn right(table: &mut Table, columns: &[usize]) {
    for index in columns {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_and_equality_is_named() {
        let equal = Comparison { name: "t1".to_owned(), rows: 3, checksum: 1, difference: None };
        let other = Comparison { difference: Some("row 2 is missing".to_owned()), ..equal.clone() };
        let calls = BTreeMap::from([
            ("commitTxn".to_owned(), 4),
            ("getBinlog".to_owned(), 2),
            ("sql:USE".to_owned(), 9),
        ]);
        let text = Facts { calls, ..Facts::default() }.render(&[equal], &[other]);
        for part in ["EQUAL", "row 2 is missing", "0.50", "1.50"] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(!text.contains("sql:USE"));
    }
}
