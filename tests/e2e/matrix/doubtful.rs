//! Every statement to the target whose answer is lost after the work, and the process that dies before and after
//! each: the doubt ends in the same table, without a copy that is not needed and with nothing blocked.

use minidoris::{Fault, FaultKind};
use serde_json::json;

use super::run::{Shape, end_of, run, settle, slow_pair};
use super::same::{assert_same_databases, assert_same_table};
use super::{Case, EVERY, SETTLE};
use crate::harness::{BOUND, Pair, Syncer, Target, wait_until};

const MOMENT: &str = "stream";
const ENABLED: &str = "--enable_failpoints";

/// What the statements that change a target begin with.
const CHANGING: [&str; 5] = ["sql:ALTER*", "sql:CREATE*", "sql:DROP*", "sql:TRUNCATE*", "sql:BUILD*"];

/// Parts of statements upstream that no statement repeats: what is ingested, copied, or left alone.
const NOT_REPEATED: [&str; 7] = [
    "INSERT INTO",
    "DELETE FROM",
    "MODIFY COLUMN",
    "ALTER DATABASE",
    "MODIFY PARTITION",
    "ADD INDEX",
    "RECOVER",
];

/// Those that a table job does not repeat either: of other tables, of views, of names.
const NOT_IN_TABLE_JOBS: [&str; 6] =
    ["CREATE TABLE", "DROP TABLE", "VIEW", "RENAME {t}_new", "REPLACE WITH TABLE", "{t}_x"];

/// Parts of statements after which the table is copied again.
const COPIED: [&str; 3] = ["MODIFY COLUMN", "ADD INDEX", "RECOVER"];

/// Who follows the cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Jobs {
    /// One database job.
    Database,
    /// One table job per case.
    Table,
}

impl Jobs {
    fn repeats(self, statement: &str) -> bool {
        let is_one_of = |parts: &[&str]| parts.iter().any(|part| statement.contains(part));
        statement != SETTLE
            && !is_one_of(&NOT_REPEATED)
            && (self == Jobs::Database || !is_one_of(&NOT_IN_TABLE_JOBS))
    }

    /// Those with something to repeat.
    fn cases(self) -> Vec<Case> {
        let repeats = |case: &&Case| case.change.iter().any(|statement| self.repeats(statement));
        EVERY.iter().filter(repeats).copied().collect()
    }

    fn name(self, case: &Case) -> String {
        match self {
            Jobs::Database => "doubtful".to_owned(),
            Jobs::Table => Shape::OTHER_TABLE.target_of(case, MOMENT),
        }
    }
}

/// Clusters and a syncer, its jobs in sync.
struct Doubt {
    jobs: Jobs,
    cases: Vec<Case>,
    pair: Pair,
    syncer: Syncer,
}

impl Doubt {
    async fn start(jobs: Jobs) -> Self {
        let doubt = Self {
            jobs,
            cases: jobs.cases(),
            pair: slow_pair(|_| {}).await,
            syncer: Syncer::start_with(&[ENABLED]).await,
        };
        run(&doubt.pair, &doubt.cases, MOMENT, |case| case.setup).await;
        if jobs == Jobs::Database {
            doubt.syncer.create(&doubt.pair.database_job("doubtful")).await;
        } else {
            for case in &doubt.cases {
                let (source, target) = (Shape::SAME.target_of(case, MOMENT), jobs.name(case));
                doubt.syncer.create(&doubt.pair.table_job(&target, &source, &target)).await;
                // One after the other, for a backup that has to wait is submitted more than once.
                doubt.syncer.wait_for(&target, Target::InSync).await;
            }
        }
        doubt.all_in_sync().await;
        doubt
    }

    async fn all_in_sync(&self) {
        for case in &self.cases {
            self.syncer.wait_for(&self.jobs.name(case), Target::InSync).await;
        }
    }

