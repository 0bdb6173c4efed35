//! Restores: one at a time, each copies a snapshot into new tables and swaps them in.

use std::collections::{BTreeMap, BTreeSet};

use doris_types::call::{RestoreRequest, RestoreTable};
use doris_types::meta::SnapshotJob;
use serde_json::Value;

use super::behind::Course;
use super::catalog::{Partition, Table, Tablet, View};
use super::snapshot::another_is_running;
use super::{Answer, Inner, status};

#[derive(Debug, Default)]
pub struct Restores {
    pub jobs: Vec<Restore>,
    pub cancel: u32,
    /// What those that are cancelled say; that somebody has done it, unless a test wants another reason.
    pub cancelled_for: Option<&'static str>,
    /// No restore over the table of this name comes to its end.
    pub hopeless: Option<&'static str>,
    /// Tables of the target that somebody has put into colocate groups.
    pub colocated: BTreeSet<&'static str>,
    /// Restores that run do not end.
    pub is_held: bool,
    pub accepted: u32,
    pub finished: u32,
    /// The frontend is too old to let a restore replace a table of another schema.
    pub cannot_replace: bool,
}

#[derive(Debug, Clone)]
pub struct Restore {
    id: i64,
    pub label: String,
    pub state: &'static str,
    status: String,
    started_ms: i64,
    snapshot: String,
    only: Vec<RestoreTable>,
    /// The names it restores to, and the tables that have them, which it will replace.
    replaces: BTreeMap<String, Option<i64>>,
    /// It adds partitions to tables that are there, instead of replacing them.
    adds: bool,
    pub course: Course,
}

