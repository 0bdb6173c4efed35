//! Which rows the indexes of a table were built for: no statement shows it, the files of the rowsets do.

use crate::harness::compare::Place;
use crate::harness::{BOUND, wait_until};

/// The names of the indexes with a file, per rowset with rows, tablet by tablet of the base table in order.
type Built = Vec<(String, Vec<Vec<String>>)>;

fn built(place: Place<'_>, table: &str) -> Built {
    let inner = place.cluster.inner();
    let state = inner.fe.lock();
    let found = state.database_named(place.db).and_then(|db| db.table_named(table));
    let Some(table) = found.and_then(|found| found.as_olap()) else { return Vec::new() };
    let name_of = |id: &i64| {
        let known = table.secondary_indexes.iter().find(|index| index.id == *id);
        known.map_or_else(|| format!("unknown {id}"), |index| index.name.clone())
    };
    let mut all = Built::new();
    for partition in table.partitions.values() {
        let is_only = partition.name == table.name;
        for tablet in &partition.indexes[&table.base_index_id].tablets {
            let backend = inner.backend(tablet.replicas[0].backend_id).expect("the backend is there");
            let kept = backend.tablet(tablet.id).expect("the backend has the tablet");
            let rowsets = kept.rowsets_at(partition.visible_version).expect("the version is there");
            let with_rows = rowsets.iter().filter(|(_, rowset)| !rowset.segments.is_empty());
            let names = with_rows.map(|(_, rowset)| {
                let mut names: Vec<String> = rowset.meta.inverted_indexes.ids.iter().map(name_of).collect();
                names.sort_unstable();
                names
            });
            all.push((if is_only { String::new() } else { partition.name.clone() }, names.collect()));
        }
    }
    // Partitions have other ids, and so another order.
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

/// Waits until the indexes of both tables are built for the same rows: a build goes on when its statement has
/// been answered.
pub async fn same_index_files(source: Place<'_>, table: &str, place: Place<'_>, target: &str) {
    wait_until(&format!("the indexes of {target} are those of {table}"), BOUND, || async {
        let (up, down) = (built(source, table), built(place, target));
        if up == down { Ok(()) } else { Err(format!("{up:?} upstream, {down:?} downstream")) }
    })
    .await;
}
