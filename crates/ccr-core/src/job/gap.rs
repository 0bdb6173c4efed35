//! A gap in the binlog that a database job crosses table by table.
//!
//! What the gap can have touched is found out by comparing both sides, and persisted as one event: tables that lost
//! something are to be copied, tables that are gone are to be dropped, and everything has the name that it has
//! upstream. Until names are so downstream, or are left to a table apart, the job stands before the gap with a
//! [`Crossing`]; then it goes on behind it. Names alone are taken over in the same way, over a gap of nothing; and so is
//! what one REPLACE TABLE does to names that the target refuses to make.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    Creating, Event, IllegalEvent, JobState, Leaving, NO_TARGET, PartialSyncReason, Phase, TableLink,
    ViewApart, lanes,
};

/// What is to be done downstream before the job goes on behind a gap. All of it can be repeated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crossing {
    /// The job goes on behind this commit seq.
    pub expired_to: i64,
    /// Tables that a statement may have created before it was forgotten, by name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub created: BTreeSet<String>,
    /// Names of views that are gone.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub views: BTreeSet<String>,
    /// Targets that are to get other names, by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub renames: BTreeMap<i64, String>,
}

/// What was found behind a gap.
#[derive(Debug, Clone, PartialEq)]
pub struct GapCrossed {
    /// Entries up to here are gone; where only names are taken over, the job stands here.
    pub expired_to: i64,
    /// The names are those of this commit seq.
    pub named_to: i64,
    /// What becomes of the linked tables, by upstream id.
    pub tables: BTreeMap<i64, Behind>,
    /// Tables without a link, and without a linked one whose place they take.
    pub appeared: BTreeMap<i64, String>,
    /// All views, which may have changed; `None` when nothing has become of them.
    pub views: Option<BTreeMap<i64, String>>,
    pub at_ms: i64,
}

/// What becomes of a linked table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behind {
    /// It lost nothing, or is gone already for the job, which has yet to drop its target.
    Kept {
        name: String,
    },
    /// Entries of it after the cursor are gone.
    Copied {
        name: String,
        cursor: i64,
    },
    /// It is gone, and another table has its name.
    TakenOver {
        by_id: i64,
    },
    Gone,
}

impl Behind {
    /// Whether the table does not go on as it is.
    pub fn is_change_of(&self, link: &TableLink) -> bool {
        match self {
            Behind::Kept { name } => *name != link.source_name,
            Behind::Copied { .. } | Behind::TakenOver { .. } | Behind::Gone => true,
        }
    }
}

/// Brings the links to what is upstream.
pub(super) fn cross(job_id: &str, next: &mut JobState, gap: GapCrossed) -> Result<(), IllegalEvent> {
    let GapCrossed { expired_to, named_to, tables, appeared, views, at_ms } = gap;
    if in_doubt(next).is_some_and(|seq| seq <= expired_to) {
        note_created(next);
    }
    let mut crossing = Crossing { expired_to, ..next.crossing.take().unwrap_or_default() };
    let reason = PartialSyncReason::Appeared { commit_seq: expired_to };
    for (source_id, behind) in tables {
        match behind {
            Behind::Kept { name } => rename(next, &mut crossing, source_id, name, named_to),
            Behind::Copied { name, cursor } => {
                rename(next, &mut crossing, source_id, name, named_to);
                let why = Leaving::PartialSync(PartialSyncReason::BinlogExpired { cursor });
                lanes::step(job_id, next, Event::TableLeft { source_id, cursor, why, at_ms })?;
            }
            Behind::TakenOver { by_id } => {
                let name =
                    next.tables.get(&source_id).map_or_else(String::new, |link| link.source_name.clone());
                let (cursor, reason) = (expired_to, reason.clone());
                let event = Event::TableTakenOver { source_id, by_id, name, cursor, reason, at_ms };
                lanes::step(job_id, next, event)?;
                named(next, by_id, named_to);
            }
            Behind::Gone => {
                if next.tables.get(&source_id).is_some_and(|link| link.target_id == NO_TARGET) {
                    next.tables.remove(&source_id);
                    continue;
                }
                let reason = "the table is gone upstream".to_owned();
                let why = Leaving::Vanished { commit_seq: expired_to + 1, reason };
                lanes::step(job_id, next, Event::TableLeft { source_id, cursor: expired_to, why, at_ms })?;
                named(next, source_id, named_to);
            }
        }
    }
    for (source_id, name) in appeared {
        let (cursor, reason) = (expired_to, reason.clone());
        let was_created = false;
        let event = Event::TableAdopted { source_id, name, was_created, cursor, reason, at_ms };
        lanes::step(job_id, next, event)?;
        named(next, source_id, named_to);
    }
    if let Some(views) = views {
        look_at_views(next, &mut crossing, views, (expired_to, named_to), at_ms);
    }
    next.crossing = Some(crossing);
    Ok(())
}

