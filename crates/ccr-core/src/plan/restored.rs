//! What restores upstream have changed, decided from what the upstream lists: they leave no binlog.
//!
//! A restore brings new tables, puts new ones in the place of others, or overwrites tables and keeps their ids. The
//! first two are seen by ids. Of the last nothing is seen but the restore itself, which names the tables of its
//! snapshot; under an alias it has touched another one. So a table that it names counts as overwritten unless the
//! restore has made as many new tables as it names.

use std::collections::{BTreeMap, BTreeSet};

use doris_types::meta::{DatabaseMeta, RestoredObjects};

use crate::job::{ApartWork, JobState, Lane, SnapshotStep, TableLink};

/// Names of tables that are in the catalogue while an atomic restore runs, and of those of a session.
const PASSING: [&str; 2] = ["__doris_atomic_restore_prefix__", "_#TEMP#_"];

/// A restore upstream, and what it brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Restore {
    /// Of its job, higher than the ids of all tables that were there before.
    pub id: i64,
    pub label: String,
    pub objects: RestoredObjects,
}

/// Upstream tables by id.
pub(crate) type Names = BTreeMap<i64, String>;

/// The tables of an answer that may be replicated; materialised views are among them when only names were asked for.
pub(crate) fn names(db: &DatabaseMeta) -> Names {
    let tables = db.tables.iter().filter(|table| table.kind.is_empty() || table.kind == "OLAP");
    let lasting = tables.filter(|table| !PASSING.iter().any(|passing| table.name.contains(passing)));
    lasting.map(|table| (table.id, table.name.clone())).collect()
}

/// Tables that are upstream and that the job does not know.
pub(crate) fn unknown(state: &JobState, names: &Names) -> Vec<i64> {
    let is_known = |id: &i64| {
        state.tables.contains_key(id) || state.views.contains_key(id) || state.left_out.contains(id)
    };
    names.keys().filter(|id| !is_known(id)).copied().collect()
}

/// Tables of the job that are not upstream.
pub(crate) fn absent(state: &JobState, names: &Names) -> Vec<i64> {
    let tables = state.tables.iter().filter(|(id, link)| !names.contains_key(*id) && may_be_gone(link));
    tables.map(|(id, _)| *id).collect()
}

/// Whether it is seen to a table here if it is gone. One that waits for an operator keeps waiting, and one whose
/// copy is being put in place is looked at when it is there.
pub(crate) fn may_be_gone(link: &TableLink) -> bool {
    match &link.lane {
        Lane::Flowing => true,
        // That it was dropped is known.
        Lane::Apart(apart) if apart.dropped_at.is_some() => false,
        Lane::Apart(apart) => match apart.work {
            ApartWork::CatchUp { .. } | ApartWork::PartialSync { step: SnapshotStep::Backup { .. }, .. } => {
                true
            }
            ApartWork::PartialSync { step: SnapshotStep::Restore { .. }, .. } | ApartWork::Blocked(_) => {
                false
            }
        },
    }
}

/// Whether a table can leave the stream now to be copied.
pub(crate) fn can_leave(link: &TableLink) -> bool {
    match &link.lane {
        Lane::Flowing => true,
        Lane::Apart(apart) if apart.dropped_at.is_some() => false,
        Lane::Apart(apart) => match apart.work {
            ApartWork::CatchUp { .. } => true,
            // The backup may contain the restore; once it is in place this is known.
            ApartWork::PartialSync { .. } | ApartWork::Blocked(_) => false,
        },
    }
}

/// The linked tables that a restore names, by the names that they have upstream, have for the job, or had lately.
pub(crate) fn named(restore: &Restore, state: &JobState, names: &Names) -> BTreeSet<i64> {
    let is_named = |name: &String| restore.objects.tables.contains(name);
    let tables = state.tables.iter().filter(|(id, link)| {
        let had = is_named(&link.source_name) || link.former_names.iter().any(is_named);
        **id < restore.id && (had || names.get(id).is_some_and(is_named))
    });
    tables.map(|(id, _)| *id).collect()
}