impl Restore {
    pub fn is_running(&self) -> bool {
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

impl Inner {
    pub fn start_restore(&mut self, request: &RestoreRequest) -> Answer<()> {
        if let Some(running) = self.restores.jobs.iter().find(|job| job.is_running()) {
            let cause = another_is_running(&request.label, &running.label);
            let text = doris_types::failure::Failure::new("", "", cause).text();
            return Err(status(2, text));
        }
        let info: Value = serde_json::from_slice(&request.snapshot.job_info)
            .map_err(|_| status(2, "deserialize meta and job info failed"))?;
        let known: BTreeSet<&str> = info["extra_info"]["be_network_map"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(id, _)| id.as_str())
            .collect();
        let needed = info["tablet_be_map"].as_object().into_iter().flatten();
        for (_, backend) in needed {
            if !known.contains(backend.to_string().as_str()) {
                return Err(status(2, "Invalid job extra info be network map"));
            }
        }
        if info["extra_info"]["token"] != "secret" {
            return Err(status(2, "Invalid job extra info token"));
        }
        if request.snapshot.meta != b"meta" {
            return Err(status(2, "deserialize meta and job info failed"));
        }
        if request.clean_tables || request.clean_partitions {
            self.violation("a restore that cleans up".to_owned());
        }
        let adds = !request.atomic_restore;
        self.restores.accepted += 1;
        let snapshot = info["name"].as_str().unwrap_or_default().to_owned();
        let names: Vec<String> =
            self.restored(&snapshot, &request.tables).into_iter().map(|(_, name)| name).collect();
        let replaces =
            names.into_iter().map(|name| (name.clone(), self.target.table(&name).map(|table| table.id)));
        let replaces = replaces.collect();
        let mut restore = Restore {
            id: self.id(),
            label: request.label.clone(),
            state: "PENDING",
            status: "[OK]".to_owned(),
            started_ms: self.now_ms,
            snapshot,
            only: request.tables.clone(),
            replaces,
            adds,
            course: Course::default(),
        };
        restore.course = Course::new(self.now_ms, restore.job());
        self.restores.jobs.push(restore);
        self.check_parts(adds);
        Ok(())
    }

    /// A snapshot of some partitions only must not take the place of a table, and one of a whole table must not be
    /// put into the place of another. What does not fit is cancelled before it begins.
    fn check_parts(&mut self, adds: bool) {
        let at = self.restores.jobs.len() - 1;
        let (snapshot, only) = (self.restores.jobs[at].snapshot.clone(), self.restores.jobs[at].only.clone());
        let is_part = self.backups.jobs.iter().any(|backup| backup.label == snapshot && backup.is_part);
        if is_part != adds {
            self.violation("a restore that leaves out, or overwrites, partitions".to_owned());
        }
        if let Some(problem) = self.of_another_kind(&snapshot, &only) {
            self.restores.jobs[at].state = "CANCELLED";
            self.restores.jobs[at].status = format!("[COMMON_ERROR, msg: {problem}]");
        }
        for (table, name) in self.restored(&snapshot, &only) {
            let misfit = if adds { self.misfit(&table, &name) } else { self.unreplaceable(&table, &name) };
            if let Some(problem) = misfit {
                self.restores.jobs[at].state = "CANCELLED";
                self.restores.jobs[at].status = format!("[COMMON_ERROR, msg: {problem}]");
            }
        }
    }

    /// A name that is a table's in the snapshot and a view's downstream, or the other way about.
    fn of_another_kind(&self, snapshot: &str, only: &[RestoreTable]) -> Option<String> {
        let of_table =
            self.restored(snapshot, only).into_iter().find(|(_, name)| self.target.views.contains_key(name));
        if let Some((_, name)) = of_table {
            return Some(format!("The type of local table should be same as type of remote table: {name}"));
        }
        let backup = self.backups.jobs.iter().find(|backup| backup.label == snapshot)?;
        let mut views = backup.views.keys();
        let is_restored = |name: &&String| only.is_empty() || only.iter().any(|only| only.name == **name);
        let name = views.find(|name| is_restored(name) && self.target.table(name).is_some())?;
        Some(format!("The local table {name} with the same name but a different type of backup meta."))
    }

    /// Why a restore cannot take the place of a table.
    fn unreplaceable(&self, table: &Table, name: &str) -> Option<String> {
        let local = self.target.table(name)?;
        if self.restores.colocated.contains(name) {
            return Some(format!("Not support to restore to local table {name} with colocate group."));
        }
        let has_other_schema = local.name != table.name || local.columns != table.columns;
        if self.restores.cannot_replace && has_other_schema {
            return Some(format!("Table {name} already exist but with different schema"));
        }
        self.holds_temporary(name)
    }

    /// Why nothing can be restored into a table, not even in its place.
    fn holds_temporary(&self, name: &str) -> Option<String> {
        let has_any = self.target.table(name)?.partitions.iter().any(|one| one.is_temporary);
        has_any.then(|| "Do not support restoring table with temp partitions".to_owned())
    }

    /// Why the partitions of a snapshot cannot be added to a table.
    fn misfit(&mut self, table: &Table, name: &str) -> Option<String> {
        let local = self.target.table(name)?.clone();
        if local.name != table.name || local.columns != table.columns || local.traits != table.traits {
            return Some(format!("Table {name} already exist but with different schema"));
        }
        if let Some(problem) = self.holds_temporary(name) {
            return Some(problem);
        }
        for partition in &table.partitions {
            let named = local.partitions.iter().find(|one| one.name == partition.name);
            let is_known = named.is_some_and(|one| one.bounds == partition.bounds);
            if is_known {
                self.violation(format!("partition {} of {name} is overwritten", partition.name));
            } else if named.is_some() {
                return Some(format!(
                    "Partition {} in table {name} has different partition item with partition in repository",
                    partition.name
                ));
            } else if local.partitions.iter().any(|one| one.bounds == partition.bounds) {
                return Some(format!(
                    "Partition {} in table {name} has conflict partition item with existing items",
                    partition.name
                ));
            }
        }
        None
    }

    /// A new master goes on with what was journalled.
    pub fn resume_restore(&mut self, since_ms: i64) {
        for job in self.restores.jobs.iter_mut().filter(|job| job.is_running()) {
            (job.state, job.started_ms) = ("PENDING", since_ms);
        }
    }

    pub fn tick_restores(&mut self) {
        let now = self.now_ms;
        let Some(at) = self.restores.jobs.iter().position(Restore::is_running) else { return };
        let age = now - self.restores.jobs[at].started_ms;
        if age >= 200 {
            self.restores.jobs[at].state = "DOWNLOADING";
        }
        if age < 400 || self.restores.is_held {
            return;
        }
        let job = self.restores.jobs[at].clone();
        let is_hopeless =
            self.restores.hopeless.is_some_and(|name| self.restores.jobs[at].replaces.contains_key(name));
        if self.restores.cancel > 0 || is_hopeless {
            self.restores.cancel = self.restores.cancel.saturating_sub(1);
            self.restores.jobs[at].state = "CANCELLED";
            let reason = self.restores.cancelled_for.unwrap_or("user cancelled, current state: DOWNLOADING");
            self.restores.jobs[at].status = format!("[COMMON_ERROR, msg: {reason}]");
            return;
        }
        let gone = job.adds.then(|| job.replaces.iter().find(|(name, _)| self.target.table(name).is_none()));
        if let Some((name, _)) = gone.flatten() {
            self.violation(format!("table {name} was dropped while it was in state RESTORE"));
            return;
        }
        let appeared =
            job.replaces.iter().find(|(name, old)| old.is_none() && self.target.table(name).is_some());
        if let Some((name, _)) = appeared {
            self.restores.jobs[at].state = "CANCELLED";
            self.restores.jobs[at].status =
                format!("[COMMON_ERROR, msg: Table {name} already exist in db: d2]");
            return;
        }
        self.keep_target();
        self.finish_restore(&job);
        self.restores.jobs[at].state = "FINISHED";
    }

    /// CANCEL RESTORE, whichever it is that runs.
    pub fn cancel_restore(&mut self) -> Answer<()> {
        let running = self.restores.jobs.iter_mut().find(|job| job.is_running());
        let job = running.ok_or_else(|| super::refusal(1105, "No restore is currently running"))?;
        job.state = "CANCELLED";
        job.status = "[COMMON_ERROR, msg: user cancelled, current state: DOWNLOADING]".to_owned();
        Ok(())
    }

    /// Whether a running restore is going to replace a table, which can then be neither altered nor dropped.
    pub fn is_being_restored(&self, id: i64) -> bool {
        let running = self.restores.jobs.iter().find(|job| job.is_running());
        running.is_some_and(|job| job.replaces.values().any(|replaced| *replaced == Some(id)))
    }

    /// Whether a running restore adds partitions to a table, which then takes no loads.
    pub fn is_in_restore(&self, id: i64) -> bool {
        let mut adding = self.restores.jobs.iter().filter(|job| job.is_running() && job.adds);
        adding.any(|job| job.replaces.values().any(|one| *one == Some(id)))
    }

    /// The tables of a snapshot that a restore takes, and their names downstream.
    fn restored(&self, snapshot: &str, only: &[RestoreTable]) -> Vec<(Table, String)> {
        let Some(backup) = self.backups.jobs.iter().find(|backup| backup.label == snapshot) else {
            return Vec::new();
        };
        let mut restored = Vec::new();
        for table in &backup.tables {
            let wanted = only.iter().find(|only| only.name == table.name);
            if wanted.is_some() || only.is_empty() {
                let alias = wanted.and_then(|only| only.alias.clone());
                restored.push((table.clone(), alias.unwrap_or_else(|| table.name.clone())));
            }
        }
        restored
    }

    fn finish_restore(&mut self, job: &Restore) {
        let backup = self.backups.jobs.iter().find(|backup| backup.label == job.snapshot).cloned();
        let Some(backup) = backup else {
            self.violation(format!("restore {} of a snapshot that is gone", job.label));
            return;
        };
        for (table, name) in self.restored(&job.snapshot, &job.only) {
            let copy = self.copy_of(&table, &name);
            if job.adds {
                let local = self.target.table_mut(&name).expect("it was just seen");
                local.partitions.extend(copy.partitions);
                continue;
            }
            if let Some(old) = self.target.table(&name).map(|old| old.id) {
                self.target.tables.remove(&old);
            }
            self.target.tables.insert(copy.id, copy);
        }
        for (name, view) in &backup.views {
            if job.only.is_empty() || job.only.iter().any(|only| only.name == *name) {
                let id = self.id();
                self.target.views.insert(name.clone(), View { id, ..view.clone() });
            }
        }
        self.restores.finished += 1;
        self.trace.push(format!("        downstream: restored {}", job.label));
    }

    /// The table under new ids; temporary partitions are not part of a snapshot.
    pub fn copy_of(&mut self, table: &Table, name: &str) -> Table {
        let formal: Vec<Partition> =
            table.partitions.iter().filter(|partition| !partition.is_temporary).cloned().collect();
        let partitions = formal
            .into_iter()
            .map(|partition| Partition {
                id: self.id(),
                name: if table.is_partitioned { partition.name.clone() } else { name.to_owned() },
                tablets: partition
                    .tablets
                    .iter()
                    .map(|tablet| Tablet { id: self.id(), cells: tablet.cells.clone(), kept_from: 0 })
                    .collect(),
                ..partition
            })
            .collect();
        let mut copy =
            Table { id: self.id(), index_id: self.id(), name: name.to_owned(), partitions, ..table.clone() };
        for id in copy.traits.rollups.values_mut() {
            *id = self.id();
        }
        copy
    }
}
