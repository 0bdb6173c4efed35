//! Restores between two serving clusters, and their refusals.

use super::*;
use crate::binlog::{BinlogType, ReadOutcome, Scope};
use crate::model::{Table, TableState};
use crate::testkit::{self, Spec, alter, create_db, create_table, create_view, read_rows, table};
use crate::txn::TxnError;

/// An upstream with tables `t` (two partitions, rows) and `u`, a view, and a snapshot of all of it.
struct Pair {
    up: Cluster,
    down: Cluster,
    down_db: i64,
    snapshot: LocalSnapshot,
}

impl Pair {
    async fn new() -> Self {
        Self::with(serving("down", 2, 50_000).await).await
    }

    /// The downstream's jobs move only when they are told to.
    async fn stepped() -> Self {
        let options = ClusterOptions {
            backends: 2,
            first_id: 50_000,
            backup_interval: Duration::from_secs(3_600),
            ..ClusterOptions::replicating("down")
        };
        Self::with(Cluster::start(options).await.unwrap()).await
    }

    async fn with(down: Cluster) -> Self {
        let up = serving("up", 2, 10_000).await;
        let up_db = create_db(up.inner(), "src", true);
        let down_db = create_db(down.inner(), "dst", true);
        create_table(up.inner(), up_db, &Spec::new("t").bounds(&[10, 20]).replicas(2).buckets(2));
        create_table(up.inner(), up_db, &Spec::new("u"));
        create_view(up.inner(), up_db, "v", "SELECT `k` FROM `internal`.`src`.`t` JOIN `internal`.`x`.`y`");
        let t = table(up.inner(), up_db, "t");
        load(up.inner(), up_db, &t, "p0", &[(1, 1), (2, 2)]).await;
        load(up.inner(), up_db, &t, "p0", &[(3, 3)]).await;
        load(up.inner(), up_db, &t, "p1", &[(11, 1)]).await;
        let snapshot = back_up(up.inner(), "src", "s").await;
        Self { up, down, down_db, snapshot }
    }

    fn down(&self) -> &Arc<ClusterInner> {
        self.down.inner()
    }

    fn up_table(&self, name: &str) -> OlapTable {
        let db = self.up.inner().fe.lock().database_named("src").unwrap().id;
        table(self.up.inner(), db, name)
    }

    fn request(&self, label: &str) -> RestoreRequest {
        restore_request(self.up.inner(), &self.snapshot, "dst", label)
    }

    fn down_table(&self, name: &str) -> OlapTable {
        table(self.down(), self.down_db, name)
    }

    async fn stop(self) {
        self.up.stop().await;
        self.down.stop().await;
    }
}

const ROWS: [(i128, i128); 4] = [(1, 1), (2, 2), (3, 3), (11, 1)];

fn finished() -> (String, String) {
    ("FINISHED".to_owned(), "[OK]".to_owned())
}

fn cancelled(text: &str) -> (String, String) {
    ("CANCELLED".to_owned(), format!("[COMMON_ERROR, msg: {text}]"))
}

