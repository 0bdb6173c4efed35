//! What readers of a target see while partitions and tables of it come back or are replaced: what was there, until
//! what is to be there takes its place at once. Also where that needs a copy, since the snapshot did not bring the
//! temporary partitions that take the place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use minidoris::fault::DebugPoint;
use minidoris::{Cluster, NodeId};
use parking_lot::Mutex;

use super::run::{HOLD_RESTORES, assert_one_full_backup, slow_pair};
use super::same::{assert_same_but_temporary, assert_same_table};
use super::{RANGED_ROWS, RANGED_TABLE};
use crate::harness::{BOUND, DB, Pair, Syncer, Target, wait_until};

const JOB: &str = "untouched";

/// Keys of all rows of a table.
type Keys = Vec<i32>;

struct Scene {
    name: &'static str,
    /// Before the snapshot, after the table and its rows.
    setup: &'static [&'static str],
    /// Replicated before anybody looks.
    lost: &'static [&'static str],
    change: &'static [&'static str],
    /// Empty while there is no table.
    before: &'static [i32],
    after: &'static [i32],
    /// Whether it takes a copy.
    copies: bool,
}

const TEMPORARY: &[&str] = &[
    "ALTER TABLE {t} ADD TEMPORARY PARTITION tp VALUES [(\"100\"), (\"200\"))",
    "INSERT INTO {t} TEMPORARY PARTITION (tp) VALUES (107, 'replacing', 7)",
];
const TWO_TEMPORARY: &[&str] = &[
    "ALTER TABLE {t} ADD TEMPORARY PARTITION tp VALUES [(\"50\"), (\"150\"))",
    "ALTER TABLE {t} ADD TEMPORARY PARTITION tq VALUES [(\"150\"), (\"180\"))",
    "INSERT INTO {t} TEMPORARY PARTITION (tp, tq) VALUES (57, 'replacing', 7), (157, 'replacing', 7)",
];
const STRICT: &str = "ALTER TABLE {t} REPLACE PARTITION (p2) WITH TEMPORARY PARTITION (tp)";
const NOT_STRICT: &str = "ALTER TABLE {t} REPLACE PARTITION (p1, p2) WITH TEMPORARY PARTITION (tp, tq) \
     PROPERTIES (\"strict_range\" = \"false\")";
const ALL: &[i32] = &[1, 2, 101];
const REPLACED: &[i32] = &[1, 2, 107];
const REPLACED_TWO: &[i32] = &[57, 157];

const SCENES: [Scene; 7] = [
    Scene {
        name: "recovered",
        setup: &[],
        lost: &["ALTER TABLE {t} DROP PARTITION p2"],
        change: &["RECOVER PARTITION p2 FROM {t}"],
        before: &[1, 2],
        after: ALL,
        copies: true,
    },
    Scene {
        name: "recovered_as",
        setup: &[],
        lost: &["ALTER TABLE {t} DROP PARTITION p2"],
        change: &["RECOVER PARTITION p2 AS second FROM {t}"],
        before: &[1, 2],
        after: ALL,
        copies: true,
    },
    Scene {
        name: "strict_unknown",
        setup: TEMPORARY,
        lost: &[],
        change: &[STRICT],
        before: ALL,
        after: REPLACED,
        copies: true,
    },
    Scene {
        name: "not_strict_unknown",
        setup: TWO_TEMPORARY,
        lost: &[],
        change: &[NOT_STRICT],
        before: ALL,
        after: REPLACED_TWO,
        copies: true,
    },
    Scene {
        name: "strict",
        setup: &[],
        lost: &[],
        change: &[TEMPORARY[0], TEMPORARY[1], STRICT],
        before: ALL,
        after: REPLACED,
        copies: false,
    },
    Scene {
        name: "not_strict",
        setup: &[],
        lost: &[],
        change: &[TWO_TEMPORARY[0], TWO_TEMPORARY[1], TWO_TEMPORARY[2], NOT_STRICT],
        before: ALL,
        after: REPLACED_TWO,
        copies: false,
    },
    Scene {
        name: "overwritten",
        setup: &[],
        lost: &[],
        change: &["INSERT OVERWRITE TABLE {t} PARTITION (p2) VALUES (107, 'over', 8)"],
        before: ALL,
        after: REPLACED,
        copies: false,
    },
];

/// A table that is dropped downstream and comes back.
const TABLE: Scene = Scene {
    name: "whole",
    setup: &[],
    lost: &["DROP TABLE {t}"],
    change: &["RECOVER TABLE {t}"],
    before: &[],
    after: ALL,
    copies: true,
};

/// As a table job meets it: its target stays.
const TABLE_OF_ONE: Scene = Scene {
    name: "whole",
    setup: &[],
    lost: &[],
    change: &["DROP TABLE {t}", "RECOVER TABLE {t}"],
    before: ALL,
    after: ALL,
    copies: true,
};

/// A table job's target.
fn target_of(scene: &Scene) -> String {
    format!("{}_target", scene.name)
}

