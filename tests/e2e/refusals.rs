//! What the simulated frontend of the engine's own tests refuses is worded as the emulated one words it.

use crate::harness::{DB, Pair};
use crate::matrix::settle;

/// Tabs between: name, statement, values of {0} and {1}, the answer.
const TABLE: &str = include_str!("../../crates/ccr-core/tests/it/world/refusals.txt");

const SETUP: &[&str] = &[
    "CREATE TABLE t (k INT NOT NULL, v VARCHAR(20), n INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) \
     (PARTITION p1 VALUES LESS THAN (\"100\"), PARTITION p2 VALUES LESS THAN (\"200\")) \
     DISTRIBUTED BY HASH(k) BUCKETS 2",
    "CREATE TABLE spread (k INT) DUPLICATE KEY(k) DISTRIBUTED BY RANDOM BUCKETS 2",
    "ALTER TABLE t ADD INDEX i (v) USING INVERTED",
    "ALTER TABLE t MODIFY COLUMN v VARCHAR(30)",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_simulation_refuses_in_the_words_of_the_emulated_frontend() {
    let pair = Pair::start().await;
    pair.create_database().await;
    for statement in SETUP {
        pair.run(statement).await;
    }
    for rollup in ["r (k, n)", "s (k, v)"] {
        pair.run(&format!("ALTER TABLE t ADD ROLLUP {rollup}")).await;
        settle(&pair).await;
    }
    let mut different = Vec::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, statement, values, answer] = columns[..] else { panic!("four columns: {line}") };
        let filled = |text: &str| {
            let numbered = values.split(',').enumerate();
            numbered.fold(text.to_owned(), |text, (at, value)| text.replace(&format!("{{{at}}}"), value))
        };
        let (statement, answer) = (filled(statement), filled(answer));
        match pair.up.sql_in(DB, &statement).await {
            Err(error) if error.to_string().contains(&answer) => {}
            Err(error) => different.push(format!("{name}: {statement} is refused: {error}")),
            Ok(_) => different.push(format!("{name}: {statement} is not refused")),
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
