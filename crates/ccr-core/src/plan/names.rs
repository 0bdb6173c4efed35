//! Tables that change their names or take each other's place.

use std::collections::BTreeMap;

use doris_types::record::{Record, RenameRecord, ReplaceTableRecord};
use doris_types::sql::{qualified_name, quote_identifier};

use super::{Block, Ingest, Plan, Repeated, SkipReason, Statement, TrackId, View, linked, partial};
use crate::change::Change;
use crate::job::{Behind, FullSyncReason, LinkEffect, NO_TARGET, PartialSyncReason, SyncType, TableLink};

type Links = BTreeMap<i64, TableLink>;

pub(super) fn rename_table(change: &Change, record: &RenameRecord, view: View<'_>) -> Plan {
    if let Some(name) = view.views.get(&record.table_id) {
        let (old, new) =
            (qualified_name(&view.spec.dest.database, name), quote_identifier(&record.new_table_name));
        return Plan::Statement(Statement::Execute {
            source_id: record.table_id,
            sql: format!("ALTER TABLE {old} RENAME {new}"),
            effect: LinkEffect::ViewCreated {
                source_id: record.table_id,
                name: record.new_table_name.clone(),
            },
            repeated: Repeated::RENAMED,
        });
    }
    let link = match view.tables.get(&record.table_id) {
        Some(_) if matches!(view.track, TrackId::Table(id) if id != record.table_id) => {
            return Plan::Skip(SkipReason::OtherTable);
        }
        Some(link) if link.is_named(change.commit_seq) => return Plan::Skip(named(view.track)),
        // Also when the table is apart: names are settled here.
        Some(link) => link,
        None => match linked(record.table_id, change.commit_seq, view) {
            Ok(link) => link,
            Err(plan) => return *plan,
        },
    };
    let target_name = match view.spec.sync_type() {
        SyncType::Database => record.new_table_name.clone(),
        // The target of a table job keeps the name it was given.
        SyncType::Table => link.target_name.clone(),
    };
    Plan::Statement(Statement::RenameTable {
        source_id: record.table_id,
        target_id: link.target_id,
        source_name: record.new_table_name.clone(),
        target_name,
    })
}

/// One table takes the place of another, or they exchange their names.
pub(super) fn replace_table(change: &Change, record: &ReplaceTableRecord, view: View<'_>) -> Plan {
    let (old_id, new_id) = (record.orig_table_id, record.new_table_id);
    if let TrackId::Table(source_id) = view.track {
        if view.tables.get(&source_id).is_some_and(|link| link.is_named(change.commit_seq)) {
            return Plan::Skip(named(view.track));
        }
        // The main track could not settle it; a copy of what this table is now does for it.
        return partial(change, source_id);
    }
    if view.spec.sync_type() == SyncType::Table {
        if !view.tables.contains_key(&old_id) {
            return Plan::Skip(SkipReason::OtherTable);
        }
        return Plan::FullSync(FullSyncReason::SourceTableReplaced { old_id, new_id });
    }
    let is_named = |link: &TableLink| link.is_named(change.commit_seq);
    let side = |id: i64| side(view.tables, id, name_before(record, id), change.commit_seq);
    let ((old_id, old), (new_id, new)) = match (side(old_id), side(new_id)) {
        (Some(old), Some(new)) => (old, new),
        (Some(link), None) => return with_one_side(record, link, new_id, change),
        (None, Some(link)) => return with_one_side(record, link, old_id, change),
        // Whether they are upstream has to be looked for.
        (None, None) => {
            return Plan::Ingest(Ingest::look(vec![old_id, new_id]));
        }
    };
    if is_named(old) && is_named(new) {
        return Plan::Skip(SkipReason::InSnapshot);
    }
    if record.swap_table && is_named(old) != is_named(new) {
        let (source_id, link) = if is_named(old) { (new_id, new) } else { (old_id, old) };
        if link.target_id == NO_TARGET
            && let Some(name) = name_after(record, source_id)
        {
            // It waits for a name of its own, which the snapshot has given to the other.
            return rename(source_id, NO_TARGET, name);
        }
        // The snapshot has one of them from before it and the other from after: copies settle both.
        let reason = PartialSyncReason::Change {
            binlog_type: change.record.binlog_type().to_string(),
            commit_seq: change.commit_seq,
        };
        return Plan::PartialSync { source_ids: vec![old_id, new_id], reason };
    }
    let is_called =
        |id: i64, link: &TableLink| name_before(record, id).is_none_or(|name| name == link.source_name);
    if !is_called(old_id, old) || !is_called(new_id, new) {
        return Plan::Block(Block {
            code: "CCR0204",
            message: format!(
                "REPLACE_TABLE at commit seq {} concerns tables that have other names here: {} and {}",
                change.commit_seq, old.source_name, new.source_name
            ),
            hint: "/force_fullsync copies what there is".to_owned(),
            tables: vec![old_id, new_id],
        });
    }
    // What the tables hold does not matter, so neither does it that one of them may be apart.
    Plan::Statement(Statement::ReplaceTable {
        old_id,
        new_id,
        old_target_id: old.target_id,
        new_target_id: new.target_id,
        old_name: old.target_name.clone(),
        new_name: new.target_name.clone(),
        swap: record.swap_table,
    })
}