#[tokio::test(flavor = "multi_thread")]
async fn new_tables_hold_the_rows_versions_and_views_of_the_snapshot() {
    let pair = Pair::new().await;
    assert_eq!(restore(pair.down(), pair.request("r")).await, finished());
    assert_eq!(table_names(pair.down(), pair.down_db), ["t", "u", "v"]);
    let t = pair.down_table("t");
    assert_eq!(read_rows(pair.down(), &t), ROWS);
    assert!(t.is_being_synced && t.state == TableState::Normal && t.binlog.enable);
    assert_eq!(t.base_index().name, "t");
    let versions: Vec<_> =
        t.partitions.values().map(|p| (p.name.as_str(), p.visible_version, p.next_version)).collect();
    assert_eq!(versions, [("p0", 3, 4), ("p1", 2, 3)]);
    for tablet in t.partitions.values().flat_map(|partition| partition.tablets()) {
        assert_eq!(tablet.replicas.len(), 2);
        assert!(tablet.replicas.iter().all(|replica| replica.version > 1 && replica.last_failed_version < 0));
    }
    {
        let state = pair.down().fe.lock();
        let Some(Table::View(view)) = state.databases[&pair.down_db].table_named("v") else { panic!() };
        assert_eq!(view.definition, "SELECT `k` FROM `internal`.`dst`.`t` JOIN `internal`.`x`.`y`");
        // A restore leaves no binlog, so the list does not even exist.
        assert!(state.binlogs.list(Scope::Database(pair.down_db)).is_err());
    }
    // The restored table takes loads and publishes them where the snapshot ended.
    load(pair.down(), pair.down_db, &t, "p1", &[(12, 5)]).await;
    assert_eq!(read_rows(pair.down(), &pair.down_table("t")).len(), 5);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_tables_are_overwritten_in_place() {
    let pair = Pair::new().await;
    assert_eq!(restore(pair.down(), pair.request("r1")).await, finished());
    let before = pair.down_table("t");
    load(pair.down(), pair.down_db, &before, "p1", &[(15, 5)]).await;
    // A partition that the snapshot has and the table lacks is added; one it lacks is cleaned on request.
    let lost = before.partitions.values().find(|p| p.name == "p0").unwrap().id;
    alter(pair.down(), pair.down_db, before.id, |t| {
        t.is_being_synced = false;
        t.partitions.remove(&lost);
        let mut surplus = t.partitions.values().next().unwrap().clone();
        surplus.id = 7;
        surplus.name = "surplus".to_owned();
        surplus.item = crate::model::PartitionItem::List { keys: Vec::new(), is_default: false };
        t.partitions.insert(7, surplus);
    });
    assert_eq!(restore(pair.down(), with(pair.request("r2"), &["clean_partitions"])).await, finished());
    let after = pair.down_table("t");
    assert_eq!(after.id, before.id);
    assert!(after.is_being_synced, "whatever it was before");
    let kept = |t: &OlapTable| t.partitions.values().find(|p| p.name == "p1").unwrap().id;
    assert_eq!(kept(&after), kept(&before));
    assert_eq!(after.partitions.len(), 2);
    assert_eq!(read_rows(pair.down(), &after), ROWS);
    {
        let state = pair.down().fe.lock();
        let scope = Scope::Database(pair.down_db);
        let ReadOutcome::Entries(entries) = state.binlogs.read(scope, -1, 255) else { panic!() };
        let last = entries.last().unwrap();
        assert_eq!(last.binlog_type, BinlogType::DROP_PARTITION);
        assert!(last.data.contains("DROP PARTITION `surplus`"));
    }
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn atomic_restores_swap_in_a_new_table() {
    let pair = Pair::new().await;
    create_table(pair.down(), pair.down_db, &Spec::new("t").bounds(&[10, 20, 30]).replicas(2).buckets(2));
    create_table(pair.down(), pair.down_db, &Spec::new("mine"));
    create_view(pair.down(), pair.down_db, "my_view", "SELECT 1");
    let old = pair.down_table("t");
    load(pair.down(), pair.down_db, &old, "p2", &[(25, 1)]).await;
    let tablet = old.partitions.values().next().unwrap().tablets().next().unwrap().clone();
    let flags = ["atomic_restore", "clean_tables", "force_replace"];
    submit_restore(pair.down(), with(pair.request("r"), &flags)).unwrap();
    let built = pair
        .down
        .wait_until(LIMIT, |cluster| {
            let state = cluster.fe.lock();
            let db = &state.databases[&pair.down_db];
            db.table_named("__doris_atomic_restore_prefix__t").is_some() || db.table_named("mine").is_none()
        })
        .await;
    assert!(built);
    assert_eq!(finish(pair.down(), "dst", "r").await, finished());
    let new = pair.down_table("t");
    assert_ne!(new.id, old.id);
    assert_eq!((new.partitions.len(), new.base_index().name.as_str()), (2, "t"));
    assert!(!new.in_atomic_restore);
    assert_eq!(read_rows(pair.down(), &new), ROWS);
    // The old table is gone without recycle bin or record; what was cleaned has both.
    let backend = pair.down().backend(tablet.replicas[0].backend_id).unwrap();
    assert!(!backend.has_tablet(tablet.id));
    assert_eq!(table_names(pair.down(), pair.down_db), ["t", "u", "v"]);
    {
        let state = pair.down().fe.lock();
        assert_eq!(state.ddl.recycle_bin.len(), 2);
        let ReadOutcome::Entries(entries) = state.binlogs.read(Scope::Database(pair.down_db), -1, 255) else {
            panic!()
        };
        let drops: Vec<&str> = entries
            .iter()
            .filter(|entry| entry.binlog_type == BinlogType::DROP_TABLE)
            .map(|entry| entry.data.as_str())
            .collect();
        assert_eq!(drops.len(), 2);
        assert!(
            drops
                .iter()
                .all(|data| data.contains("DROP TABLE IF EXISTS") && data.contains("\"isView\":false"))
        );
    }
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn include_lists_and_aliases_choose_what_is_restored() {
    let pair = Pair::new().await;
    let reference = |table: &str, alias: Option<&str>| TableReference {
        table: table.to_owned(),
        partitions: None,
        alias: alias.map(str::to_owned),
    };
    let refuse = |refs: Vec<TableReference>| {
        let request = RestoreRequest { table_refs: refs, ..pair.request("r") };
        submit_restore(pair.down(), request).unwrap_err().message
    };
    assert_eq!(refuse(vec![reference("x", None)]), "Table x does not exist in snapshot s");
    assert_eq!(
        refuse(vec![reference("t", Some("a")), reference("u", Some("a"))]),
        "Duplicated alias name: a"
    );
    let request = RestoreRequest { table_refs: vec![reference("t", Some("a"))], ..pair.request("r") };
    assert_eq!(restore(pair.down(), request.clone()).await, finished());
    assert_eq!(table_names(pair.down(), pair.down_db), ["a"]);
    let a = pair.down_table("a");
    assert_eq!((read_rows(pair.down(), &a).len(), a.base_index().name.as_str()), (4, "a"));
    // The name is part of the schema: an alias onto an existing table never matches.
    let again = RestoreRequest { label: "r2".to_owned(), ..request };
    assert_eq!(
        restore(pair.down(), again).await,
        cancelled("Table a already exist but with different schema")
    );
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mismatches_cancel_and_change_nothing() {
    let pair = Pair::new().await;
    let (down, db) = (pair.down(), pair.down_db);
    let t = create_table(down, db, &Spec::new("t").bounds(&[10, 20]).replicas(2).buckets(2));
    let mut number = 0;
    let mut run = async |flags: &[&str]| {
        number += 1;
        restore(down, with(pair.request(&format!("r{number}")), flags)).await
    };
    alter(down, db, t, |t| t.state = TableState::SchemaChange);
    assert_eq!(run(&[]).await, cancelled("Table t's state is not NORMAL: SCHEMA_CHANGE"));
    alter(down, db, t, |t| {
        t.state = TableState::Normal;
        t.temp_partitions = t.partitions.clone();
    });
    let temporary = cancelled("Do not support restoring table with temp partitions");
    assert_eq!(run(&[]).await, temporary);
    assert_eq!(run(&["atomic_restore"]).await, temporary);
    alter(down, db, t, |t| {
        t.temp_partitions.clear();
        t.partition_scheme = crate::model::PartitionScheme::Unpartitioned;
    });
    let other_type = cancelled("Table's partition type is different. local table: t");
    assert_eq!(run(&[]).await, other_type, "told before the schema is compared");
    let scheme = pair.up_table("t").partition_scheme;
    alter(down, db, t, |t| {
        t.partition_scheme = scheme;
        let base = t.base_index_id;
        t.indexes[&base].columns.pop();
    });
    let different = cancelled("Table t already exist but with different schema");
    assert_eq!(run(&[]).await, different);
    assert_eq!(run(&["atomic_restore"]).await, different);
    let base = pair.down_table("t").base_index_id;
    let column = testkit::column("v", false, 1);
    alter(down, db, t, |t| {
        t.indexes[&base].columns.push(column);
        t.partitions.values_mut().next().unwrap().replication_num = 1;
    });
    assert_eq!(
        run(&[]).await,
        cancelled(
            "Partition p0 in table t has different replication num '1' with partition in repository, which is 2"
        )
    );
    alter(down, db, t, |t| {
        let first = t.partitions.values_mut().next().unwrap();
        first.replication_num = 2;
        first.name = "elsewhere".to_owned();
    });
    assert_eq!(
        run(&[]).await,
        cancelled("Partition p0 in table t has conflict partition item with existing items")
    );
    alter(down, db, t, |t| {
        let second = t.partitions.values().nth(1).unwrap().item.clone();
        let first = t.partitions.values_mut().next().unwrap();
        first.name = "p0".to_owned();
        first.item = second;
    });
    assert_eq!(
        run(&[]).await,
        cancelled("Partition p0 in table t has different partition item with partition in repository")
    );
    let item = pair.up_table("t").partitions.values().next().unwrap().item.clone();
    let view = create_view(down, db, "v", "SELECT 2");
    alter(down, db, t, |t| t.partitions.values_mut().next().unwrap().item = item);
    assert_eq!(run(&[]).await, cancelled("View v already exist but with different schema"));
    down.fe.lock().databases.get_mut(&db).unwrap().tables.remove(&view);
    create_table(down, db, &Spec::new("v"));
    assert_eq!(
        run(&[]).await,
        cancelled("The local table v with the same name but a different type of backup meta.")
    );
    assert_eq!(table_names(down, db), ["t", "v"], "nothing was created on the way");
    assert_eq!(pair.down_table("t").id, t);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_need_extra_info_and_an_idle_database() {
    let pair = Pair::new().await;
    let refuse = |change: fn(&mut JobInfo)| {
        let mut request = pair.request("r");
        change(&mut request.job_info);
        submit_restore(pair.down(), request).unwrap_err().message
    };
    assert_eq!(refuse(|info| info.extra_info = None), "Invalid job extra info empty");
    let map = "Invalid job extra info be network map";
    assert_eq!(refuse(|info| info.extra_info.as_mut().unwrap().be_network_map = None), map);
    assert_eq!(refuse(|info| info.extra_info.as_mut().unwrap().be_network_map = Some([].into())), map);
    assert_eq!(refuse(|info| info.extra_info.as_mut().unwrap().token = None), "Invalid job extra info token");

    let mut request = pair.request("no_address");
    let extra = request.job_info.extra_info.as_mut().unwrap();
    extra.be_network_map = Some([(1, NetworkAddress { ip: "x".to_owned(), port: 1 })].into());
    let (state, status) = restore(pair.down(), request).await;
    assert_eq!(state, "CANCELLED");
    assert!(status.contains("failed to get remote be address of be: "), "{status}");
    let mut request = pair.request("no_path");
    request.job_info.tablet_snapshot_path_map.clear();
    let (_, status) = restore(pair.down(), request).await;
    assert!(status.contains("failed to get remote snapshot path of tablet: "), "{status}");
    assert_eq!(table_names(pair.down(), pair.down_db), Vec::<String>::new());
    pair.stop().await;
}

/// Steps until the job of that label has reached the state.
async fn reach(cluster: &Arc<ClusterInner>, label: &str, state: &str) {
    let steps = async {
        loop {
            let row = job_row(cluster, "dst", label);
            if row.0 == state {
                return;
            }
            assert!(!["FINISHED", "CANCELLED"].contains(&row.0.as_str()), "{row:?}");
            tick(cluster);
            // Lets the transfers run.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LIMIT, steps).await.expect("the job takes too long");
}

/// What is fetched lies beside the rows that are there, and takes their place at the end only.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_ends_early_leaves_existing_rows() {
    let pair = Pair::stepped().await;
    assert_eq!(restore(pair.down(), pair.request("r1")).await, finished());
    let t = pair.down_table("t");
    load(pair.down(), pair.down_db, &t, "p1", &[(15, 5)]).await;
    let mut expected = ROWS.to_vec();
    expected.push((15, 5));
    assert_eq!(read_rows(pair.down(), &pair.down_table("t")), expected);

    submit_restore(pair.down(), pair.request("user")).unwrap();
    reach(pair.down(), "user", "COMMIT").await;
    cancel_restore(pair.down(), "dst").unwrap();
    assert_eq!(job_row(pair.down(), "dst", "user"), cancelled("user cancelled, current state: COMMIT"));
    assert_eq!(read_rows(pair.down(), &pair.down_table("t")), expected);

    // One file of many is missing.
    let last = pair.up_table("t").partitions.values().flat_map(|p| p.tablets()).last().unwrap().id;
    let missing = crate::fault::Fault::new(crate::fault::FaultKind::CutBefore);
    pair.up.faults().add(missing.call("http:/api/_tablet/_download").containing(&format!("/{last}/")));
    let (state, _) = restore(pair.down(), pair.request("broken")).await;
    assert_eq!(state, "CANCELLED");
    pair.up.faults().clear();
    assert_eq!(read_rows(pair.down(), &pair.down_table("t")), expected);

    // The versions of the rows go on.
    load(pair.down(), pair.down_db, &t, "p1", &[(16, 6)]).await;
    expected.push((16, 6));
    assert_eq!(read_rows(pair.down(), &pair.down_table("t")), expected);
    assert_eq!(restore(pair.down(), pair.request("r2")).await, finished());
    assert_eq!(read_rows(pair.down(), &pair.down_table("t")), ROWS);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_without_rows_makes_tables_without_rows() {
    let mut pair = Pair::new().await;
    let mut statement = backup_statement("bare");
    statement.properties.insert("content".to_owned(), "metadata_only".to_owned());
    submit_backup(pair.up.inner(), "src", &statement).unwrap();
    assert_eq!(finish(pair.up.inner(), "src", "bare").await, finished());
    pair.snapshot = match find_snapshot(&pair.up.inner().fe.lock(), "bare", pair.up.inner().clock.now_ms()) {
        SnapshotLookup::Found(snapshot) => snapshot,
        other => panic!("no snapshot: {other:?}"),
    };
    assert_eq!(restore(pair.down(), pair.request("r")).await, finished());
    assert_eq!(read_rows(pair.down(), &pair.down_table("t")), []);
    let t = pair.down_table("t");
    load(pair.down(), pair.down_db, &t, "p1", &[(15, 5)]).await;
    assert_eq!(read_rows(pair.down(), &pair.down_table("t")), [(15, 5)]);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_downloads_cancel_and_take_everything_back() {
    let pair = Pair::new().await;
    let mut request = pair.request("r");
    request.job_info.extra_info.as_mut().unwrap().token = Some("wrong".to_owned());
    let (state, status) = restore(pair.down(), request).await;
    assert_eq!(state, "CANCELLED");
    assert!(status.contains("download snapshot of tablet") && !status.contains("wrong"), "{status}");
    let shown = show_restore(&pair.down().fe.lock(), "dst", &LabelFilter::All, false).unwrap();
    let at = shown.columns.iter().position(|name| name == "TaskErrMsg").unwrap();
    let told = shown.rows[0][at].clone().unwrap();
    assert!(told.starts_with('[') && told.contains(": download snapshot of tablet "), "{told}");
    assert_eq!(table_names(pair.down(), pair.down_db), Vec::<String>::new());
    // The database is free again.
    assert_eq!(restore(pair.down(), pair.request("again")).await, finished());
    pair.stop().await;
}

/// Without a daemon, so that the states can be looked at one by one.
#[tokio::test]
async fn a_running_restore_refuses_loads_and_can_be_cancelled() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let id = create_table(&cluster, db, &Spec::new("t"));
    let snapshot = back_up(&cluster, "d", "s").await;
    for flags in [&[][..], &["atomic_restore"][..]] {
        let label = format!("r{}", flags.len());
        submit_restore(&cluster, with(restore_request(&cluster, &snapshot, "d", &label), flags)).unwrap();
        tick(&cluster);
        assert_eq!(job_row(&cluster, "d", &label).0, "CREATING");
        let t = table(&cluster, db, "t");
        let atomic = !flags.is_empty();
        assert_eq!((t.state == TableState::Restore, t.in_atomic_restore), (!atomic, atomic));
        for (sql, text) in [
            (
                "ALTER TABLE d.t SET (\"replication_num\" = \"1\")",
                "Table[t] is in atomic restore state. Do not allow doing ALTER ops",
            ),
            (
                "DROP TABLE d.t",
                "The table [t]'s state is in atomic restore, cannot be dropped. please cancel the restore",
            ),
        ] {
            if atomic {
                let statement = crate::sql::parse(sql).unwrap();
                let refused =
                    crate::exec::run(&cluster, &mut crate::Session::default(), &statement).unwrap_err();
                assert!(refused.message.starts_with(text), "{refused}");
            }
        }
        let txn_id = {
            let state = &mut *cluster.fe.lock();
            let request = BeginTxn {
                db_id: db,
                table_ids: vec![id],
                label: format!("load_{label}"),
                request_id: None,
                timeout_s: None,
                coordinator: Coordinator::Frontend { host: "fe".to_owned() },
                planned_indexes: None,
                sub_txn_num: 0,
                now_ms: 0,
            };
            txn::begin(state, request).unwrap().txn_id
        };
        let writes = stage(&cluster, txn_id, &t, "t", &[(1, 1)]);
        let commit = CommitTxn { db_id: db, txn_id, writes, ..CommitTxn::default() };
        let outcome = commit_and_publish(&cluster, commit, LIMIT).await;
        if atomic {
            assert_eq!(outcome, Ok(CommitOutcome::Visible), "the old table stays writable");
        } else {
            let text = "Table t is in restore process. Can not load into it";
            assert_eq!(outcome.as_ref().map_err(TxnError::detail), Err(text.to_owned()));
        }
        cancel_restore(&cluster, "d").unwrap();
        assert_eq!(job_row(&cluster, "d", &label), cancelled("user cancelled, current state: CREATING"));
        let t = table(&cluster, db, "t");
        assert!(t.id == id && t.state == TableState::Normal && !t.in_atomic_restore);
        assert_eq!(table_names(&cluster, db), ["t"]);
        assert!(!cluster.fe.lock().snapshots.is_restoring(*t.partitions.keys().next().unwrap()));
    }
}

#[tokio::test]
async fn running_jobs_can_be_made_to_fail() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    create_table(&cluster, db, &Spec::new("t"));
    let snapshot = back_up(&cluster, "d", "s").await;
    assert!(!fail_running_job(&cluster, "d", "no reason").unwrap());
    submit_restore(&cluster, restore_request(&cluster, &snapshot, "d", "r")).unwrap();
    tick(&cluster);
    assert!(fail_running_job(&cluster, "d", "the disk is full").unwrap());
    assert_eq!(job_row(&cluster, "d", "r"), cancelled("the disk is full"));
    assert_eq!(table(&cluster, db, "t").state, TableState::Normal);
    submit_backup(&cluster, "d", &backup_statement("b")).unwrap();
    assert!(fail_running_job(&cluster, "d", "the disk is full").unwrap());
    assert_eq!(job_row(&cluster, "d", "b"), cancelled("the disk is full"));
}

#[tokio::test]
async fn a_restore_that_lasts_too_long_times_out() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    create_table(&cluster, db, &Spec::new("t"));
    let snapshot = back_up(&cluster, "d", "s").await;
    let mut request = restore_request(&cluster, &snapshot, "d", "r");
    request.properties.insert("timeout".to_owned(), "600".to_owned());
    submit_restore(&cluster, request).unwrap();
    tick(&cluster);
    cluster.clock.advance_ms(600_000);
    tick(&cluster);
    let timeout = "[TIMEOUT, msg: restore job with label: r  timeout.]".to_owned();
    assert_eq!(job_row(&cluster, "d", "r"), ("CANCELLED".to_owned(), timeout));
    assert_eq!(table(&cluster, db, "t").state, TableState::Normal);
}

#[tokio::test]
async fn secondary_indexes_keep_their_ids_unless_told_otherwise() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let t = create_table(&cluster, db, &Spec::new("t"));
    alter(&cluster, db, t, |t| {
        t.secondary_indexes.push(crate::model::SecondaryIndex {
            id: 77,
            name: "i".to_owned(),
            columns: vec!["v".to_owned()],
            kind: "INVERTED".to_owned(),
            properties: crate::sql::Properties::default(),
            comment: String::new(),
        });
    });
    let snapshot = back_up(&cluster, "d", "s").await;
    for (name, resets) in [("e", "false"), ("f", "true")] {
        let restored = create_db(&cluster, name, true);
        cluster.fe.lock().set_config("restore_reset_index_id", resets);
        submit_restore(&cluster, restore_request(&cluster, &snapshot, name, "r")).unwrap();
        tick(&cluster);
        let id = table(&cluster, restored, "t").secondary_indexes[0].id;
        assert_eq!(id == 77, resets == "false", "{id}");
    }
}
