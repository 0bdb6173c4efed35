//! What every store must do, whatever database is behind it. Each check uses names of its own, so that all
//! of them can run against one database.

use std::sync::Arc;

use ccr_core::job::{DesiredState, FullSyncGuard, JobOptions, JobRecord};
use ccr_core::store::{HISTORY_LIMIT, Store, StoreError};

use crate::sample;

/// Runs the whole suite.
pub async fn check(store: Arc<dyn Store>) {
    creates_and_reads_back(&*store).await;
    names_are_unique(&*store).await;
    concurrent_creates_have_one_winner(Arc::clone(&store)).await;
    epochs_grow_and_fence(&*store).await;
    progress_is_read_as_written(&*store).await;
    operator_settings_are_kept(&*store).await;
    history_is_bounded_and_newest_first(&*store).await;
    deleting_removes_everything(&*store).await;
    missing_jobs_are_named(&*store).await;
    jobs_write_side_by_side(store).await;
}

async fn created(store: &dyn Store, name: &str) -> JobRecord {
    let job = sample::job(name, 1);
    store.create_job(&job, &sample::state(&job)).await.unwrap();
    job
}

async fn creates_and_reads_back(store: &dyn Store) {
    for name in ["plain", "wéird, na'me\"; --", &"n".repeat(512)] {
        let job = created(store, name).await;
        assert_eq!(store.job_by_name(name).await.unwrap().unwrap(), job);
        let listed = store.list_jobs().await.unwrap();
        let found = listed.into_iter().find(|stored| stored.name == name).unwrap();
        assert_eq!(found.record.unwrap(), job);
        let (state, position) = store.load(&job.id).await.unwrap();
        assert_eq!((state, position.commit_seq), (sample::state(&job), 0));
    }
    assert!(store.job_by_name("absent").await.unwrap().is_none());
}

async fn names_are_unique(store: &dyn Store) {
    let job = created(store, "unique").await;
    let twin = sample::job("unique", 2);
    let error = store.create_job(&twin, &sample::state(&twin)).await.unwrap_err();
    assert!(matches!(error, StoreError::AlreadyExists { ref name } if name == "unique"), "{error}");
    // The refused job left nothing behind, and the first one is as it was.
    assert!(matches!(store.load(&twin.id).await, Err(StoreError::NotFound { .. })));
    assert_eq!(store.job_by_name("unique").await.unwrap().unwrap(), job);
}