/// The link of one of the tables. A restore upstream, of which no binlog tells, may have put another table in the
/// place of the one that is linked; then that one still has the name here.
fn side<'a>(tables: &'a Links, id: i64, name: Option<&str>, commit_seq: i64) -> Option<(i64, &'a TableLink)> {
    let by_name = || {
        let mut links = tables.iter().map(|(id, link)| (*id, link));
        links.find(|(_, link)| Some(link.source_name.as_str()) == name && !link.is_named(commit_seq))
    };
    tables.get(&id).map(|link| (id, link)).or_else(by_name)
}

/// What becomes of the linked tables that a swap concerns, as far as it has yet to be made; `None` where nobody says
/// what they are called then.
pub(crate) fn after_swap(change: &Change, tables: &Links) -> Option<BTreeMap<i64, Behind>> {
    let Record::ReplaceTable(record) = &change.record else { return None };
    let side = |id: i64| side(tables, id, name_before(record, id), change.commit_seq);
    let (old, new) = (side(record.orig_table_id), side(record.new_table_id));
    let is_open = |(_, link): &(i64, &TableLink)| !link.is_named(change.commit_seq);
    // An old FE does not say the names; then they are those that the two have.
    let called = |said: &str, other: Option<(i64, &TableLink)>| match (said, other) {
        ("", other) => other.map(|(_, link)| link.source_name.clone()),
        (said, _) => Some(said.to_owned()),
    };
    let mut after = BTreeMap::new();
    if let Some((id, _)) = old.filter(is_open) {
        let behind = match record.swap_table {
            true => Behind::Kept { name: called(&record.new_table_name, new)? },
            false => Behind::Gone,
        };
        after.insert(id, behind);
    }
    if let Some((id, _)) = new.filter(is_open) {
        after.insert(id, Behind::Kept { name: called(&record.orig_table_name, old)? });
    }
    Some(after).filter(|after| !after.is_empty())
}

