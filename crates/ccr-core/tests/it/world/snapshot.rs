//! Backups: one at a time per database, with a barrier per table, kept by label.

use std::collections::{BTreeMap, VecDeque};

use doris_types::call::{BackupObjects, BackupTable, Snapshot, SnapshotAnswer};
use doris_types::meta::SnapshotJob;
use serde_json::json;

use super::behind::Course;
use super::catalog::{Table, View};
use super::{Answer, Inner, SOURCE_DB, refusal};

/// Work that users do upstream at a chosen moment.
pub type Work = Box<dyn FnOnce(&mut Inner) + Send>;

#[derive(Default)]
pub struct Backups {
    pub jobs: Vec<Backup>,
    /// Done one by one, after the database's barrier and after each table's.
    pub between_barriers: VecDeque<Work>,
    /// The table of this name is left out of the next backup: another one had its name for a moment.
    pub loses: Option<String>,
    /// Tables with temporary partitions are refused, as Doris does unless it is told to ignore these.
    pub refuses_temporary: bool,
    /// So are names to be left out that nothing has.
    pub refuses_unknown: bool,
    /// No replica of this table can be read.
    pub unreadable: Option<&'static str>,
    /// Done when the next backup arrives that is to leave out something.
    pub before_exception: Option<Work>,
    /// The names that each backup of the database was to leave out.
    pub exceptions: Vec<Vec<String>>,
    /// How many of the next backups end in CANCELLED.
    pub cancel: u32,
    /// Statements accepted for a label of the syncer.
    pub accepted: u32,
    /// How many of the next getSnapshot say that there is none.
    pub forget: u32,
    /// How often either has happened.
    pub cancelled: u32,
    pub forgotten: u32,
}

impl std::fmt::Debug for Backups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backups").field("jobs", &self.jobs).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
pub struct Backup {
    id: i64,
    pub label: String,
    pub state: &'static str,
    pub status: String,
    started_ms: i64,
    /// The barrier of the database.
    pub commit_seq: i64,
    /// Tables that were listed; who has the name when the work begins is backed up.
    listed: Vec<BackupTable>,
    /// What was asked for: tables by their names, or all of those that there were.
    asked: (Vec<BackupTable>, VecDeque<(i64, Vec<String>)>),
    /// The frontend that kept it is not the master any more.
    is_lost: bool,
    /// Tables still without a barrier, and the partitions that are wanted of them; none stands for all.
    waiting: VecDeque<(i64, Vec<String>)>,
    /// It was asked for some partitions only.
    pub is_part: bool,
    /// Table id to its barrier.
    pub barriers: BTreeMap<i64, i64>,
    /// The tables as they were at their barriers.
    pub tables: Vec<Table>,
    pub views: BTreeMap<String, View>,
    pub course: Course,
}

/// How long a job takes until it starts on the tables, until that is journalled, and until it ends.
const START_MS: i64 = 200;
const JOURNALLED_MS: i64 = 300;
const END_MS: i64 = 400;

impl Backups {
    pub fn is_running(&self) -> bool {
        self.jobs.iter().any(Backup::is_running)
    }
}

impl Backup {
    fn is_running(&self) -> bool {
        !matches!(self.state, "FINISHED" | "CANCELLED")
    }

    pub fn job(&self) -> SnapshotJob {
        SnapshotJob {
            id: self.id,
            label: self.label.clone(),
            state: self.state.to_owned(),
            status: self.status.clone(),
            progress: String::new(),
        }
    }
}

/// The refusal of a second job of a database, with the odd blank of the original.
pub fn another_is_running(label: &str, running: &str) -> doris_types::failure::Cause {
    refusal(
        5064,
        format!(
            "Can only run one backup or restore job of a database at same time , current running: label = \
             {running} jobId = 7, to run label = {label}"
        ),
    )
}

