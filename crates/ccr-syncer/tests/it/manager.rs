//! Operations that meet each other, and operations that fail half way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ccr_core::control::Request;
use ccr_core::job::{DesiredState, JobOptions};
use ccr_core::store::Store;
use ccr_syncer::manager::ManagerError;
use doris_types::failure::Cause;
use serde_json::json;

use crate::fake::good_table;
use crate::harness::{Node, database_job, spec};

#[tokio::test]
async fn of_two_creations_of_one_name_one_wins() {
    let node = Node::start().await;
    node.up.close_gate();
    let manager = Arc::clone(&node.manager);
    let first = tokio::spawn(async move { manager.create(spec("j", "")).await });
    node.up.wait_at_gate(1).await;
    // The first still checks; the second is told at once, and the name is not listed yet.
    let second = node.manager.create(spec("j", "")).await;
    assert!(matches!(second, Err(ManagerError::BeingCreated { .. })), "{second:?}");
    assert!(node.manager.names().is_empty());
    for operation in [node.manager.pause("j").await, node.manager.delete("j").await] {
        assert!(matches!(operation, Err(ManagerError::BeingCreated { .. })), "{operation:?}");
    }
    node.up.open_gate();
    first.await.unwrap().unwrap();
    let third = node.manager.create(spec("j", "")).await;
    assert!(matches!(third, Err(ManagerError::AlreadyExists { .. })), "{third:?}");
    assert_eq!(node.manager.names(), ["j"]);
}

#[tokio::test]
async fn many_creations_of_one_name_have_one_winner() {
    let node = Node::start().await;
    let tries = (0..16).map(|_| {
        let manager = Arc::clone(&node.manager);
        tokio::spawn(async move { manager.create(spec("j", "")).await.is_ok() })
    });
    let results = futures::future::join_all(tries.collect::<Vec<_>>()).await;
    assert_eq!(results.into_iter().filter(|won| *won.as_ref().unwrap()).count(), 1);
    assert_eq!(node.store.list_jobs().await.unwrap().len(), 1);
    let created = node.down.statements().iter().filter(|sql| sql.starts_with("CREATE DATABASE")).count();
    assert_eq!(created, 1);
}

#[tokio::test]
async fn a_slow_cluster_blocks_nothing_but_its_own_creation() {
    let node = Node::start().await;
    node.call("create_ccr", database_job("other")).await;
    node.up.close_gate();
    let manager = Arc::clone(&node.manager);
    let slow = tokio::spawn(async move { manager.create(spec("slow", "")).await });
    node.up.wait_at_gate(1).await;
    for route in ["pause", "resume", "job_status", "job_detail", "job_progress", "get_lag", "delete"] {
        node.call(route, json!({ "name": "other" })).await;
    }
    node.up.open_gate();
    slow.await.unwrap().unwrap();
    assert_eq!(node.manager.names(), ["slow"]);
}

#[tokio::test]
async fn a_creation_goes_on_when_its_caller_hangs_up() {
    let node = Node::start().await;
    node.up.close_gate();
    let manager = Arc::clone(&node.manager);
    let caller = tokio::spawn(async move { manager.create(spec("j", "")).await });
    node.up.wait_at_gate(1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    node.up.open_gate();
    // A second creation waits for nothing; it is refused in one way or the other until the first is done.
    let done = async {
        while node.manager.names().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), done).await.expect("the job is created");
    assert_eq!(node.status("j").await["state"], "running");
}

#[tokio::test]
async fn a_creation_that_fails_leaves_no_database_and_no_name() {
    let node = Node::start().await;
    node.store.break_operation("create_job");
    let text = node.refused("create_ccr", database_job("j")).await;
    assert!(text.contains("disk on fire"), "{text}");
    assert_eq!(
        node.down.statements(),
        ["CREATE DATABASE `shop_copy`", "DROP DATABASE IF EXISTS `shop_copy`"]
    );
    assert!(node.manager.names().is_empty());
    node.store.mend();
    node.call("create_ccr", database_job("j")).await;
}

#[tokio::test]
async fn a_database_that_was_there_or_has_tables_is_not_dropped() {
    let node = Node::start().await;
    node.store.break_operation("create_job");
    let existing = crate::fake::database("shop_copy", false);
    node.down.state.lock().databases.insert("shop_copy".to_owned(), existing);
    node.refused("create_ccr", database_job("j")).await;
    assert!(node.down.statements().is_empty());

    // Someone else was faster than our CREATE DATABASE, and has put a table into it.
    node.down.state.lock().databases.remove("shop_copy");
    let (state, message) = ("HY000".to_owned(), "database exists".to_owned());
    node.down.fail("execute", Cause::Sql { code: 1007, state, message });
    node.refused("create_ccr", database_job("j")).await;
    assert_eq!(node.down.statements(), ["CREATE DATABASE `shop_copy`"]);

    // The answer was lost: what is there now goes if it is empty, and stays if someone has used it.
    node.down.fail("execute", Cause::Lost { detail: "reset".to_owned() });
    for (tables, dropped) in [(1, false), (0, true)] {
        let mut made = crate::fake::database("shop_copy", false);
        made.tables.extend((0..tables).map(|id| (format!("t{id}"), good_table(id))));
        {
            let mut state = node.down.state.lock();
            state.databases.clear();
            state.statements.clear();
            state.on_create = Some(made);
        }
        let text = node.refused("create_ccr", database_job("j")).await;
        assert!(text.contains("create target database shop_copy"), "{text}");
        let statements = node.down.statements();
        assert_eq!(statements.iter().any(|sql| sql.starts_with("DROP DATABASE")), dropped, "{statements:?}");
    }
}

