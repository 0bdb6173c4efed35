//! Random statements of all kinds on a few tables, with random disturbances: whenever the work pauses, the
//! target becomes the source, and no statement of these demands a second full sync. And whenever a database job says
//! that it has no lag, its tables are equal at that moment. (A table job notices only after a while that another
//! table has the name.)
//!
//! What is drawn follows from a seed; which of it the source refuses also from how quickly its schema changes
//! end, so a seed may have to be run more than once. `CCR_RANDOM_SEEDS=100` runs seeds 0 to 99 instead of a few;
//! `CCR_RANDOM_SEED=7` runs one, and prints what it does.
//!
//! The statements are drawn with little regard to the tables, so the source refuses some of them: a partition
//! is not there, a schema change is under way. Then others are drawn.

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;

use super::disturbed::{disturb, seeds};
use super::run::{assert_one_full_backup, slow_pair};
use super::user::{FOLLOWED, TABLES, User, VIEWS};
use super::{same, settle};
use crate::harness::compare::{Contents, Place, contents};
use crate::harness::{BOUND, DB, Pair, Syncer, Target, wait_until};

const JOB: &str = "random";
const SEEDS: u64 = 3;
const SEEDS_OF_TABLE_JOBS: u64 = 2;
const ROUNDS: usize = 5;
const STATEMENTS_PER_ROUND: usize = 12;
/// So often a statement is drawn until the source takes one.
const DRAWS: usize = 20;
/// So often the lag is asked for behind a statement, until there is none.
const LOOKS: usize = 40;

/// Who follows the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jobs {
    /// One database job.
    Database,
    /// A table job for each of [`FOLLOWED`], whatever table has that name.
    Tables,
}

impl Jobs {
    async fn create(self, pair: &Pair, syncer: &Syncer) {
        match self {
            Self::Database => syncer.create(&pair.database_job(JOB)).await,
            Self::Tables => {
                for table in FOLLOWED {
                    syncer.create(&pair.table_job(table, table, &target_of(table))).await;
                }
            }
        }
    }

    async fn in_sync(self, syncer: &Syncer) {
        let jobs = if self == Self::Database { &[JOB][..] } else { &FOLLOWED[..] };
        for job in jobs {
            syncer.wait_for(job, Target::InSync).await;
        }
    }

    /// Waits until the target is the source.
    async fn end_equal(self, pair: &Pair, syncer: &Syncer) {
        match self {
            Self::Database => {
                wait_until("no lag", BOUND, || no_lag_is_equality(pair, syncer)).await;
                same::assert_same_but_temporary(pair).await;
            }
            Self::Tables => {
                self.in_sync(syncer).await;
                for table in FOLLOWED {
                    let target = target_of(table);
                    // A job looks now and then only whether another table has the name.
                    wait_until(&format!("{target} is {table}"), BOUND, || async {
                        let up = contents(pair.source(), table).await?;
                        let down = contents(pair.target(), &target).await?;
                        if up == down { Ok(()) } else { Err(format!("{up:?} upstream, {down:?} downstream")) }
                    })
                    .await;
                    self.in_sync(syncer).await;
                    same::assert_same_table_but_temporary(pair, table, &target).await;
                }
            }
        }
    }
}

/// Asks for the lag of the database job, and if there is none, fails the test unless the tables are equal. An error
/// where that was not told, or the source has moved on meanwhile, as it does when a schema change ends.
async fn no_lag_is_equality(pair: &Pair, syncer: &Syncer) -> Result<(), String> {
    let journal_id = || pair.up.inner().fe.lock().journal_id;
    let before = journal_id();
    let answer = syncer.post("get_lag", &json!({ "name": JOB })).await;
    if answer["success"] != json!(true) || answer["lag"] != json!(0) {
        return Err(format!("{answer}; {}", syncer.progress(JOB).await));
    }
    let (up, down) = (tables(pair.source()).await, tables(pair.target()).await);
    let (up_views, down_views) = (views(pair.source()).await, views(pair.target()).await);
    let moved_on = journal_id() - before;
    if moved_on > 0 {
        return Err(format!("the source has moved on by {moved_on}"));
    }
    assert_eq!(up, down, "without a lag (upstream left, downstream right): {answer}");
    assert_eq!(up_views, down_views, "views without a lag (upstream left, downstream right): {answer}");
    Ok(())
}

