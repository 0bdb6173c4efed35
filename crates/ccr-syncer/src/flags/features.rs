//! The feature flags: all boolean, all named `feature_…`, all listed by `/features`.

use clap::{Arg, ArgAction, ArgMatches};

use super::args;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    pub name: &'static str,
    pub default: bool,
    pub help: &'static str,
}

const fn feature(name: &'static str, default: bool, help: &'static str) -> Feature {
    Feature { name, default, help }
}

/// A number of its own, because the length of [`Features`] would otherwise need the flags evaluated, which
/// an optimising compiler reports as a cycle.
const COUNT: usize = 18;

/// Sorted by name.
pub const FEATURES: [Feature; COUNT] = [
    feature("feature_atomic_restore", true, "Keep target tables readable while a snapshot is restored"),
    feature(
        "feature_cancel_conflict_backup_restore_job",
        false,
        "No effect: another's backup or restore is waited for, never cancelled",
    ),
    feature(
        "feature_clean_table_and_partitions",
        false,
        "Drop target tables and partitions that are not in the snapshot; drops views too",
    ),
    feature("feature_compressed_snapshot", true, "Send the description of a large snapshot compressed"),
    feature("feature_create_view_drop_exists", true, "No effect: always on, for a view holds no rows"),
    feature(
        "feature_filter_shadow_indexes_upsert",
        true,
        "No effect: always on, for a running schema change ends in a copy of its table",
    ),
    feature(
        "feature_filter_storage_medium",
        true,
        "Let targets choose their storage media, in jobs that do not set storage_medium",
    ),
    feature(
        "feature_idempotent_ddl",
        true,
        "No effect: always on, for a crash may leave any statement in doubt",
    ),
    feature(
        "feature_pipeline_commit",
        true,
        "No effect: always on; max_pipeline_ingesting_num=1 ingests one transaction after the other",
    ),
    feature(
        "feature_replace_not_matched_with_alias",
        true,
        "No effect: a restore replaces such tables itself (feature_restore_replace_diff_schema); where the frontend \
         cannot, or must not, they are restored beside the old ones",
    ),
    feature("feature_restore_replace_diff_schema", true, "Let a restore replace tables whose schema differs"),
    feature(
        "feature_reuse_running_backup_restore_job",
        true,
        "No effect: always on, for labels say which are the job's own",
    ),
    feature(
        "feature_schema_change_partial_sync",
        true,
        "No effect: always on: only the changed table is copied",
    ),
    feature("feature_seperated_handles", true, "No effect: it chose between two implementations"),
    feature(
        "feature_skip_check_async_mv_table",
        true,
        "No effect: asynchronous materialised views are not looked at",
    ),
    feature(
        "feature_skip_rollup_binlogs",
        false,
        "No effect: rollups are always replicated, else later loads would not fit",
    ),
    feature(
        "feature_skip_waiting_txn_publish",
        true,
        "No effect: always on: a commit waits for its rows to be visible only when no other follows",
    ),
    feature("feature_txn_insert", true, "No effect: always on: explicit transactions are replayed as such"),
];

/// The value of each of [`FEATURES`], in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features([bool; COUNT]);

impl Default for Features {
    fn default() -> Self {
        Self(FEATURES.map(|feature| feature.default))
    }
}

impl Features {
    /// A feature by name; one that does not exist is off.
    pub fn get(&self, name: &str) -> bool {
        self.iter().any(|(feature, value)| feature.name == name && value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (Feature, bool)> + '_ {
        FEATURES.into_iter().zip(self.0)
    }

    pub(super) fn from_matches(matches: &ArgMatches) -> Self {
        Self(FEATURES.map(|feature| matches.get_one(feature.name).copied().unwrap_or(feature.default)))
    }
}

pub(super) fn arguments() -> impl Iterator<Item = Arg> {
    FEATURES.into_iter().map(|feature| {
        Arg::new(feature.name)
            .long(feature.name)
            .value_name("BOOL")
            .help(feature.help)
            .help_heading("Features")
            .default_value(if feature.default { "true" } else { "false" })
            .default_missing_value("true")
            .num_args(0..=1)
            .require_equals(true)
            .value_parser(args::parse_bool)
            .action(ArgAction::Set)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `--help` calls without effect is explained in the documentation, with the same reason.
    #[test]
    fn flags_without_effect_are_documented_with_their_reason() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/migration.md");
        let page = std::fs::read_to_string(page).unwrap();
        let mut kept = 0;
        for feature in FEATURES {
            if let Some(reason) = feature.help.strip_prefix("No effect: ") {
                kept += 1;
                assert!(page.contains(&format!("| `{}` | {reason} |", feature.name)), "{}", feature.name);
            } else {
                assert!(!page.contains(&format!("| `{}` | ", feature.name)), "{}", feature.name);
            }
        }
        assert_eq!(kept, 13);
    }

    #[test]
    fn sorted_and_named_alike() {
        assert!(FEATURES.is_sorted_by_key(|feature| feature.name));
        assert!(FEATURES.iter().all(|feature| feature.name.starts_with("feature_")));
    }
}