async fn run_all(pair: &Pair, scene: &Scene, statements: &[&str]) {
    for statement in statements {
        pair.run(&statement.replace("{t}", scene.name)).await;
    }
}

async fn keys(cluster: &Cluster, table: &str) -> Result<Keys, String> {
    let shown = cluster.sql_in(DB, &format!("SELECT k FROM `{table}` ORDER BY k")).await;
    let rows = shown.map_err(|error| error.to_string())?.rows;
    let key = |row: &Vec<Option<String>>| row[0].as_deref().and_then(|key| key.parse().ok());
    Ok(rows.iter().map(|row| key(row).expect("a key is a number")).collect())
}

/// What a reader saw, one after the other; nothing where there was no table.
#[derive(Debug, Default)]
struct Seen {
    states: Mutex<Vec<Keys>>,
    enough: AtomicBool,
}

impl Seen {
    /// Reads over and over.
    async fn read(self: Arc<Self>, down: Cluster, table: String) {
        while !self.enough.load(Ordering::Acquire) {
            let now = match keys(&down, &table).await {
                Ok(keys) => keys,
                Err(error) => {
                    assert!(error.contains("nknown table") || error.contains("does not exist"), "{error}");
                    Vec::new()
                }
            };
            {
                let mut states = self.states.lock();
                if states.last() != Some(&now) {
                    states.push(now);
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn shows(&self, scene: &Scene, expected: &[i32]) {
        wait_until(&format!("a reader of {} sees {expected:?}", scene.name), BOUND, || async {
            let states = self.states.lock().clone();
            if states.last().is_some_and(|last| last == expected) {
                Ok(())
            } else {
                Err(format!("{states:?}"))
            }
        })
        .await;
    }
}

async fn play(pair: &Pair, syncer: &Syncer, job: &str, scene: &Scene, target: &str) {
    run_all(pair, scene, scene.lost).await;
    syncer.wait_for(job, Target::InSync).await;
    let seen = Arc::new(Seen::default());
    let reader = tokio::spawn(Arc::clone(&seen).read(pair.down.clone(), target.to_owned()));
    seen.shows(scene, scene.before).await;
    pair.down.inner().debug_points.add(NodeId::Fe(0), HOLD_RESTORES, DebugPoint::default());
    let restores = pair.calls("restoreSnapshot");
    run_all(pair, scene, scene.change).await;
    if scene.copies {
        wait_until(&format!("{} is copied", scene.name), BOUND, || async {
            let calls = pair.calls("restoreSnapshot");
            if calls > restores { Ok(()) } else { Err(syncer.progress(job).await.to_string()) }
        })
        .await;
        seen.shows(scene, scene.before).await;
    }
    pair.down.inner().debug_points.remove(NodeId::Fe(0), HOLD_RESTORES);
    syncer.wait_for(job, Target::InSync).await;
    seen.shows(scene, scene.after).await;
    seen.enough.store(true, Ordering::Release);
    reader.await.expect("every read was answered");
    let mut expected = vec![scene.before.to_vec(), scene.after.to_vec()];
    expected.dedup();
    assert_eq!(*seen.states.lock(), expected, "{}", scene.name);
    let copies = pair.calls("restoreSnapshot") - restores;
    assert_eq!(copies, u64::from(scene.copies), "{}", scene.name);
    run_all(pair, scene, &["INSERT INTO {t} VALUES (60, 'after', 1)"]).await;
    syncer.wait_for(job, Target::InSync).await;
}

async fn set_up(scenes: &[Scene]) -> Pair {
    let pair = slow_pair(|_| {}).await;
    pair.sql("ADMIN SET ALL FRONTENDS CONFIG (\"ignore_backup_tmp_partitions\" = \"true\")").await;
    for scene in scenes {
        for part in [[RANGED_TABLE, RANGED_ROWS].as_slice(), scene.setup] {
            run_all(&pair, scene, part).await;
        }
    }
    pair
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_database_see_what_was_there_until_what_is_to_be() {
    let scenes: Vec<Scene> = SCENES.into_iter().chain([TABLE]).collect();
    let pair = set_up(&scenes).await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    for scene in &scenes {
        play(&pair, &syncer, JOB, scene, scene.name).await;
    }
    assert_same_but_temporary(&pair).await;
    assert_one_full_backup(&syncer, 1);
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_table_see_what_was_there_until_what_is_to_be() {
    let scenes: Vec<Scene> = SCENES.into_iter().chain([TABLE_OF_ONE]).collect();
    let pair = set_up(&scenes).await;
    let syncer = Syncer::start().await;
    for scene in &scenes {
        syncer.create(&pair.table_job(scene.name, scene.name, &target_of(scene))).await;
        play(&pair, &syncer, scene.name, scene, &target_of(scene)).await;
    }
    for scene in &scenes {
        assert_same_table(pair.source(), scene.name, pair.target(), &target_of(scene)).await;
    }
    assert_one_full_backup(&syncer, scenes.len());
    syncer.finish().await;
}