/// Takes over the views that there are. What their definitions are now is seen when each is looked at.
fn look_at_views(
    next: &mut JobState,
    crossing: &mut Crossing,
    views: BTreeMap<i64, String>,
    (expired_to, named_to): (i64, i64),
    at_ms: i64,
) {
    let is_there = |name: &String| views.values().any(|view| view == name);
    let before = std::mem::take(&mut next.views_apart);
    crossing.views.extend(next.views.values().cloned());
    crossing.views.extend(before.values().filter_map(|apart| apart.leftover.clone()));
    crossing.views.retain(|name| !is_there(name));
    for (id, name) in &views {
        let since_ms = before.get(id).map_or(at_ms, |apart| apart.since_ms);
        let refusal = format!("it may have changed up to commit seq {named_to}");
        let (leftover, is_dropped) = (None, false);
        let name = name.clone();
        let apart = ViewApart { name, commit_seq: expired_to, refusal, leftover, is_dropped, since_ms };
        next.views_apart.insert(*id, apart);
    }
    next.views = views;
}

fn in_doubt(state: &JobState) -> Option<i64> {
    match &state.phase {
        Phase::Incremental(incremental) => incremental.statement_in_doubt,
        Phase::FullSync(_) => None,
    }
}

/// The statement in doubt will not be met again: what it may have created is to go.
pub(super) fn note_created(next: &mut JobState) {
    let Phase::Incremental(incremental) = &mut next.phase else { return };
    incremental.statement_in_doubt = None;
    let Some(creating) = incremental.creating.take() else { return };
    let crossing = next.crossing.get_or_insert_default();
    match creating {
        Creating::Table(name) => crossing.created.insert(name),
        Creating::View(name) => crossing.views.insert(name),
    };
}

/// Gives a table the name that it has upstream.
fn rename(next: &mut JobState, crossing: &mut Crossing, source_id: i64, name: String, named_to: i64) {
    if let Some(link) = next.tables.get_mut(&source_id)
        && (link.source_name != name || link.target_name != name)
    {
        if link.target_id != NO_TARGET {
            crossing.renames.insert(link.target_id, name.clone());
        }
        link.target_name.clone_from(&name);
        if link.source_name != name {
            link.former_names.insert(std::mem::replace(&mut link.source_name, name));
        }
    }
    named(next, source_id, named_to);
}

