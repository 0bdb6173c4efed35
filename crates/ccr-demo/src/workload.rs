//! What happens upstream while the job runs: loads, upserts, deletes, truncates, new partitions and tables.
//!
//! The steps are made before they are run, from the scale and the seed, so a run can be repeated.

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::site::Site;
use crate::tpch::{Batch, Generator, YEARS_ADDED, add_partition, late_table};

/// One change of the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Load(Batch),
    Sql(String),
}

/// Rows of a stream load; small enough that the run has some hundred transactions at any scale.
fn batch_rows(scale: f64) -> usize {
    // The product is positive and at most some ten thousand.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rows = (scale * 60_000.0) as usize;
    rows.clamp(20, 8_000)
}

/// All steps in their order.
pub fn steps(generator: Generator, seed: u64) -> Vec<Step> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut steps = Vec::new();
    let rows = batch_rows(generator.scale);
    let mut round = 0;
    for year in 1996..=1998 {
        if YEARS_ADDED.contains(&year) {
            steps.extend(["orders", "lineitem"].map(|table| Step::Sql(add_partition(table, year))));
        }
        if year == 1997 {
            steps.push(Step::Sql(late_table().create));
        }
        for batch in generator.year(year, rows) {
            steps.push(Step::Load(batch));
            if random.random_bool(0.4) {
                round += 1;
                steps.extend(small_change(generator, &mut random, year, round));
            }
        }
        steps.push(Step::Sql(sales_of(year)));
    }
    steps
}

/// A change that touches a few rows.
fn small_change(generator: Generator, random: &mut StdRng, year: i32, round: u32) -> Vec<Step> {
    match random.random_range(0..5) {
        0 => {
            let old = random.random_range(1992..=1995);
            let key = random.random_range(1..5000);
            vec![Step::Sql(format!(
                "DELETE FROM orders PARTITION y{old} WHERE o_orderkey BETWEEN {key} AND {}",
                key + 50
            ))]
        }
        1 => vec![Step::Load(generator.changed_customers(random.random_range(1..40), round))],
        2 => {
            let rows: Vec<String> = (0..random.random_range(1..20))
                .map(|row| format!("({round}, 'note {row} of {round}')"))
                .collect();
            vec![Step::Sql(format!("INSERT INTO staging VALUES {}", rows.join(", ")))]
        }
        3 => vec![
            Step::Sql("TRUNCATE TABLE staging".to_owned()),
            Step::Sql(format!("INSERT INTO staging VALUES ({round}, NULL)")),
        ],
        _ if year >= 1997 => {
            let month = random.random_range(1..=12);
            vec![Step::Sql(format!(
                "INSERT INTO returned_items SELECT l_orderkey, l_linenumber, l_extendedprice, l_shipdate \
                 FROM lineitem WHERE l_returnflag = 'R' \
                 AND l_shipdate >= '1994-{month:02}-01' AND l_shipdate < '1994-{month:02}-15'"
            ))]
        }
        _ => vec![Step::Sql("DELETE FROM staging WHERE st_key < 3".to_owned())],
    }
}

/// Adds a year's orders to the aggregate table.
pub fn sales_of(year: i32) -> String {
    format!(
        "INSERT INTO sales_by_nation SELECT c_nationkey, o_orderstatus, COUNT(*), SUM(o_totalprice), \
         MAX(o_totalprice), MIN(o_orderdate) FROM orders JOIN customer ON o_custkey = c_custkey \
         WHERE o_orderdate >= '{year}-01-01' AND o_orderdate < '{}-01-01' \
         GROUP BY c_nationkey, o_orderstatus",
        year + 1
    )
}

impl Step {
    /// Does it. `number` makes the label of a load unique.
    pub async fn run(&self, upstream: &Site, database: &str, number: usize) -> Result<()> {
        match self {
            Step::Load(batch) => upstream.stream_load(database, &format!("demo_{number}"), batch).await,
            Step::Sql(sql) => upstream.execute_in(database, sql).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_depend_on_the_seed_only_and_hold_every_kind_of_change() {
        let generator = Generator { scale: 0.001 };
        let first = steps(generator, 1);
        assert_eq!(first, steps(generator, 1));
        assert_ne!(first, steps(generator, 2));
        let sql: Vec<&str> = first
            .iter()
            .filter_map(|step| match step {
                Step::Sql(sql) => Some(sql.as_str()),
                Step::Load(_) => None,
            })
            .collect();
        for kind in [
            "ALTER TABLE orders ADD PARTITION y1998",
            "CREATE TABLE returned_items",
            "TRUNCATE TABLE staging",
            "DELETE FROM orders",
            "INSERT INTO sales_by_nation",
        ] {
            assert!(sql.iter().any(|sql| sql.starts_with(kind)), "{kind}");
        }
    }
}
