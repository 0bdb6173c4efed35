//! TPC-H rows as stream load bodies: fields separated by `|`, one row a line.

use std::fmt::{Display, Write as _};

use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

/// Orders and order lines before this date are loaded before the job exists; the others arrive while it
/// runs.
const HISTORY_END: &str = "1996-01-01";

/// Rows for one stream load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub table: &'static str,
    pub rows: usize,
    pub body: String,
}

/// Makes the rows of one scale factor; the same rows each time.
#[derive(Debug, Clone, Copy)]
pub struct Generator {
    pub scale: f64,
}

/// Rows per stream load of the large tables.
const BATCH_ROWS: usize = 4_000;

impl Generator {
    /// Dimension tables, and orders with their lines before [`HISTORY_END`].
    pub fn history(&self) -> Vec<Batch> {
        let mut all = Vec::new();
        let scale = self.scale;
        batches(&mut all, "region", RegionGenerator::new(scale, 1, 1).iter());
        batches(&mut all, "nation", NationGenerator::new(scale, 1, 1).iter());
        batches(&mut all, "supplier", SupplierGenerator::new(scale, 1, 1).iter());
        batches(&mut all, "customer", CustomerGenerator::new(scale, 1, 1).iter());
        batches(&mut all, "part", PartGenerator::new(scale, 1, 1).iter());
        batches(&mut all, "partsupp", PartSuppGenerator::new(scale, 1, 1).iter());
        let (orders, lines) = self.orders(|date| date < HISTORY_END);
        batches(&mut all, "orders", orders.into_iter());
        batches(&mut all, "lineitem", lines.into_iter());
        all
    }

    /// Orders and order lines of one year after the history, in small batches.
    pub fn year(&self, year: i32, batch_rows: usize) -> Vec<Batch> {
        let prefix = format!("{year}-");
        let (orders, lines) = self.orders(|date| date.starts_with(&prefix) && date >= HISTORY_END);
        let mut all = Vec::new();
        batches_of(&mut all, "orders", orders.into_iter(), batch_rows);
        batches_of(&mut all, "lineitem", lines.into_iter(), batch_rows);
        all
    }

    /// The first customers again, with another balance: upserts of a unique table.
    pub fn changed_customers(&self, count: usize, round: u32) -> Batch {
        let rows = CustomerGenerator::new(self.scale, 1, 1).iter().take(count).map(|customer| {
            let text = customer.to_string();
            let mut fields: Vec<&str> = text.trim_end_matches('|').split('|').collect();
            let balance = format!("{round}.{:02}", customer.c_custkey % 100);
            if let Some(field) = fields.get_mut(5) {
                *field = &balance;
            }
            fields.join("|")
        });
        let mut all = Vec::new();
        batches_of(&mut all, "customer", rows, count.max(1));
        all.pop().unwrap_or(Batch { table: "customer", rows: 0, body: String::new() })
    }

    /// Order and line rows whose partition date satisfies `wanted`.
    fn orders(&self, wanted: impl Fn(&str) -> bool) -> (Vec<String>, Vec<String>) {
        let orders = OrderGenerator::new(self.scale, 1, 1)
            .iter()
            .filter(|order| wanted(&order.o_orderdate.to_string()))
            .map(|order| order.to_string())
            .collect();
        let lines = LineItemGenerator::new(self.scale, 1, 1)
            .iter()
            .filter(|line| wanted(&line.l_shipdate.to_string()))
            .map(|line| line.to_string())
            .collect();
        (orders, lines)
    }
}

fn batches<T: Display>(all: &mut Vec<Batch>, table: &'static str, rows: impl Iterator<Item = T>) {
    batches_of(all, table, rows, BATCH_ROWS);
}

/// Cuts rows into batches. The generators end each row with a separator, which a stream load would take
/// for one more column.
fn batches_of<T: Display>(
    all: &mut Vec<Batch>,
    table: &'static str,
    rows: impl Iterator<Item = T>,
    batch_rows: usize,
) {
    let mut batch = Batch { table, rows: 0, body: String::new() };
    for row in rows {
        let text = row.to_string();
        let _ = writeln!(batch.body, "{}", text.strip_suffix('|').unwrap_or(&text));
        batch.rows += 1;
        if batch.rows == batch_rows {
            all.push(std::mem::replace(&mut batch, Batch { table, rows: 0, body: String::new() }));
        }
    }
    if batch.rows > 0 {
        all.push(batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_columns_of_their_table_and_no_batch_is_empty() {
        let generator = Generator { scale: 0.001 };
        let mut all = generator.history();
        for year in 1996..=1998 {
            all.extend(generator.year(year, 100));
        }
        let columns = [
            ("region", 3),
            ("nation", 4),
            ("supplier", 7),
            ("customer", 8),
            ("part", 9),
            ("partsupp", 5),
            ("orders", 9),
            ("lineitem", 16),
        ];
        for (table, count) in columns {
            let mine: Vec<&Batch> = all.iter().filter(|batch| batch.table == table).collect();
            assert!(!mine.is_empty(), "{table} has rows");
            for batch in mine {
                assert_eq!(batch.body.lines().count(), batch.rows);
                assert!(batch.body.lines().all(|line| line.split('|').count() == count), "{table}");
            }
        }
        let rows = |table| all.iter().filter(|b| b.table == table).map(|b| b.rows).sum::<usize>();
        let lines = LineItemGenerator::new(0.001, 1, 1).iter().count();
        assert_eq!((rows("orders"), rows("lineitem")), (1500, lines), "nothing is lost between the parts");
    }

    #[test]
    fn changed_customers_differ_in_their_balance_only() {
        let generator = Generator { scale: 0.001 };
        let before = CustomerGenerator::new(0.001, 1, 1).iter().next().unwrap().to_string();
        let after = generator.changed_customers(1, 7);
        let (before, after): (Vec<&str>, Vec<&str>) =
            (before.trim_end_matches('|').split('|').collect(), after.body.trim_end().split('|').collect());
        let differing: Vec<usize> = (0..8).filter(|i| before[*i] != after[*i]).collect();
        assert_eq!((differing, after[5]), (vec![5], "7.01"));
    }
}
