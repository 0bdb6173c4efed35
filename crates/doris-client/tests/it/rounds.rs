//! Which frontends a call tries, and when it stops.

use std::time::Duration;

use doris_client::{ClientOptions, Clients};
use doris_thrift::TStatusCode;
use doris_types::call::{BeginAnswer, BeginTxn, BinlogPage, BinlogScope};
use doris_types::failure::Cause;
use doris_types::meta::Frontend;

use crate::support::*;

fn begin() -> BeginTxn {
    BeginTxn {
        database: "d".into(),
        table_ids: vec![1],
        label: "l".into(),
        request_id: (1, 2),
        timeout_s: 60,
        sub_txn_num: 0,
    }
}

fn scope() -> BinlogScope {
    BinlogScope { database: "d".into(), table_id: None }
}

async fn answer_with_a_transaction(fe: &Fe) {
    fe.script.begin.lock().1.txn_id = Some(7);
}

fn opened() -> BeginAnswer {
    BeginAnswer::Opened { txn_id: 7, sub_txn_ids: vec![] }
}

#[tokio::test]
async fn the_master_is_found_in_the_list_of_frontends() {
    let (follower, master) = (Fe::start(Role::NotMaster).await, Fe::start(Role::Master).await);
    answer_with_a_transaction(&master).await;
    follower.list(&[listed(&follower, false), listed(&master, true)]);
    let cluster = cluster(&[&follower]);
    assert_eq!(cluster.begin_txn(&begin()).await.unwrap(), opened());
    assert_eq!(cluster.begin_txn(&begin()).await.unwrap(), opened());
    assert_eq!(follower.calls(), [""; 0]);
    assert_eq!(master.calls(), ["beginTxn"; 2]);
    assert_eq!(follower.listings() + master.listings(), 1);
}

#[tokio::test]
async fn a_redirect_is_followed_and_remembered() {
    let master = Fe::start(Role::Master).await;
    let follower = Fe::start(Role::Redirect("127.0.0.1".into(), master.rpc_port)).await;
    answer_with_a_transaction(&master).await;
    let cluster = cluster(&[&follower]);
    assert_eq!(cluster.begin_txn(&begin()).await.unwrap(), opened());
    assert_eq!(cluster.begin_txn(&begin()).await.unwrap(), opened());
    assert_eq!(follower.calls(), ["beginTxn"]);
    assert_eq!(master.calls(), ["beginTxn"; 2]);
}

#[tokio::test]
async fn without_redirect_and_list_the_other_seeds_are_tried() {
    let (a, b, c) =
        (Fe::start(Role::NotMaster).await, Fe::start(Role::NotMaster).await, Fe::start(Role::Master).await);
    answer_with_a_transaction(&c).await;
    let cluster = cluster(&[&a, &b, &c]);
    assert_eq!(cluster.begin_txn(&begin()).await.unwrap(), opened());
    assert_eq!((a.calls().len(), b.calls().len(), c.calls().len()), (1, 1, 1));
    cluster.begin_txn(&begin()).await.unwrap();
    assert_eq!((a.calls().len(), b.calls().len(), c.calls().len()), (1, 1, 2));
}

#[tokio::test]
async fn a_moved_master_is_found_again() {
    let (a, b) = (Fe::start(Role::Master).await, Fe::start(Role::NotMaster).await);
    answer_with_a_transaction(&a).await;
    answer_with_a_transaction(&b).await;
    a.list(&[listed(&a, true), listed(&b, false)]);
    let cluster = cluster(&[&a]);
    cluster.begin_txn(&begin()).await.unwrap();
    a.set_role(Role::NotMaster);
    b.set_role(Role::Master);
    let moved = [listed(&a, false), listed(&b, true)];
    a.list(&moved);
    b.list(&moved);
    assert_eq!(cluster.begin_txn(&begin()).await.unwrap(), opened());
    assert_eq!(a.calls().len(), 2);
    cluster.begin_txn(&begin()).await.unwrap();
    assert_eq!(a.calls().len(), 2, "the old master is not asked again");
}

