//! A reader of one table or view, who notes every answer.
//!
//! It asks for the rows and for the schema over and over, each in a statement of its own, as no reader gets both
//! from one. So the answers are judged apart: of either kind only those that are expected may be seen, each
//! before the next, and no read may fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use minidoris::Cluster;
use tokio::task::JoinHandle;

use super::compare::Place;
use super::{BOUND, wait_until};

/// Between two reads, so that many readers leave something of the machine to the others.
const PAUSE: Duration = Duration::from_millis(1);

/// How many more reads are many.
const MANY: u64 = 20;

/// The mark that Doris shows on a table which an atomic restore is about to replace; its schema is the old one.
const IN_RESTORE: &str = ",\n\"in_atomic_restore\" = \"true\"";

/// Everything that an answer says: for rows their columns and values, for a schema the statement.
pub type Answer = (Vec<String>, Vec<Vec<Option<String>>>);

/// What is seen of a table or view: each answer once, in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    pub rows: Vec<Answer>,
    pub schema: Vec<Answer>,
}

/// Reads until it is told to finish.
pub struct Reader {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
    task: JoinHandle<Result<Seen, String>>,
}

impl Reader {
    /// Reads that table or view, ordered by its column `k`, which tells its rows apart.
    pub fn start(place: Place<'_>, name: &str) -> Self {
        let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let task = tokio::spawn(read_on(
            place.cluster.clone(),
            place.db.to_owned(),
            name.to_owned(),
            Arc::clone(&stop),
            Arc::clone(&reads),
        ));
        Self { stop, reads, task }
    }

    /// Waits until it has read many more times.
    pub async fn reads_on(&self) {
        let wanted = self.reads.load(Ordering::Acquire) + MANY;
        wait_until("the reader reads on", BOUND, || async {
            let reads = self.reads.load(Ordering::Acquire);
            // One whose read has failed is heard when it is told to finish.
            if reads >= wanted || self.task.is_finished() { Ok(()) } else { Err(format!("{reads} reads")) }
        })
        .await;
    }

    /// What it has seen. Fails the test if a read has failed.
    pub async fn finish(self) -> Seen {
        self.reads_on().await;
        self.stop.store(true, Ordering::Release);
        self.task.await.expect("the reader does not panic").unwrap_or_else(|error| panic!("{error}"))
    }
}

async fn read_on(
    cluster: Cluster,
    db: String,
    name: String,
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
) -> Result<Seen, String> {
    let mut seen = Seen::default();
    while !stop.load(Ordering::Acquire) {
        let place = Place { cluster: &cluster, db: &db };
        let read = look(place, &name).await;
        let (rows, schema) =
            read.map_err(|error| format!("read {}: {error}", reads.load(Ordering::Acquire)))?;
        note(&mut seen.rows, rows);
        note(&mut seen.schema, schema);
        reads.fetch_add(1, Ordering::AcqRel);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(seen)
}

fn note(seen: &mut Vec<Answer>, answer: Answer) {
    if seen.last() != Some(&answer) {
        seen.push(answer);
    }
}

/// The rows and the schema of a table or view as they are now.
pub async fn look(place: Place<'_>, name: &str) -> Result<(Answer, Answer), String> {
    let answer = async |sql: String| {
        let result = place.cluster.sql_in(place.db, &sql).await;
        result.map(|set| (set.columns, set.rows)).map_err(|error| format!("{sql}: {error}"))
    };
    let rows = answer(format!("SELECT * FROM `{name}` ORDER BY k")).await?;
    // Of a view it shows what SHOW CREATE VIEW does.
    let (columns, mut shown) = answer(format!("SHOW CREATE TABLE `{name}`")).await?;
    for cell in shown.iter_mut().flatten().flatten() {
        *cell = cell.replace(IN_RESTORE, "");
    }
    Ok((rows, (columns, shown)))
}