impl Inner {
    pub fn start_backup(&mut self, label: &str, objects: &BackupObjects) -> Answer<()> {
        if matches!(objects, BackupObjects::All { except } if !except.is_empty())
            && let Some(work) = self.backups.before_exception.take()
        {
            work(self);
        }
        if let BackupObjects::All { except } = objects
            && let Some(name) = except.iter().find(|name| self.source.table(name).is_none())
            && self.backups.refuses_unknown
        {
            return Err(refusal(1051, format!("Unknown table '{name}'")));
        }
        let (tables, except): (&[BackupTable], &[String]) = match objects {
            BackupObjects::All { except } => (&[], except),
            BackupObjects::Listed(tables) => (tables, &[]),
        };
        if let Some(running) = self.backups.jobs.iter().find(|job| job.is_running()) {
            return Err(another_is_running(label, &running.label));
        }
        let mut waiting = VecDeque::new();
        for BackupTable { name, partitions } in tables {
            let table = self.source.table(name);
            let table = table.ok_or_else(|| refusal(1051, format!("Unknown table '{name}'")))?;
            let unknown =
                partitions.iter().find(|name| table.partitions.iter().all(|one| one.name != **name));
            if let Some(unknown) = unknown {
                return Err(refusal(5064, format!("Unknown partition {unknown} in table{name}")));
            }
        }
        if let BackupObjects::All { except } = objects {
            let all = self.source.tables.values().filter(|table| !except.contains(&table.name));
            waiting = all.map(|table| (table.id, Vec::new())).collect();
        }
        self.check_temporary(tables, &waiting)?;
        let commit_seq = self.journal_id();
        if label.starts_with("ccr") {
            self.backups.accepted += 1;
        }
        let id = self.id();
        let mut backup = Backup {
            id,
            label: label.to_owned(),
            state: "PENDING",
            status: "[OK]".to_owned(),
            started_ms: self.now_ms,
            commit_seq,
            is_part: tables.iter().any(|table| !table.partitions.is_empty()),
            asked: (tables.to_vec(), waiting.clone()),
            is_lost: false,
            listed: tables.to_vec(),
            waiting,
            barriers: BTreeMap::new(),
            tables: Vec::new(),
            views: self.views_but(objects),
            course: Course::default(),
        };
        backup.course = Course::new(self.now_ms, backup.job());
        self.backups.jobs.push(backup);
        self.backups.exceptions.push(except.to_vec());
        self.work_between_barriers();
        Ok(())
    }

    fn views_but(&self, objects: &BackupObjects) -> BTreeMap<String, View> {
        match objects {
            BackupObjects::All { except } => {
                let views = self.source.views.iter().filter(|(name, _)| !except.contains(name));
                views.map(|(name, view)| (name.clone(), view.clone())).collect()
            }
            BackupObjects::Listed(_) => BTreeMap::new(),
        }
    }