#[tokio::test]
async fn a_dead_master_is_left_for_the_next() {
    let (mut a, b) = (Fe::start(Role::Master).await, Fe::start(Role::Master).await);
    answer_with_a_transaction(&b).await;
    let cluster = cluster(&[&a, &b]);
    cluster.binlogs(&scope(), 0, 10).await.unwrap();
    assert_eq!(a.calls(), ["getBinlog"]);
    a.kill().await;
    // The request cannot have been executed, so even a call that writes goes on.
    assert_eq!(cluster.begin_txn(&begin()).await.unwrap(), opened());
    assert_eq!(b.calls(), ["beginTxn"]);
}

#[tokio::test]
async fn an_unreachable_frontend_is_tried_last_for_a_while() {
    let (mut a, b) = (Fe::start(Role::Master).await, Fe::start(Role::NotMaster).await);
    let (_clients, cluster) = cluster_with(options(), &[&a, &b]);
    cluster.binlogs(&scope(), 0, 10).await.unwrap();
    a.kill().await;
    for calls in 1..=3 {
        // The follower is asked first, although the presumed master is the other.
        let failure = cluster.binlogs(&scope(), 0, 10).await.unwrap_err();
        assert!(matches!(failure.cause, Cause::NoMaster { .. }), "{failure}");
        assert!(failure.text().contains("cannot connect") || failure.text().contains("refused"), "{failure}");
        assert_eq!(b.calls().len(), calls);
    }
    let first = cluster.binlogs(&scope(), 0, 10).await.unwrap_err().text();
    assert!(first.starts_with(&format!("127.0.0.1:{}", b.rpc_port)), "{first}");
}

#[tokio::test]
async fn a_lost_answer_is_repeated_only_for_calls_that_read() {
    let (a, b) = (Fe::start(Role::Cut).await, Fe::start(Role::Master).await);
    let cluster = cluster(&[&a, &b]);
    let failure = cluster.begin_txn(&begin()).await.unwrap_err();
    assert!(matches!(failure.cause, Cause::Lost { .. }), "{failure}");
    assert!(failure.is_in_doubt());
    assert_eq!(failure.peer, format!("127.0.0.1:{}", a.rpc_port));
    assert_eq!((a.calls().len(), b.calls().len()), (1, 0));
    assert_eq!(cluster.binlogs(&scope(), 0, 10).await.unwrap(), BinlogPage::CaughtUp);
    assert_eq!((a.calls().len(), b.calls().len()), (2, 1));
}

#[tokio::test]
async fn a_status_is_not_repeated() {
    let status = Role::Status(TStatusCode::INTERNAL_ERROR, "boom");
    let (a, b) = (Fe::start(status.clone()).await, Fe::start(Role::Master).await);
    let cluster = cluster(&[&a, &b]);
    let failure = cluster.binlogs(&scope(), 0, 10).await.unwrap_err();
    assert_eq!(failure.cause, Cause::Status { code: 6, messages: vec!["boom".into()] });
    assert_eq!((failure.operation.as_str(), b.calls().len()), ("getBinlog", 0));
}

#[tokio::test]
async fn an_old_frontend_does_not_know_the_method() {
    let (a, b) = (Fe::start(Role::Old).await, Fe::start(Role::Master).await);
    let cluster = cluster(&[&a, &b]);
    let failure = cluster.lock_binlogs(&scope(), "job", 1).await.unwrap_err();
    assert_eq!(failure.cause, Cause::UnknownMethod);
    assert_eq!(b.calls().len(), 0);
}