#[tokio::test]
async fn pausing_and_resuming_at_once_ends_in_one_consistent_state() {
    let node = Node::start().await;
    node.call("create_ccr", database_job("j")).await;
    let operations = (0..40).map(|number| {
        let manager = Arc::clone(&node.manager);
        tokio::spawn(async move {
            match number % 2 {
                0 => manager.pause("j").await,
                _ => manager.resume("j").await,
            }
        })
    });
    for result in futures::future::join_all(operations.collect::<Vec<_>>()).await {
        result.unwrap().unwrap();
    }
    let stored = node.store.job_by_name("j").await.unwrap().unwrap().desired;
    let shown = node.status("j").await["state"].clone();
    let expected = match stored {
        DesiredState::Running => "running",
        DesiredState::Paused => "paused",
    };
    assert_eq!(shown, expected);
    assert_eq!(node.manager.is_running("j"), stored == DesiredState::Running);
}

#[tokio::test]
async fn deleting_and_creating_again_starts_from_nothing() {
    let node = Node::start().await;
    node.call("create_ccr", database_job("j")).await;
    let first = node.store.job_by_name("j").await.unwrap().unwrap();
    node.call("delete", json!({ "name": "j" })).await;
    node.call("create_ccr", database_job("j")).await;
    let second = node.store.job_by_name("j").await.unwrap().unwrap();
    assert_ne!(first.id, second.id);
    assert!(node.store.load(&first.id).await.is_err(), "nothing of the first is left");
    assert_eq!(node.status("j").await["progress_state"], "DBFullSync");
}

#[tokio::test]
async fn deleting_twice_at_once_succeeds_once() {
    let node = Node::start().await;
    node.call("create_ccr", database_job("j")).await;
    let (one, two) = tokio::join!(node.manager.delete("j"), node.manager.delete("j"));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    assert!(matches!(one.and(two), Err(ManagerError::NotExist { .. })));
}

#[tokio::test]
async fn a_store_that_fails_changes_nothing_and_is_told() {
    let node = Node::start().await;
    node.call("create_ccr", database_job("j")).await;
    for operation in ["set_desired", "delete_job", "set_clusters"] {
        node.store.break_operation(operation);
    }
    for (route, body) in [
        ("pause", json!({ "name": "j" })),
        ("delete", json!({ "name": "j" })),
        ("update_host_mapping", json!({ "name": "j", "src_host_mapping": { "a": "b" } })),
    ] {
        let text = node.refused(route, body).await;
        assert!(text.contains("disk on fire"), "/{route}: {text}");
    }
    // The job that could not be deleted runs again by itself.
    node.wait_status("j", "running again", |status| {
        status["state"] == "running" && status["last_error"].is_null()
    })
    .await;
    let detail = node.call("job_detail", json!({ "name": "j" })).await;
    assert!(detail["job_detail"]["src"].get("host_mapping").is_none());
}

#[tokio::test]
async fn a_job_that_cannot_be_started_says_so_and_is_started_later() {
    let node = Node::start().await;
    node.call("create_ccr", database_job("j")).await;
    let node = node.restart(|store| store.break_operation("acquire")).await;
    let status = node.status("j").await;
    assert_eq!(status["state"], "running");
    assert!(status["last_error"]["message"].as_str().unwrap().contains("disk on fire"), "{status}");
    let text = node.refused("resume", json!({ "name": "j" })).await;
    assert!(text.contains("disk on fire"), "{text}");
    node.store.mend();
    node.wait_status("j", "started", |status| status["last_error"].is_null()).await;
    assert!(node.manager.is_running("j"));
}

/// A bug in the handling of one binlog must not leave a job that does nothing and says nothing.
#[tokio::test]
async fn a_task_that_panics_starts_over_and_says_so() {
    let node = Node::start().await;
    node.up.state.lock().panics.insert("start_backup", "three is not four");
    node.call("create_ccr", database_job("j")).await;
    let status = node
        .wait_status("j", "starting over", |status| status["last_error"]["tries"].as_u64() > Some(1))
        .await;
    let message = status["last_error"]["message"].as_str().unwrap();
    assert!(message.contains("CCR0905") && message.contains("three is not four"), "{status}");
    assert_eq!(status["state"], "running");
    node.up.state.lock().panics.clear();
    node.wait_status("j", "going on", |status| {
        status["last_error"].is_null() && status["step"].as_str().unwrap().contains("SNAPSHOTING")
    })
    .await;
}