    fn check_temporary(&self, listed: &[BackupTable], all: &VecDeque<(i64, Vec<String>)>) -> Answer<()> {
        let is_asked = |table: &&Table| {
            all.iter().any(|(id, _)| *id == table.id) || listed.iter().any(|one| one.name == table.name)
        };
        let has_temporary = |table: &&Table| table.partitions.iter().any(|one| one.is_temporary);
        match self.source.tables.values().filter(is_asked).find(has_temporary) {
            Some(table) if self.backups.refuses_temporary => {
                let text = format!("Do not support backup table {} with temp partitions", table.name);
                Err(refusal(5064, text))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn work_between_barriers(&mut self) {
        if let Some(work) = self.backups.between_barriers.pop_front() {
            work(self);
        }
    }

    pub fn tick_backups(&mut self) {
        let now = self.now_ms;
        let Some(at) = self.backups.jobs.iter().position(Backup::is_running) else { return };
        let age = now - self.backups.jobs[at].started_ms;
        if age >= START_MS {
            let listed = std::mem::take(&mut self.backups.jobs[at].listed);
            let found = listed.into_iter().filter_map(|BackupTable { name, partitions }| {
                self.source.table(&name).map(|table| (table.id, partitions))
            });
            let found: Vec<_> = found.collect();
            self.backups.jobs[at].waiting.extend(found);
            while let Some((id, wanted)) = self.backups.jobs[at].waiting.pop_front() {
                // A table that was dropped meanwhile is left out, and so are partitions that are gone.
                let found = self.source.tables.get(&id).cloned();
                let is_lost =
                    found.as_ref().is_some_and(|table| self.backups.loses.as_ref() == Some(&table.name));
                if is_lost {
                    self.backups.loses = None;
                } else if let Some(mut table) = found {
                    table.partitions.retain(|one| wanted.is_empty() || wanted.contains(&one.name));
                    let seq = self.barrier(id);
                    let job = &mut self.backups.jobs[at];
                    job.barriers.insert(id, seq);
                    job.tables.push(table);
                }
                self.work_between_barriers();
            }
            self.backups.jobs[at].state = "UPLOADING";
        }
        if age >= END_MS {
            let job = &mut self.backups.jobs[at];
            let is_unreadable = |table: &&Table| self.backups.unreadable == Some(table.name.as_str());
            if let Some(table) = job.tables.iter().find(is_unreadable) {
                let tablet =
                    table.partitions.iter().flat_map(|one| &one.tablets).next().map(|tablet| tablet.id);
                let tablet = tablet.unwrap_or_default();
                self.backups.cancelled += 1;
                job.state = "CANCELLED";
                job.status = format!(
                    "[COMMON_ERROR, msg: failed to choose replica to make snapshot for tablet {tablet}. visible \
                     version: 3]"
                );
            } else if self.backups.cancel > 0 && job.label.starts_with("ccr") {
                self.backups.cancel -= 1;
                self.backups.cancelled += 1;
                job.state = "CANCELLED";
                job.status = "[COMMON_ERROR, msg: user cancelled]".to_owned();
            } else {
                job.state = "FINISHED";
            }
        }
    }

    /// A new master goes on with what was journalled.
    pub fn resume_backup(&mut self, since_ms: i64) {
        let now = self.now_ms;
        let Some(job) = self.backups.jobs.iter_mut().find(|job| job.is_running()) else { return };
        if now - job.started_ms < JOURNALLED_MS {
            (job.state, job.started_ms) = ("PENDING", since_ms);
            (job.listed, job.waiting) = job.asked.clone();
            job.barriers.clear();
            job.tables.clear();
        } else {
            job.started_ms = since_ms - JOURNALLED_MS;
        }
    }

    /// A new master has not made the snapshots of the one before.
    pub fn lose_snapshots(&mut self) {
        if self.plan.loses_snapshots {
            for job in self.backups.jobs.iter_mut().filter(|job| job.state == "FINISHED") {
                job.is_lost = true;
            }
        }
    }

    pub fn snapshot(&mut self, label: &str) -> SnapshotAnswer {
        if self.backups.forget > 0 {
            self.backups.forget -= 1;
            self.backups.forgotten += 1;
            self.backups.jobs.retain(|job| job.label != label);
        }
        let found = self.backups.jobs.iter().find(|job| job.label == label && job.state == "FINISHED");
        let Some(job) = found else { return SnapshotAnswer::NotExist };
        if job.is_lost {
            self.backups.forgotten += 1;
            return SnapshotAnswer::NotExist;
        }
        SnapshotAnswer::Ready(Snapshot {
            meta: b"meta".to_vec(),
            job_info: self.job_info(job).into_bytes(),
            commit_seq: Some(job.commit_seq),
            expires_at_ms: None,
        })
    }

    fn job_info(&self, job: &Backup) -> String {
        let mut objects = serde_json::Map::new();
        let mut tablet_be_map = serde_json::Map::new();
        for table in &job.tables {
            let mut partitions = serde_json::Map::new();
            for partition in table.partitions.iter().filter(|partition| !partition.is_temporary) {
                let order: Vec<i64> = partition.tablets.iter().map(|tablet| tablet.id).collect();
                for id in &order {
                    tablet_be_map.insert(id.to_string(), json!(self.source.backends[0].id));
                }
                let index =
                    json!({"id": table.index_id, "schema_hash": 1, "tablets": {}, "tablets_order": order});
                let indexes = json!({ table.name.clone(): index });
                let partition_json =
                    json!({"id": partition.id, "version": partition.version, "indexes": indexes});
                partitions.insert(partition.name.clone(), partition_json);
            }
            objects.insert(table.name.clone(), json!({"id": table.id, "partitions": partitions}));
        }
        let views: Vec<_> =
            job.views.iter().map(|(name, view)| json!({"id": view.id, "name": name})).collect();
        json!({
            "name": job.label, "database": SOURCE_DB, "id": self.source.database_id, "backup_time": job.started_ms,
            "content": "ALL", "backup_objects": objects,
            "new_backup_objects": {"views": views, "odbc_tables": [], "odbc_resources": []},
            "backup_result": "succeed", "meta_version": 140, "tablet_be_map": tablet_be_map,
            "tablet_snapshot_path_map": {}, "table_commit_seq_map": job.barriers, "tblalias": {},
        })
        .to_string()
    }
}