/// The snapshot has only one of the tables.
fn with_one_side(
    record: &ReplaceTableRecord,
    (source_id, link): (i64, &TableLink),
    missing_id: i64,
    change: &Change,
) -> Plan {
    let (is_named, before) = (link.is_named(change.commit_seq), name_before(record, missing_id));
    match (name_after(record, source_id), name_after(record, missing_id)) {
        // The other had the name when the snapshot came to it, and has another one since: it is still there.
        (_, Some(name)) if is_named && record.swap_table => {
            let reason = PartialSyncReason::Appeared { commit_seq: change.commit_seq };
            let name = name.to_owned();
            Plan::AdoptTable { source_id: missing_id, name, reason, in_place_of: None }
        }
        // The other had another name for a moment when the snapshot came to it. It is linked under the name that it
        // has here; with both of them the swap is then planned again.
        _ if !is_named && record.swap_table && before.is_some() => {
            let reason = PartialSyncReason::Appeared { commit_seq: change.commit_seq };
            let name = before.unwrap_or_default().to_owned();
            Plan::AdoptTable { source_id: missing_id, name, reason, in_place_of: None }
        }
        // The other was gone when the snapshot came to it, replaced by this very change or dropped after it.
        _ if is_named => Plan::Skip(SkipReason::InSnapshot),
        // What is left is a new name.
        (Some(name), _) => rename(source_id, link.target_id, name),
        // A table that no binlog tells of, as restores bring them, has dropped the other and taken its name.
        (None, _) if source_id == record.orig_table_id && !record.swap_table => Plan::AdoptTable {
            source_id: missing_id,
            name: link.source_name.clone(),
            reason: PartialSyncReason::Appeared { commit_seq: change.commit_seq },
            in_place_of: Some(source_id),
        },
        (None, _) => unknown_side(source_id, missing_id, change.commit_seq),
    }
}

/// The name that one of the tables has before the change; `None` when an old FE does not say.
fn name_before(record: &ReplaceTableRecord, source_id: i64) -> Option<&str> {
    let is_new = source_id == record.new_table_id;
    let name = if is_new { &record.new_table_name } else { &record.orig_table_name };
    Some(name.as_str()).filter(|name| !name.is_empty())
}

/// Whether a change is a swap that has to be planned again now that both of its tables are linked.
pub(crate) fn is_to_settle(change: &Change, tables: &Links) -> bool {
    let Record::ReplaceTable(record) = &change.record else { return false };
    let is_open = |id: &i64| tables.get(id).is_some_and(|link| !link.is_named(change.commit_seq));
    record.swap_table && is_open(&record.orig_table_id) && is_open(&record.new_table_id)
}

/// Whether a change is a swap that the other of its two tables is past.
pub(crate) fn is_past_swap(change: &Change, source_id: i64, tables: &Links) -> bool {
    let Record::ReplaceTable(record) = &change.record else { return false };
    let other = if record.orig_table_id == source_id { record.new_table_id } else { record.orig_table_id };
    record.swap_table && tables.get(&other).is_some_and(|link| link.is_named(change.commit_seq))
}

/// The name that one of the tables has after the change; `None` when it has none, or an old FE does not say.
fn name_after(record: &ReplaceTableRecord, source_id: i64) -> Option<&str> {
    let name = if source_id == record.new_table_id {
        Some(&record.orig_table_name)
    } else {
        record.swap_table.then_some(&record.new_table_name)
    };
    name.map(String::as_str).filter(|name| !name.is_empty())
}

fn rename(source_id: i64, target_id: i64, name: &str) -> Plan {
    let (source_name, target_name) = (name.to_owned(), name.to_owned());
    Plan::Statement(Statement::RenameTable { source_id, target_id, source_name, target_name })
}

fn unknown_side(linked_id: i64, missing_id: i64, commit_seq: i64) -> Plan {
    Plan::Block(Block {
        code: "CCR0204",
        message: format!(
            "REPLACE_TABLE at commit seq {commit_seq} concerns table {missing_id}, which was neither in the \
             snapshot nor created since"
        ),
        hint: "/force_fullsync copies what there is".to_owned(),
        tables: vec![linked_id],
    })
}