#[tokio::test]
async fn rounds_end() {
    // Two frontends that name each other.
    let (a, b) = (Fe::start(Role::NotMaster).await, Fe::start(Role::NotMaster).await);
    a.set_role(Role::Redirect("127.0.0.1".into(), b.rpc_port));
    b.set_role(Role::Redirect("127.0.0.1".into(), a.rpc_port));
    let failure = cluster(&[&a]).begin_txn(&begin()).await.unwrap_err();
    assert!(matches!(failure.cause, Cause::NoMaster { .. }), "{failure}");
    assert!(
        failure.to_string().contains(&format!("127.0.0.1:{}: FE is not master", b.rpc_port)),
        "{failure}"
    );
    assert_eq!((a.calls().len(), b.calls().len()), (1, 1));
    // Nobody there.
    let (mut a, mut b) = (a, b);
    let nobody = cluster(&[&a, &b]);
    a.kill().await;
    b.kill().await;
    let failure = nobody.begin_txn(&begin()).await.unwrap_err();
    assert!(matches!(failure.cause, Cause::Connect { .. }), "{failure}");
    assert!(!failure.is_in_doubt());
    // No seed at all.
    let failure = cluster(&[]).begin_txn(&begin()).await.unwrap_err();
    assert!(matches!(failure.cause, Cause::NoMaster { .. }), "{failure}");
}

#[tokio::test]
async fn a_backend_list_from_a_follower_does_not_make_it_the_master() {
    let (mut a, b) = (Fe::start(Role::Master).await, Fe::start(Role::NotMaster).await);
    let (_clients, cluster) = cluster_with(options(), &[&a, &b]);
    cluster.binlogs(&scope(), 0, 1).await.unwrap();
    a.kill().await;
    b.set_role(Role::Master);
    cluster.backends().await.unwrap();
    assert_eq!(b.calls(), ["getBackendMeta"]);
}

#[tokio::test]
async fn private_addresses_are_mapped() {
    let (seed_fe, master) = (Fe::start(Role::NotMaster).await, Fe::start(Role::Master).await);
    answer_with_a_transaction(&master).await;
    let private = |host: &str, fe: &Fe, is_master| Frontend { host: host.into(), ..listed(fe, is_master) };
    seed_fe.list(&[private("fe-1.internal", &seed_fe, false), private("fe-2.internal", &master, true)]);
    let mut config = config(&[&seed_fe]);
    config.host_mapping = [("fe-1.internal".to_owned(), "127.0.0.1".to_owned())].into();
    let cluster = Clients::new(options()).cluster(config);
    let failure = cluster.begin_txn(&begin()).await.unwrap_err();
    assert_eq!(failure.cause, Cause::UnmappedHost { host: "fe-2.internal".into() });
    assert!(failure.to_string().contains("update_host_mapping"), "{failure}");
    // The operator adds the entry while the daemon runs.
    let hosts = ["fe-1.internal", "fe-2.internal"];
    cluster.set_host_mapping(hosts.map(|host| (host.to_owned(), "127.0.0.1".to_owned())).into());
    assert_eq!(cluster.begin_txn(&begin()).await.unwrap(), opened());
    // A redirect to an address without an entry says so, too.
    master.set_role(Role::Redirect("fe-9.internal".into(), 9020));
    let failure = cluster.begin_txn(&begin()).await.unwrap_err();
    assert_eq!(failure.cause, Cause::UnmappedHost { host: "fe-9.internal".into() });
}

#[tokio::test]
async fn an_old_list_is_read_again_and_a_young_one_is_not() {
    let a = Fe::start(Role::Master).await;
    a.list(&[listed(&a, true)]);
    let (_clients, cluster) = cluster_with(options(), &[&a]);
    for _ in 0..3 {
        cluster.binlogs(&scope(), 0, 1).await.unwrap();
    }
    assert_eq!(a.listings(), 1);
    let always = ClientOptions { frontends_max_age: Duration::ZERO, ..options() };
    let (_clients, cluster) = cluster_with(always, &[&a]);
    for _ in 0..3 {
        cluster.binlogs(&scope(), 0, 1).await.unwrap();
    }
    assert_eq!(a.listings(), 4);
}

#[tokio::test]
async fn failures_to_list_are_not_repeated_by_every_call() {
    let a = Fe::start(Role::Master).await;
    let rarely = ClientOptions { frontends_min_age: Duration::from_secs(3600), ..options() };
    let rarely = ClientOptions { frontends_max_age: Duration::from_secs(3600), ..rarely };
    let (_clients, cluster) = cluster_with(rarely, &[&a]);
    for _ in 0..3 {
        cluster.binlogs(&scope(), 0, 1).await.unwrap();
    }
    assert_eq!(a.listings(), 1);
}
