//! Clusters behind a translation of addresses: all their nodes tell hosts at which nobody answers, and the job
//! says where they are reached. Frontends (thrift and MySQL), backends (thrift and HTTP), the addresses that one
//! side's backends are told of the other's for ingests and for the files of a snapshot.

use minidoris::{Cluster, NewAddress};
use serde_json::{Map, Value, json};

use crate::harness::pair::side;
use crate::harness::{BOUND, DB, Pair, Syncer, Target, wait_until};
use crate::matrix::{Case, EVERY, assert_same_database, assert_same_databases, run};

const JOB: &str = "mapped";
const MOMENT: &str = "stream";
const PUBLIC: &str = "127.0.0.1";
/// What the nodes of a third address translation are called: at none of these anybody listens.
const UNKNOWN: &str = "127.9.9.9";

/// Which nodes of a cluster are meant by a private host.
fn frontend_host(cluster: &Cluster, number: usize) -> String {
    format!("127.{}.0.{number}", if cluster.name() == "up" { 1 } else { 2 })
}

fn backend_host(cluster: &Cluster, index: usize) -> String {
    format!("127.{}.1.{index}", if cluster.name() == "up" { 1 } else { 2 })
}

fn announce(cluster: &Cluster, index: usize, host: &str) {
    let address = NewAddress { host: Some(host.to_owned()), ..NewAddress::default() };
    cluster.announce_backend(index, address).expect("the backend is there");
}

/// From now on the nodes tell their private hosts only.
fn hide(cluster: &Cluster) {
    for number in 0..cluster.frontend_count() {
        let host = frontend_host(cluster, number);
        cluster.inner().frontends.write().get_mut(&number).expect("the frontend is there").host = host;
    }
    for index in 0..cluster.backend_count() {
        announce(cluster, index, &backend_host(cluster, index));
    }
}

/// All private hosts of a cluster.
fn mapping(cluster: &Cluster) -> Map<String, Value> {
    let frontends = (0..cluster.frontend_count()).map(|number| frontend_host(cluster, number));
    let backends = (0..cluster.backend_count()).map(|index| backend_host(cluster, index));
    frontends.chain(backends).map(|host| (host, json!(PUBLIC))).collect()
}

/// Two frontends and two backends on each side, hidden, and a job through a frontend that is no master.
async fn hidden(db: &str, table: &str, target: &str) -> (Pair, Value) {
    let pair = Pair::doubled().await;
    pair.create_database().await;
    let mut job = json!({
        "name": JOB, "src": side(&pair.up, 1, DB, table), "dest": side(&pair.down, 1, db, target)
    });
    for (part, cluster) in [("src", &pair.up), ("dest", &pair.down)] {
        hide(cluster);
        job[part]["host_mapping"] = Value::Object(mapping(cluster));
    }
    (pair, job)
}

fn cases() -> Vec<Case> {
    let names = ["upsert", "create", "heavy", "replace_part", "truncate", "view", "recover", "overwrite"];
    EVERY.iter().filter(|case| names.contains(&case.name)).copied().collect()
}

async fn loses_its_first_frontends(pair: &Pair) {
    for cluster in [&pair.up, &pair.down] {
        cluster.make_master(1).expect("it lives");
        cluster.kill_frontend(0).await.expect("it is killed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_job_reaches_every_node_at_its_public_address() {
    let (pair, job) = hidden("d2", "", "").await;
    let cases = cases();
    run(&pair, &cases, MOMENT, |case| case.setup).await;
    let mut syncer = Syncer::start().await;
    syncer.allow("keeps failing, retrying");
    syncer.create(&job).await;
    syncer.wait_for(JOB, Target::InSync).await;
    run(&pair, &cases, MOMENT, |case| case.change).await;
    run(&pair, &cases, MOMENT, |case| case.after).await;
    syncer.wait_for(JOB, Target::InSync).await;
    loses_its_first_frontends(&pair).await;
    run(&pair, &cases, MOMENT, |case| case.after).await;
    syncer.wait_for(JOB, Target::InSync).await;
    let target = crate::harness::compare::Place { cluster: &pair.down, db: "d2" };
    assert_same_databases(pair.source(), target).await;
    let logged = syncer.log_text();
    assert_eq!(logged.matches("full sync: backup").count(), 1, "{logged}");
    syncer.finish().await;
}

/// Waits until the job says which address it cannot use, and how to add it.
async fn misses(syncer: &Syncer, host: &str) {
    wait_until("the job names the address", BOUND, || async {
        let progress = syncer.progress(JOB).await;
        let told = progress["blocked"].to_string();
        let is_told = ["CCR0103", host, "update_host_mapping"].iter().all(|part| told.contains(part));
        if is_told { Ok(()) } else { Err(progress.to_string()) }
    })
    .await;
}

/// Each side in turn: what was missing is added, by either name of the call, survives a crash, is taken away.
async fn entries_come_and_go(table: &str, target: &str) {
    let (pair, job) = hidden(DB, table, target).await;
    pair.create_table("t", 2).await;
    pair.insert("t", 0..5).await;
    let mut syncer = Syncer::start().await;
    syncer.allow("CCR0103");
    for (part, cluster) in [("src", &pair.up), ("dest", &pair.down)] {
        let mut without_one = job.clone();
        let host = backend_host(cluster, 1);
        without_one[part]["host_mapping"][&host] = json!("");
        let refusal = syncer.refused("create_ccr", &without_one).await;
        assert!(refusal.contains(&host) && refusal.contains(&format!("{part}.host_mapping")), "{refusal}");
    }
    syncer.create(&job).await;
    syncer.wait_for(JOB, Target::InSync).await;
    let mut keys = (10..).step_by(10);
    let mut load = || keys.next().map(|key| key..key + 5).expect("numbers do not end");
    for (cluster, field, route) in [
        (&pair.up, "src_host_mapping", "update_host_mapping"),
        (&pair.down, "dest_host_mapping", "add_host_mapping"),
    ] {
        // The backend has another address from now on. A job that begins looks at the backends when it has a load.
        syncer.pause(JOB).await;
        announce(cluster, 0, UNKNOWN);
        pair.insert("t", load()).await;
        syncer.resume(JOB).await;
        misses(&syncer, UNKNOWN).await;
        syncer.call(route, &json!({ "name": JOB, field: { UNKNOWN: PUBLIC } })).await;
        syncer.wait_for(JOB, Target::InSync).await;
        pair.insert("t", load()).await;
        syncer.kill();
        syncer.restart().await;
        syncer.wait_for(JOB, Target::InSync).await;
        syncer.wait_for(JOB, Target::InSync).await;
        syncer.call(route, &json!({ "name": JOB, field: { UNKNOWN: "" } })).await;
        pair.insert("t", load()).await;
        misses(&syncer, UNKNOWN).await;
        announce(cluster, 0, &backend_host(cluster, 0));
        syncer.resume(JOB).await;
        syncer.wait_for(JOB, Target::InSync).await;
    }
    if target.is_empty() {
        assert_same_database(&pair).await;
    } else {
        crate::harness::assert_equal(&pair, table, target).await;
    }
    assert_eq!(pair.calls("sql:BACKUP"), 1, "no address is a reason for a full sync");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_a_database_job_are_added_and_taken_away() {
    entries_come_and_go("", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_a_table_job_are_added_and_taken_away() {
    entries_come_and_go("t", "target").await;
}