/// Two processes over one store: the one that is asked need not be the one that drives the job.
#[tokio::test]
async fn a_pause_stops_the_job_wherever_it_runs() {
    let node = Node::start().await;
    node.call("create_ccr", database_job("j")).await;
    let other = node.join().await;
    other.wait_status("j", "driven by the other", |status| status["state"] == "running").await;
    node.manager.pause("j").await.unwrap();
    // What the other does next is to write that the backup has failed, and to begin another.
    node.up.state.lock().backup_state = "CANCELLED".to_owned();
    other.up.state.lock().backup_state = "CANCELLED".to_owned();
    other.wait_status("j", "stopped", |status| status["state"] == "stopped").await;
    assert!(!other.manager.is_running("j") && !node.manager.is_running("j"));
    assert_eq!(node.store.job_by_name("j").await.unwrap().unwrap().desired, DesiredState::Paused);
}

/// The job is paused in the process that is asked, and another one drives it: whichever way it is changed, it goes on
/// with that where it was asked for, and the other one stops.
#[tokio::test]
async fn a_change_of_a_job_that_another_process_drives_takes_effect() {
    let private = || BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    for change in ["mapping", "options", "request"] {
        let node = Node::start().await;
        node.call("create_ccr", database_job("j")).await;
        node.manager.pause("j").await.unwrap();
        let other = node.join().await;
        other.manager.update_host_mapping("j", BTreeMap::new(), private()).await.unwrap();
        other.manager.resume("j").await.unwrap();
        assert!(other.manager.is_running("j") && !node.manager.is_running("j"));
        match change {
            "mapping" => node.manager.update_host_mapping("j", private(), BTreeMap::new()).await.unwrap(),
            "options" => {
                let change = |options: &mut JobOptions| options.full_syncs_per_day = 3;
                node.manager.update_options("j", change).await.unwrap();
            }
            _ => {
                let request = Request::FullSync { detail: "asked for".to_owned() };
                node.manager.steer("j", request).await.unwrap();
            }
        }
        assert!(node.manager.is_running("j"), "{change}: somebody drives it");
        other.up.state.lock().backup_state = "CANCELLED".to_owned();
        other.wait_status("j", "stopped", |status| status["state"] == "stopped").await;
        let record = node.store.job_by_name("j").await.unwrap().unwrap();
        assert_eq!(record.desired, DesiredState::Running);
        assert_eq!(record.spec.dest.host_mapping, private(), "{change}: what the other has changed stays");
        assert_eq!(record.spec.src.host_mapping.is_empty(), change != "mapping");
        assert_eq!(record.spec.options.full_syncs_per_day == 3, change == "options");
        assert_eq!(node.manager.record("j").unwrap().spec, record.spec);
    }
}

/// The job runs as far as the process that is asked knows, and another one has paused it.
#[tokio::test]
async fn a_change_starts_no_job_that_another_process_has_paused() {
    let node = Node::start().await;
    node.call("create_ccr", database_job("j")).await;
    let other = node.join().await;
    other.manager.pause("j").await.unwrap();
    let mapping = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    node.manager.update_host_mapping("j", mapping, BTreeMap::new()).await.unwrap();
    assert_eq!(node.status("j").await["state"], "paused");
    other.manager.delete("j").await.unwrap();
    let changed = node.manager.update_options("j", |_| {}).await;
    assert!(matches!(changed, Err(ManagerError::NotExist { .. })), "{changed:?}");
}

#[tokio::test]
async fn jobs_go_on_after_a_restart_unless_they_are_paused() {
    let node = Node::start().await;
    for name in ["paused", "running"] {
        node.call("create_ccr", database_job(name)).await;
    }
    node.call("pause", json!({ "name": "paused" })).await;
    let node = node.restart(|_| {}).await;
    assert_eq!(node.status("paused").await["state"], "paused");
    assert_eq!(node.status("running").await["state"], "running");
    assert!(node.manager.is_running("running") && !node.manager.is_running("paused"));
}

#[tokio::test]
async fn a_paused_job_stays_paused_when_its_mapping_changes() {
    let node = Node::start().await;
    node.call("create_ccr", database_job("j")).await;
    node.manager.pause("j").await.unwrap();
    let mapping = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    node.manager.update_host_mapping("j", mapping.clone(), BTreeMap::new()).await.unwrap();
    assert!(!node.manager.is_running("j"));
    let node = node.restart(|_| {}).await;
    assert_eq!(node.manager.record("j").unwrap().spec.src.host_mapping, mapping);
}

#[tokio::test]
async fn nothing_is_accepted_while_closing() {
    let node = Node::start().await;
    node.up.close_gate();
    let manager = Arc::clone(&node.manager);
    let creation = tokio::spawn(async move { manager.create(spec("j", "")).await });
    node.up.wait_at_gate(1).await;
    node.manager.close().await;
    // The creation was given up instead of being waited for.
    assert!(matches!(creation.await.unwrap(), Err(ManagerError::Closing)));
    assert!(matches!(node.manager.create(spec("k", "")).await, Err(ManagerError::Closing)));
}