async fn concurrent_creates_have_one_winner(store: Arc<dyn Store>) {
    let tries = (0..8).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let job = sample::job("contended", number);
            store.create_job(&job, &sample::state(&job)).await
        })
    });
    let mut won = 0;
    for task in tries.collect::<Vec<_>>() {
        match task.await.unwrap() {
            Ok(()) => won += 1,
            Err(StoreError::AlreadyExists { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(won, 1);
}

async fn epochs_grow_and_fence(store: &dyn Store) {
    let job = created(store, "fenced").await;
    let state = sample::linked(&job, 2);
    let old = store.acquire(&job.id, "a:1").await.unwrap();
    store.save_state(&job.id, old, &state, &sample::position(1)).await.unwrap();
    let new = store.acquire(&job.id, "b:2").await.unwrap();
    assert!(new > old);
    // A taken-over job refuses every write of its former owner, and of an owner from the future.
    let refused = sample::position(99);
    for epoch in [old, new + 1, u64::MAX] {
        for result in [
            store.save_position(&job.id, epoch, &refused).await,
            store.save_state(&job.id, epoch, &sample::state(&job), &refused).await,
            store.append_history(&job.id, epoch, &sample::entry(1)).await,
            store.check_lease(&job.id, epoch).await,
        ] {
            assert!(matches!(result, Err(StoreError::Fenced { .. })), "{result:?}");
        }
    }
    assert_eq!(store.load(&job.id).await.unwrap(), (state, sample::position(1)));
    assert!(store.history(&job.id, 10).await.unwrap().is_empty());
    store.save_position(&job.id, new, &sample::position(2)).await.unwrap();
    store.check_lease(&job.id, new).await.unwrap();
    assert!(matches!(store.check_lease("nobody", new).await, Err(StoreError::NotFound { .. })));
}

async fn progress_is_read_as_written(store: &dyn Store) {
    let job = created(store, "progress").await;
    let epoch = store.acquire(&job.id, "a:1").await.unwrap();
    // Larger than the 64 KiB that some column types hold.
    let state = sample::linked(&job, 3000);
    store.save_state(&job.id, epoch, &state, &sample::position(5)).await.unwrap();
    assert_eq!(store.load(&job.id).await.unwrap(), (state.clone(), sample::position(5)));
    store.save_position(&job.id, epoch, &sample::position(i64::MAX / 100)).await.unwrap();
    let (loaded, position) = store.load(&job.id).await.unwrap();
    assert_eq!((loaded, position), (state, sample::position(i64::MAX / 100)));
}

async fn operator_settings_are_kept(store: &dyn Store) {
    let mut job = created(store, "settings").await;
    store.set_desired(&job.id, DesiredState::Paused).await.unwrap();
    job.spec.src.host_mapping.clear();
    job.spec.dest.host_mapping.insert("10.0.0.2".to_owned(), "else".to_owned());
    store.set_clusters(&job.id, &job.spec.src, &job.spec.dest).await.unwrap();
    job.spec.options.full_sync = FullSyncGuard::Ask;
    job.spec.options.full_syncs_per_day = 4;
    store.set_options(&job.id, &job.spec.options).await.unwrap();
    job.desired = DesiredState::Paused;
    assert_eq!(store.job_by_name("settings").await.unwrap().unwrap(), job);
    store.set_desired(&job.id, DesiredState::Running).await.unwrap();
    assert_eq!(store.job_by_name("settings").await.unwrap().unwrap().desired, DesiredState::Running);
}

async fn history_is_bounded_and_newest_first(store: &dyn Store) {
    let job = created(store, "history").await;
    let epoch = store.acquire(&job.id, "a:1").await.unwrap();
    let total = HISTORY_LIMIT as i64 + 5;
    for number in 0..total {
        store.append_history(&job.id, epoch, &sample::entry(number)).await.unwrap();
    }
    let newest = store.history(&job.id, 3).await.unwrap();
    assert_eq!(newest, [sample::entry(total - 1), sample::entry(total - 2), sample::entry(total - 3)]);
    let all = store.history(&job.id, usize::MAX).await.unwrap();
    assert_eq!(all.len(), HISTORY_LIMIT);
    assert_eq!(all.last(), Some(&sample::entry(5)));
}

async fn deleting_removes_everything(store: &dyn Store) {
    let job = created(store, "deleted").await;
    let epoch = store.acquire(&job.id, "a:1").await.unwrap();
    store.append_history(&job.id, epoch, &sample::entry(1)).await.unwrap();
    store.delete_job(&job.id).await.unwrap();
    assert!(store.job_by_name("deleted").await.unwrap().is_none());
    assert!(store.history(&job.id, 10).await.unwrap().is_empty());
    let late = store.save_position(&job.id, epoch, &sample::position(7)).await;
    assert!(matches!(late, Err(StoreError::NotFound { .. })), "{late:?}");
    // A job of the same name starts from nothing, and the late writer cannot touch it.
    let again = sample::job("deleted", 2);
    store.create_job(&again, &sample::state(&again)).await.unwrap();
    assert!(store.save_position(&job.id, epoch, &sample::position(7)).await.is_err());
    assert_eq!(store.load(&again.id).await.unwrap().1.commit_seq, 0);
}

async fn missing_jobs_are_named(store: &dyn Store) {
    let cluster = sample::cluster("x");
    let results = [
        store.acquire("nobody", "a:1").await.map(|_| ()),
        store.set_desired("nobody", DesiredState::Paused).await,
        store.set_clusters("nobody", &cluster, &cluster).await,
        store.set_options("nobody", &JobOptions::default()).await,
        store.delete_job("nobody").await,
        store.load("nobody").await.map(|_| ()),
        store.save_position("nobody", 1, &sample::position(1)).await,
        store.append_history("nobody", 1, &sample::entry(1)).await,
    ];
    for result in results {
        assert!(matches!(result, Err(StoreError::NotFound { ref name }) if name == "nobody"), "{result:?}");
    }
}

async fn jobs_write_side_by_side(store: Arc<dyn Store>) {
    let mut tasks = Vec::new();
    for number in 0..6 {
        let job = created(&*store, &format!("busy{number}")).await;
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            let epoch = store.acquire(&job.id, "a:1").await.unwrap();
            for seq in 1..=40 {
                store.save_position(&job.id, epoch, &sample::position(seq)).await.unwrap();
                if seq % 10 == 0 {
                    let state = sample::linked(&job, seq);
                    store.save_state(&job.id, epoch, &state, &sample::position(seq)).await.unwrap();
                }
            }
            let (state, position) = store.load(&job.id).await.unwrap();
            assert_eq!((state.tables.len(), position), (40, sample::position(40)));
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}