/// Why a change of names is passed over.
fn named(track: TrackId) -> SkipReason {
    match track {
        TrackId::Main => SkipReason::InSnapshot,
        TrackId::Table(_) => SkipReason::Named,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use doris_types::record::BinlogType;

    /// Table 10 is contained up to commit seq 50; 99 has no link.
    fn replace(commit_seq: i64, old_id: i64, new_id: i64) -> Plan {
        let data = format!(
            r#"{{"dbId":1,"origTblId":{old_id},"origTblName":"a","newTblName":{new_id},"actualNewTblName":"b","swapTable":false,"isForce":false}}"#
        );
        plan_of(commit_seq, BinlogType::REPLACE_TABLE, &data)
    }

    #[test]
    fn the_side_of_a_swap_that_the_snapshot_lacks_is_adopted() {
        let swap = |old_id: i64, new_id: i64| {
            let data = format!(
                r#"{{"dbId":1,"origTblId":{old_id},"origTblName":"a","newTblName":{new_id},"actualNewTblName":"b","swapTable":true,"isForce":false}}"#
            );
            plan_of(45, BinlogType::REPLACE_TABLE, &data)
        };
        for ((old_id, new_id), name) in [((99, 10), "b"), ((10, 99), "a")] {
            let reason = PartialSyncReason::Appeared { commit_seq: 45 };
            let name = name.to_owned();
            let adopted = Plan::AdoptTable { source_id: 99, name, reason, in_place_of: None };
            assert_eq!(swap(old_id, new_id), adopted);
        }
    }

    #[test]
    fn the_side_of_a_swap_that_the_snapshot_lacks_is_linked_before_the_swap() {
        let data = r#"{"dbId":1,"origTblId":10,"origTblName":"a","newTblName":99,"actualNewTblName":"b","swapTable":true,"isForce":false}"#;
        assert_eq!(
            plan_of(60, BinlogType::REPLACE_TABLE, data),
            Plan::AdoptTable {
                source_id: 99,
                name: "b".to_owned(),
                reason: PartialSyncReason::Appeared { commit_seq: 60 },
                in_place_of: None,
            }
        );
        let swap = change(60, BinlogType::REPLACE_TABLE, data);
        let mut tables = links();
        assert!(!is_to_settle(&swap, &tables));
        let other = TableLink { synced_to: 0, ..tables[&10].clone() };
        tables.insert(99, other);
        assert!(is_to_settle(&swap, &tables));
        assert!(
            !is_to_settle(&change(45, BinlogType::REPLACE_TABLE, data), &tables),
            "one of them is past it"
        );
    }

    #[test]
    fn what_the_snapshot_of_the_remaining_table_contains_is_skipped() {
        assert_eq!(replace(45, 99, 10), Plan::Skip(SkipReason::InSnapshot));
        assert_eq!(replace(45, 10, 99), Plan::Skip(SkipReason::InSnapshot));
    }

    #[test]
    fn a_table_that_took_the_place_of_one_never_seen_gets_its_name() {
        assert!(
            matches!(replace(60, 99, 10), Plan::Statement(Statement::RenameTable { source_id: 10, target_name, .. })
                if target_name == "a")
        );
    }

    #[test]
    fn a_table_that_was_never_seen_takes_the_place_of_the_one_it_dropped() {
        let plan = Plan::AdoptTable {
            source_id: 99,
            name: "t1".to_owned(),
            reason: PartialSyncReason::Appeared { commit_seq: 60 },
            in_place_of: Some(10),
        };
        assert_eq!(replace(60, 10, 99), plan);
    }

    #[test]
    fn tables_that_were_never_seen_are_looked_for_upstream() {
        for commit_seq in [45, 60] {
            let plan = replace(commit_seq, 98, 99);
            assert!(matches!(&plan, Plan::Ingest(ingest) if ingest.unlinked == [98, 99]), "{plan:?}");
        }
    }

    /// Table 98 is in the place of 10 since a restore: both have had the name `t1`.
    #[test]
    fn a_table_that_was_restored_over_goes_in_the_place_of_its_successor() {
        let data = |swap: bool| {
            format!(
                r#"{{"dbId":1,"origTblId":98,"origTblName":"t1","newTblName":20,"actualNewTblName":"t2","swapTable":{swap},"isForce":false}}"#
            )
        };
        let mut tables = links();
        tables.insert(20, TableLink { source_name: "t2".to_owned(), target_id: 120, ..tables[&10].clone() });
        for is_swap in [false, true] {
            let plan = plan_with(&spec("", ""), &tables, 60, BinlogType::REPLACE_TABLE, &data(is_swap));
            let Plan::Statement(Statement::ReplaceTable { old_id, new_id, swap, .. }) = plan else {
                panic!("a replacement: {plan:?}");
            };
            assert_eq!((old_id, new_id, swap), (10, 20, is_swap));
        }
    }
}