/// Whether a restore has overwritten tables and kept their ids. `names` are those upstream when everything that the
/// binlog had created was linked.
pub(crate) fn overwrites(restore: &Restore, next_id: Option<i64>, state: &JobState, names: &Names) -> bool {
    let is_between = |id: i64| id > restore.id && next_id.is_none_or(|next| id < next);
    let is_created = |id: i64| {
        let link = state.tables.get(&id);
        link.is_some_and(|link| link.was_created || link.restored_to == Some(id))
    };
    let appeared = names.keys().filter(|id| is_between(**id) && !is_created(**id)).count();
    appeared < restore.objects.tables.len()
}

#[cfg(test)]
mod tests {
    use super::super::testing::links;
    use super::*;
    use crate::job::{Apart, Phase};

    /// Tables 10 (`t1`) and 20 (`t2`) are linked, 20 was created by a statement.
    fn state() -> JobState {
        let mut state = JobState::new("j", 0);
        state.phase = Phase::Incremental(crate::job::Incremental::default());
        state.tables = links();
        let created = TableLink {
            source_name: "t2".to_owned(),
            restored_to: Some(20),
            ..state.tables.get(&10).expect("it is linked").clone()
        };
        state.tables.insert(20, created);
        state
    }

    fn upstream(tables: &[(i64, &str)]) -> Names {
        tables.iter().map(|(id, name)| (*id, (*name).to_owned())).collect()
    }

    fn restore(id: i64, tables: &[&str]) -> Restore {
        let tables = tables.iter().map(|name| (*name).to_owned()).collect();
        Restore { id, label: "r".to_owned(), objects: RestoredObjects { tables, views: Vec::new() } }
    }

    #[test]
    fn a_table_that_keeps_its_id_is_overwritten_and_one_restored_under_an_alias_is_not() {
        let (state, before) = (state(), upstream(&[(10, "t1"), (20, "t2")]));
        let one = restore(15, &["t1"]);
        assert!(overwrites(&one, None, &state, &before), "table 20 was created");
        assert_eq!(named(&one, &state, &before), BTreeSet::from([10]));
        let alias = upstream(&[(10, "t1"), (16, "t1_old"), (20, "t2")]);
        assert!(!overwrites(&one, None, &state, &alias));
        assert!(overwrites(&one, Some(16), &state, &alias), "the other came with a later restore");
        assert!(overwrites(&restore(15, &["t1", "t2"]), None, &state, &alias));
    }

    #[test]
    fn a_table_is_named_by_its_old_name_and_its_new_one() {
        let (state, renamed) = (state(), upstream(&[(10, "t9"), (20, "t2")]));
        for name in ["t1", "t9"] {
            assert_eq!(named(&restore(30, &[name]), &state, &renamed), BTreeSet::from([10]), "{name}");
        }
        assert!(named(&restore(15, &["t2"]), &state, &renamed).is_empty(), "it was made after the restore");
    }

    #[test]
    fn what_is_not_known_and_what_is_gone() {
        let mut state = state();
        state.left_out.insert(77);
        let names = upstream(&[(10, "t1"), (77, "skipped"), (78, "new")]);
        assert_eq!(unknown(&state, &names), [78]);
        assert_eq!(absent(&state, &names), [20]);
        let blocked = crate::job::Blocked {
            code: String::new(),
            message: String::new(),
            hint: String::new(),
            commit_seq: 1,
            binlog_type: String::new(),
            since_ms: 0,
        };
        let work = ApartWork::Blocked(blocked);
        state.tables.get_mut(&20).expect("it is linked").lane = Lane::Apart(Apart {
            copy_again: None,
            dropped_at: None,
            renaming: None,
            cursor: 1,
            since_ms: 0,
            work,
        });
        assert!(absent(&state, &names).is_empty());
    }

    #[test]
    fn what_passes_is_no_table() {
        let table = |id: i64, name: &str, kind: &str| doris_types::meta::TableMeta {
            id,
            name: name.to_owned(),
            kind: kind.to_owned(),
            partitions: Vec::new(),
        };
        let tables = vec![
            table(1, "t", "OLAP"),
            table(2, "named", ""),
            table(3, "__doris_atomic_restore_prefix__t", "OLAP"),
            table(4, "session_#TEMP#_t", "OLAP"),
            table(5, "mv", "MATERIALIZED_VIEW"),
        ];
        let db = DatabaseMeta { tables, ..DatabaseMeta::default() };
        assert_eq!(names(&db), upstream(&[(1, "t"), (2, "named")]));
    }
}