/// The definitions of all views by name. Their rows cannot be read when their query has lost its table.
async fn views(place: Place<'_>) -> Vec<(String, String)> {
    let shown = place.cluster.sql_in(place.db, "SHOW FULL TABLES").await.expect("tables are listed").rows;
    let mut all = Vec::new();
    for row in shown.iter().filter(|row| row[1].as_deref() == Some("VIEW")) {
        let name = row[0].clone().expect("a name");
        // It may have been dropped since it was listed.
        let created = place.cluster.sql_in(place.db, &format!("SHOW CREATE VIEW `{name}`")).await;
        let text =
            created.map_or_else(|error| error.to_string(), |shown| shown.rows[0][1].clone().expect("a text"));
        all.push((name, text.replace(&same::in_db(place), "")));
    }
    all
}

/// All tables by name, but for views.
async fn tables(place: Place<'_>) -> Vec<(String, Result<Contents, String>)> {
    let shown = place.cluster.sql_in(place.db, "SHOW FULL TABLES").await.expect("tables are listed").rows;
    let mut all = Vec::new();
    for row in shown {
        if let [Some(name), Some(kind), ..] = &row[..]
            && kind != "VIEW"
        {
            all.push((name.clone(), contents(place, name).await));
        }
    }
    all
}

fn target_of(table: &str) -> String {
    format!("{table}_target")
}

/// Drops the views that no query can read any more, as they cannot be compared.
async fn drop_broken_views(pair: &Pair) {
    for view in VIEWS {
        if pair.up.sql_in(DB, &format!("SELECT * FROM {view}")).await.is_err() {
            pair.run(&format!("DROP VIEW IF EXISTS {view}")).await;
        }
    }
}

/// Draws statements until the source takes one, or has taken none for long, and returns how many it refused.
async fn write(user: &mut User, pair: &Pair, tells: bool) -> usize {
    for refused in 0..DRAWS {
        let statement = user.statement();
        let result = pair.up.sql_in(DB, &statement).await;
        if tells {
            let error = result.as_ref().err().map(|error| format!(" -- {error}")).unwrap_or_default();
            eprintln!("{statement};{error}");
        }
        if result.is_ok() {
            return refused;
        }
    }
    // Every table may be in the midst of a change.
    settle(pair).await;
    DRAWS
}

async fn follows(seed: u64, jobs: Jobs) {
    let tells = std::env::var_os("CCR_RANDOM_SEED").is_some();
    let mut user = User { random: StdRng::seed_from_u64(seed), jobs, rows: 0 };
    let pair = slow_pair(|options| options.frontends = 2).await;
    // Temporary partitions may stay; copies would wait for them otherwise.
    pair.sql("ADMIN SET ALL FRONTENDS CONFIG (\"ignore_backup_tmp_partitions\" = \"true\")").await;
    let disturbed = user.one_of(60);
    for table in TABLES {
        let create = user.create(table);
        pair.run(&create).await;
    }
    let mut syncer = Syncer::start().await;
    syncer.allow("keeps failing, retrying");
    jobs.create(&pair, &syncer).await;
    if user.one_of(50) {
        jobs.in_sync(&syncer).await;
    }

    let (mut refused, mut without_lag) = (0, 0);
    for round in 0..ROUNDS {
        for _ in 0..STATEMENTS_PER_ROUND {
            if disturbed && user.one_of(15) {
                let disturbance = disturb(&mut user.random, &pair);
                if tells {
                    eprintln!("-- {disturbance}");
                }
            }
            refused += write(&mut user, &pair, tells).await;
            let looks = if jobs == Jobs::Database && user.one_of(30) { LOOKS } else { 0 };
            for _ in 0..looks {
                if no_lag_is_equality(&pair, &syncer).await.is_ok() {
                    without_lag += 1;
                    break;
                }
            }
        }
        if user.one_of(60) || round + 1 == ROUNDS {
            settle(&pair).await;
            drop_broken_views(&pair).await;
            eprintln!(
                "seed {seed}: a pause in round {round}, {refused} statements were refused, {without_lag} times there was no lag"
            );
            jobs.end_equal(&pair, &syncer).await;
        }
    }
    assert_one_full_backup(&syncer, if jobs == Jobs::Database { 1 } else { FOLLOWED.len() });
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_users_do_the_target_becomes_the_source() {
    for seed in seeds("RANDOM", SEEDS) {
        follows(seed, Jobs::Database).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_users_do_the_targets_of_table_jobs_become_their_sources() {
    for seed in seeds("RANDOM", SEEDS_OF_TABLE_JOBS) {
        follows(seed, Jobs::Tables).await;
    }
}
