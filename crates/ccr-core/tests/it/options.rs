//! Scenarios of jobs with options of their own; [`super::scenario`] lists them.

use ccr_core::job::{JobOptions, MediumPolicy};

use super::run::Run;
use super::scenario::then;

pub fn follow_media(options: &mut JobOptions) {
    options.storage_medium = MediumPolicy::Upstream;
}

/// Partitions move between media, also some that are gone when this is replayed.
pub async fn media(run: &mut Run) {
    then(run, |world| {
        world.load_all("t1");
        world.set_medium("t1", &["p1", "p2"], "SSD");
        world.set_medium("t2", &["t2"], "SSD");
        world.rename_table("t2", "t8");
        world.set_medium("t8", &["t8"], "HDD");
        world.set_medium("t1", &["p2"], "HDD");
        world.load(&[("t1", &["p1", "p2"]), ("t8", &["t8"])]);
        // A temporary one of the same range is not meant.
        world.add_partition("t1", 1, true);
        world.set_medium("t1", &["p1"], "HDD");
        world.drop_partition("t1", "tp1");
        world.add_partition("t1", 3, false);
        world.set_medium("t1", &["p3", "p1"], "SSD");
        world.drop_partition("t1", "p3");
        world.load_all("t1");
    })
    .await;
}