fn named(next: &mut JobState, source_id: i64, named_to: i64) {
    if let Some(link) = next.tables.get_mut(&source_id) {
        link.settle_name(link.named_to.unwrap_or(link.synced_to).max(named_to));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Incremental, Stale, transition};
    use super::*;

    const JOB: &str = "0011223344556677";

    /// Tables 1 (`a`) to 4 (`d`) with targets 101 to 104, and the views 7 and 8.
    fn state() -> JobState {
        let mut state = JobState::new(JOB, 1);
        state.phase = Phase::Incremental(Incremental::default());
        let names = ["a", "b", "c", "d"];
        state.tables = (1..).zip(names).map(|(id, name)| (id, TableLink::new(name, 100 + id, 10))).collect();
        state.views = BTreeMap::from([(7, "v".to_owned()), (8, "w".to_owned())]);
        state
    }

    fn crossed(state: &JobState) -> JobState {
        let kept = |name: &str| Behind::Kept { name: name.to_owned() };
        let gap = GapCrossed {
            expired_to: 50,
            named_to: 60,
            tables: BTreeMap::from([
                (1, kept("b")),
                (2, Behind::Copied { name: "e".to_owned(), cursor: 20 }),
                (3, Behind::TakenOver { by_id: 5 }),
                (4, Behind::Gone),
            ]),
            appeared: BTreeMap::from([(6, "f".to_owned())]),
            views: Some(BTreeMap::from([(7, "v".to_owned()), (9, "x".to_owned())])),
            at_ms: 3,
        };
        transition(JOB, state, Event::GapCrossed(Box::new(gap))).expect("the stream goes")
    }

    #[test]
    fn the_links_become_what_is_upstream_and_the_targets_follow() {
        let after = crossed(&state());
        let crossing = after.crossing.clone().expect("the targets are to follow");
        assert_eq!(after.apart(4).and_then(|apart| apart.dropped_at), Some(51));
        assert_eq!(crossing.renames, BTreeMap::from([(101, "b".to_owned()), (102, "e".to_owned())]));
        assert_eq!(crossing.views, BTreeSet::from(["w".to_owned()]));
        let named = |(id, link): (&i64, &TableLink)| (*id, link.target_name.clone(), link.target_id);
        let links: Vec<_> = after.tables.iter().map(named).collect();
        let expected = [(1, "b", 101), (2, "e", 102), (4, "d", 104), (5, "c", 103), (6, "f", NO_TARGET)];
        assert_eq!(links, expected.map(|(id, name, target)| (id, name.to_owned(), target)));
        assert!(after.tables[&1].lane.is_flowing() && after.tables[&1].is_named(60));
        assert!(!after.tables[&1].is_named(61));
        assert_eq!(after.apart(2).map(|apart| apart.cursor), Some(20));
        assert!(after.apart(5).is_some() && after.apart(6).is_some());
        assert_eq!(after.views_apart.keys().copied().collect::<Vec<_>>(), [7, 9]);
        let text = serde_json::to_string(&after).expect("it is written");
        assert_eq!(serde_json::from_str::<JobState>(&text).expect("and read"), after);
        let stale = Stale { is_view: true, commit_seq: 50, refusal: "busy".to_owned(), since_ms: 4 };
        let left = BTreeMap::from([("w".to_owned(), stale)]);
        let settle = |left: BTreeMap<_, _>| Event::GapSettled { left };
        let settled = transition(JOB, &after, settle(left.clone())).expect("it was being crossed");
        assert_eq!((settled.crossing.clone(), &settled.stale), (None, &left));
        assert!(transition(JOB, &settled, settle(BTreeMap::new())).is_err());
        let gone = transition(JOB, &settled, Event::StaleGone { name: "w".to_owned() }).expect("it goes");
        assert!(gone.stale.is_empty());
    }

    #[test]
    fn what_a_forgotten_statement_may_have_created_goes() {
        let creating = Some(Creating::Table("half".to_owned()));
        for (commit_seq, created) in [(50, vec!["half"]), (51, Vec::new())] {
            let started = Event::StatementStarted { commit_seq, creating: creating.clone() };
            let after = crossed(&transition(JOB, &state(), started).expect("the stream goes"));
            assert_eq!(in_doubt(&after).is_none(), commit_seq == 50, "it is met again behind the gap");
            let crossing = after.crossing.expect("a gap is crossed");
            assert_eq!(crossing.created.iter().map(String::as_str).collect::<Vec<_>>(), created);
        }
    }

    #[test]
    fn the_persisted_form_of_what_could_not_be_dropped_is_stable() {
        let text = r#"{"is_view":true,"commit_seq":50,"refusal":"busy","since_ms":4}"#;
        let stale: Stale = serde_json::from_str(text).expect("it is read for ever");
        assert_eq!(serde_json::to_string(&stale).expect("writes"), text);
    }

    #[test]
    fn the_persisted_form_of_a_crossing_is_stable() {
        let text = r#"{"expired_to":50,"created":["half"],"views":["w"],"renames":{"101":"b"}}"#;
        let crossing: Crossing = serde_json::from_str(text).expect("it is read for ever");
        assert_eq!(serde_json::to_string(&crossing).expect("writes"), text);
    }
}