    /// Runs one statement upstream and waits until it is replicated.
    async fn change(&self, case: &Case, statement: &'static str) {
        if statement == SETTLE {
            settle(&self.pair).await;
        } else {
            self.send(case, statement).await;
        }
        self.syncer.wait_for(&self.jobs.name(case), Target::InSync).await;
    }

    async fn send(&self, case: &Case, statement: &'static str) {
        self.pair.run(&statement.replace("{t}", &Shape::SAME.target_of(case, MOMENT))).await;
    }

    /// Both sides are equal, also after further loads, and no more was copied than `copies`.
    async fn finish(self, backups: u64) {
        for _ in 0..2 {
            run(&self.pair, &self.cases, MOMENT, |case| case.after).await;
            self.all_in_sync().await;
        }
        match self.jobs {
            Jobs::Database => assert_same_databases(self.pair.source(), self.pair.target()).await,
            Jobs::Table => {
                for case in &self.cases {
                    let (end, target) = (end_of(case, MOMENT), self.jobs.name(case));
                    assert_same_table(self.pair.source(), &end, self.pair.target(), &target).await;
                }
            }
        }
        assert_eq!(self.pair.up.counters().get("sql:BACKUP"), backups, "what is repeated needs no copy");
        self.syncer.finish().await;
    }

    /// How many backups there are when each change that needs a copy is copied once: one job's first, and those.
    fn needed_backups(&self) -> u64 {
        let jobs = if self.jobs == Jobs::Database { 1 } else { self.cases.len() };
        let statements = self.cases.iter().flat_map(|case| case.change);
        let copied = |statement: &&&str| COPIED.iter().any(|part| statement.contains(part));
        u64::try_from(jobs + statements.filter(copied).count()).expect("a few")
    }
}

async fn answers_are_lost(jobs: Jobs) {
    let doubt = Doubt::start(jobs).await;
    let backups = doubt.needed_backups();
    for case in &doubt.cases {
        for statement in case.change {
            if !jobs.repeats(statement) {
                doubt.change(case, statement).await;
                continue;
            }
            eprintln!("{}: {statement}", case.name);
            for call in CHANGING {
                doubt.pair.down.faults().add(Fault::new(FaultKind::CutAfter).call(call).times(1));
            }
            doubt.send(case, statement).await;
            wait_until("a statement reaches the target", BOUND, || async {
                let rules = doubt.pair.down.faults().rules();
                if rules.len() < CHANGING.len() { Ok(()) } else { Err(format!("{rules:?}")) }
            })
            .await;
            doubt.syncer.wait_for(&jobs.name(case), Target::InSync).await;
            doubt.pair.down.faults().clear();
        }
    }
    doubt.finish(backups).await;
}

async fn the_process_dies(jobs: Jobs) {
    let mut doubt = Doubt::start(jobs).await;
    let backups = doubt.needed_backups();
    for case in doubt.cases.clone() {
        for statement in case.change {
            if !jobs.repeats(statement) {
                doubt.change(&case, statement).await;
                continue;
            }
            eprintln!("{}: {statement}", case.name);
            let name = jobs.name(&case);
            let failpoint = json!({ "name": name, "failpoint": "execute:before", "value": "crash" });
            doubt.syncer.call("failpoint", &failpoint).await;
            doubt.send(&case, statement).await;
            doubt.syncer.crashed().await;
            doubt.syncer.set_flags(&[ENABLED, "--failpoints", "execute:after=crash"]);
            doubt.syncer.launch();
            doubt.syncer.crashed().await;
            doubt.syncer.set_flags(&[ENABLED]);
            doubt.syncer.restart().await;
            doubt.syncer.wait_for(&name, Target::InSync).await;
        }
    }
    doubt.finish(backups).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_any_statement_of_a_database_job_may_be_lost() {
    answers_are_lost(Jobs::Database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_any_statement_of_a_table_job_may_be_lost() {
    answers_are_lost(Jobs::Table).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_job_may_die_before_and_after_any_statement() {
    the_process_dies(Jobs::Database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_job_may_die_before_and_after_any_statement() {
    the_process_dies(Jobs::Table).await;
}
