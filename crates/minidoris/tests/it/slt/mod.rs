//! Text tests of SQL, in the manner of sqllogictest.
//!
//! A file is a list of records, each ended by a blank line; `#` starts a comment line. Every file runs over
//! one MySQL connection to a cluster of its own with three backends and the databases `d`, which has binlogs
//! and is the current one, and `plain`, which has none. A record that begins with a line `connection NAME`
//! runs over another connection, which stays open.
//!
//! | first line | then | meaning |
//! |---|---|---|
//! | `statement ok` | SQL | runs, whatever it answers |
//! | `statement error TEXT` | SQL | fails, and `code: message` contains the text |
//! | `query [COLUMNS]` | SQL, `----`, rows | answers these rows; cells are joined by a bar |
//! | `wait [COLUMNS]` | the same | answers these rows within a bounded time |
//! | `contains` | SQL, `----`, lines | the answer contains each line, and none of those behind `!` |
//! | `let NAME COLUMN` | SQL | keeps that cell of the first row; `$NAME` stands for it in later SQL |
//! | `roundtrip KIND NAME` | SQL, `----`, lines | after the SQL, what SHOW CREATE KIND NAME prints contains each line; executed once the object is dropped, it makes an object that prints the same; nothing of it remains |
//! | `records [DB]` | lines `TYPE JSON` | as `binlogs`, with the whole JSON of each; `#1`, `#2`… stand for ids, `@` for times and commit seqs |
//! | `binlogs [DB]` | lines | these entries, and no others, were written since the last such record; a line `TYPE TEXT` asks for the text in the data too |
//!
//! `COLUMNS` names the columns to compare, joined by commas; without it all are.

mod parse;
mod run;

macro_rules! files {
    ($($name:ident),* $(,)?) => {
        $(#[tokio::test]
        async fn $name() {
            run::file(stringify!($name)).await;
        })*

        #[test]
        fn every_file_is_run() {
            let mut known = vec![$(concat!(stringify!($name), ".slt")),*];
            known.sort_unstable();
            assert_eq!(parse::file_names(), known);
        }
    };
}

files!(
    agg_states,
    alter_heavy,
    alter_light,
    async_partitions,
    async_views,
    binlog_properties,
    binlogs,
    cancel,
    complex_types,
    computed_columns,
    create_as_select,
    create_table,
    databases,
    delete_update,
    drivers,
    dynamic_partition,
    elements,
    explain,
    functions,
    indexes,
    insert_select,
    matching,
    names_and_comments,
    partitions,
    processlist,
    properties,
    queries,
    records,
    rename_replace,
    repositories,
    resources,
    rollup,
    round_trip,
    round_trip_altered,
    round_trip_partitions,
    round_trip_properties,
    round_trip_views,
    show_create_table,
    show_statements,
    show_where,
    sync_views,
    truncate_recover,
    user_variables,
    views,
    windows,
);
