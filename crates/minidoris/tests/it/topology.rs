//! Nodes that come, go and move while the cluster runs.

use std::collections::BTreeSet;

use doris_thrift::{TGetMetaTabletMeta, TStatusCode, TTabletCommitInfo};
use minidoris::{Cluster, ClusterOptions, NewAddress};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::harness::{LIMIT, bounded, cluster, connect, opts, rows, server_error};
use crate::wire::{Wire, ok};

async fn of_backends(backends: usize) -> Cluster {
    bounded(Cluster::start(ClusterOptions { backends, ..ClusterOptions::replicating("grow") })).await.unwrap()
}

/// The cells of one column, by name.
async fn column(cluster: &Cluster, statement: &str, name: &str) -> Vec<String> {
    let result = bounded(cluster.sql(statement)).await.unwrap();
    let at = result.columns.iter().position(|column| column == name).unwrap();
    result.rows.into_iter().map(|mut row| row.swap_remove(at).unwrap_or_default()).collect()
}

async fn refused(cluster: &Cluster, statement: &str) -> String {
    bounded(cluster.sql(statement)).await.unwrap_err().message
}

/// `d.t` with 4 tablets of `replicas` replicas and three rows.
async fn table(cluster: &Cluster, replicas: u16) {
    let create = format!(
        "CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\"); CREATE TABLE d.t (k int, v varchar(9)) \
         UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 4 PROPERTIES (\"replication_num\" = \"{replicas}\", \
         \"binlog.enable\" = \"true\"); INSERT INTO d.t VALUES (1, 'a'), (2, 'b'), (3, 'c')"
    );
    bounded(cluster.sql(&create)).await.unwrap();
}

/// The tablets of `d.t` in bucket order.
async fn tablets(wire: &Wire) -> Vec<TGetMetaTabletMeta> {
    let table = wire.table("d", "t").await;
    table.partitions.unwrap().remove(0).indexes.unwrap().remove(0).tablets.unwrap()
}

fn hosts(tablets: &[TGetMetaTabletMeta]) -> BTreeSet<i64> {
    let replicas = tablets.iter().flat_map(|tablet| tablet.replicas.as_ref().unwrap());
    replicas.map(|replica| replica.backend_id.unwrap()).collect()
}

#[tokio::test]
async fn alter_system_refuses_in_doriss_words() {
    let cluster = of_backends(1).await;
    let be = cluster.be(0);
    let (be, fe) = (
        format!("{}:{}", be.host, be.heartbeat_port),
        format!("{}:{}", cluster.fe(0).host, cluster.fe(0).edit_log_port),
    );
    table(&cluster, 1).await;
    for (statement, text) in [
        (format!("ADD BACKEND '{be}'"), format!("Same backend already exists[{be}]")),
        ("ADD BACKEND 'nowhere'".to_owned(), "Invalid host port: nowhere".to_owned()),
        ("ADD BACKEND 'h:99999'".to_owned(), "Port is out of range: 99999".to_owned()),
        ("DROPP BACKEND '127.0.0.1:1'".to_owned(), "backend does not exists[127.0.0.1:1]".to_owned()),
        ("DROPP BACKEND '77'".to_owned(), "backend does not exists[77]".to_owned()),
        (format!("DROP BACKEND '{be}'"), "It is highly NOT RECOMMENDED to use DROP BACKEND stmt.".to_owned()),
        (
            "DECOMMISSION BACKEND '127.0.0.1:1'".to_owned(),
            "Backend does not exist[127.0.0.1:1]".to_owned(),
        ),
        (
            format!("DECOMMISSION BACKEND '{be}'"),
            "After decommission, partition t of table d.t 's replication allocation { tag.location.default: 1 } > \
             available backend num 0"
                .to_owned(),
        ),
        (format!("ADD FOLLOWER '{fe}'"), "frontend already exists".to_owned()),
        (format!("DROP FOLLOWER '{fe}'"), "can not drop current master node.".to_owned()),
        ("DROP OBSERVER 'h:1'".to_owned(), "frontend does not exist[h:1]".to_owned()),
        (format!("MODIFY BACKEND '{be}' HOSTNAME '10.0.0.1'"), "Invalid hostname: 10.0.0.1".to_owned()),
        (
            format!("MODIFY BACKEND '{be}' SET ('color' = 'red')"),
            "unknown properties setting for key (color)".to_owned(),
        ),
    ] {
        let message = refused(&cluster, &format!("ALTER SYSTEM {statement}")).await;
        assert!(message.starts_with(&text), "{statement}: {message}");
    }
    // Who may not change nodes: an administrator without NODE_PRIV.
    bounded(cluster.sql("CREATE USER ops; GRANT ADMIN_PRIV ON *.*.* TO ops")).await.unwrap();
    let mut conn = bounded(Conn::new(opts(&cluster, 0).user(Some("ops")))).await.unwrap();
    let (code, text) = server_error(conn.query_drop("ALTER SYSTEM ADD BACKEND '127.0.0.1:9099'").await);
    assert_eq!(code, 1227);
    assert!(text.contains("(at least one of) the (NODE) privilege(s)"), "{text}");
    assert_eq!(cluster.backend_count(), 1);
    cluster.stop().await;
}

#[tokio::test]
async fn a_decommissioned_backend_gives_its_tablets_away_and_goes() {
    let cluster = of_backends(2).await;
    table(&cluster, 1).await;
    let mut conn = connect(&cluster).await;
    let wire = Wire::new(&cluster, 0);
    let before = tablets(&wire).await;
    let (leaving, staying) = (cluster.be(1), cluster.be(0));
    assert_eq!(hosts(&before), BTreeSet::from([leaving.id, staying.id]));
    let binlogs = wire.binlogs("d", 0).await.binlogs.unwrap().len();

    bounded(conn.query_drop(format!(
        "ALTER SYSTEM DECOMMISSION BACKEND \"{}:{}\"",
        leaving.host, leaving.heartbeat_port
    )))
    .await
    .unwrap();
    assert!(cluster.wait_until(LIMIT, |inner| inner.backend_nodes.read().len() == 1).await);
    let after = tablets(&wire).await;
    assert_eq!(hosts(&after), BTreeSet::from([staying.id]));
    for (old, new) in before.iter().zip(&after) {
        assert_eq!(old.id, new.id, "tablets keep their ids");
        let (old, new) = (&old.replicas.as_ref().unwrap()[0], &new.replicas.as_ref().unwrap()[0]);
        let moved = old.backend_id == Some(leaving.id);
        assert_eq!(old.id != new.id, moved, "only replicas that moved have new ids");
        assert_eq!(old.version, new.version);
    }
    let shown: BTreeSet<String> =
        column(&cluster, "SHOW TABLETS FROM d.t", "BackendId").await.into_iter().collect();
    assert_eq!(shown, BTreeSet::from([staying.id.to_string()]));
    assert!(!wire.backends().await.contains_key(&leaving.id));
    assert_eq!(rows(&mut conn, "SELECT k, v FROM d.t ORDER BY k").await.len(), 3);
    assert_eq!(wire.binlogs("d", 0).await.binlogs.unwrap().len(), binlogs, "a move leaves no binlog");
    // The binlogs of what was written before the move moved along.
    let backend = cluster.backend(0);
    for tablet in &after {
        assert!(backend.tablet(tablet.id.unwrap()).unwrap().binlog(2).is_some());
    }
    bounded(conn.query_drop("INSERT INTO d.t VALUES (4, 'd')")).await.unwrap();
    assert_eq!(rows(&mut conn, "SELECT k FROM d.t").await.len(), 4);
    cluster.stop().await;
}

#[tokio::test]
async fn a_transaction_that_wrote_the_old_replica_is_waited_for() {
    let cluster = of_backends(2).await;
    table(&cluster, 1).await;
    bounded(cluster.sql("ADMIN SET FRONTEND CONFIG (\"drop_backend_after_decommission\" = \"false\")"))
        .await
        .unwrap();
    let wire = Wire::new(&cluster, 0);
    let leaving = cluster.be(1);
    let table_id = wire.table("d", "t").await.id.unwrap();
    let begun = wire.begin("d", table_id, "open").await.txn_id.unwrap();
    let old = tablets(&wire).await;
    cluster.decommission_backend(1).unwrap();
    let doubled = |inner: &minidoris::ClusterInner| {
        let state = inner.fe.lock();
        let table = state.database_named("d").unwrap().table_named("t").unwrap().as_olap().unwrap();
        table.partitions.values().flat_map(|partition| partition.tablets()).any(|one| one.replicas.len() == 2)
    };
    assert!(
        cluster.wait_until(LIMIT, doubled).await,
        "both replicas are there while the transaction is open"
    );
    // It names the replicas that it knew.
    let mut written = Vec::new();
    let partition = cluster.inner().fe.lock().txns.tablets.get(old[0].id.unwrap()).unwrap().partition_id;
    for tablet in &old {
        let (id, host) = (tablet.id.unwrap(), tablet.replicas.as_ref().unwrap()[0].backend_id.unwrap());
        let backend = cluster.inner().backend(host).unwrap();
        backend.write(begun, partition, id, (1, 1), Vec::new()).unwrap();
        written.push(TTabletCommitInfo::new(id, host));
    }
    ok(wire.commit("d", begun, written).await);
    let empty = |inner: &minidoris::ClusterInner| {
        let state = inner.fe.lock();
        let table = state.database_named("d").unwrap().table_named("t").unwrap().as_olap().unwrap();
        let mut replicas = table
            .partitions
            .values()
            .flat_map(|partition| partition.tablets())
            .flat_map(|tablet| &tablet.replicas);
        replicas.all(|replica| replica.backend_id != leaving.id)
    };
    assert!(cluster.wait_until(LIMIT, empty).await);
    for tablet in tablets(&wire).await {
        assert_eq!(
            tablet.replicas.as_ref().unwrap()[0].version,
            Some(3),
            "the new replica has what was committed"
        );
    }
    // With that setting it stays, empty, until someone drops it or calls it back.
    assert_eq!(column(&cluster, "SHOW BACKENDS", "SystemDecommissioned").await, ["false", "true"]);
    assert_eq!(column(&cluster, "SHOW BACKENDS", "TabletNum").await, ["4", "0"]);
    let address = format!("{}:{}", leaving.host, leaving.heartbeat_port);
    bounded(cluster.sql(&format!("CANCEL DECOMMISSION BACKEND '{address}'"))).await.unwrap();
    assert_eq!(column(&cluster, "SHOW BACKENDS", "SystemDecommissioned").await, ["false", "false"]);
    bounded(cluster.sql(&format!("ALTER SYSTEM DROPP BACKEND '{address}'"))).await.unwrap();
    assert_eq!(column(&cluster, "SELECT BackendId FROM backends()", "BackendId").await.len(), 1);
    cluster.stop().await;
}

#[tokio::test]
async fn replicas_of_a_dropped_backend_are_made_again_elsewhere() {
    let cluster = of_backends(3).await;
    table(&cluster, 2).await;
    let dropped = cluster.be(0).id;
    bounded(cluster.sql(&format!("ALTER SYSTEM DROPP BACKEND '{dropped}'"))).await.unwrap();
    let complete = |inner: &minidoris::ClusterInner| {
        let state = inner.fe.lock();
        let table = state.database_named("d").unwrap().table_named("t").unwrap().as_olap().unwrap();
        table.partitions.values().flat_map(|partition| partition.tablets()).all(|tablet| {
            tablet.replicas.len() == 2 && tablet.replicas.iter().all(|one| one.backend_id != dropped)
        })
    };
    assert!(cluster.wait_until(LIMIT, complete).await);
    let left: BTreeSet<i64> = (0..2).map(|at| cluster.be(at).id).collect();
    assert_eq!(hosts(&tablets(&Wire::new(&cluster, 0)).await), left);
    for backend in [cluster.backend(0), cluster.backend(1)] {
        for tablet in tablets(&Wire::new(&cluster, 0)).await {
            assert!(backend.tablet(tablet.id.unwrap()).unwrap().binlog(2).is_some());
        }
    }
    cluster.stop().await;
}

#[tokio::test]
async fn an_added_backend_takes_tablets_and_an_unreachable_one_is_dead() {
    let cluster = of_backends(1).await;
    bounded(cluster.sql(
        "ALTER SYSTEM ADD BACKEND '127.0.0.1:19050', '10.255.255.1:9050'; \
         ALTER SYSTEM ADD BACKEND '127.0.0.1:19051' PROPERTIES ('tag.location' = 'other')",
    ))
    .await
    .unwrap();
    assert_eq!(column(&cluster, "SHOW BACKENDS", "Alive").await, ["true", "true", "false", "true"]);
    assert_eq!(
        column(&cluster, "SHOW BACKENDS", "HeartbeatPort").await,
        ["9050", "19050", "9050", "19051"],
        "a backend keeps the port it was added with"
    );
    assert_eq!(column(&cluster, "SHOW BACKENDS", "Tag").await[3], "{\"location\" : \"other\"}");
    table(&cluster, 1).await;
    let (wire, ids) = (Wire::new(&cluster, 0), [cluster.be(0).id, cluster.be(1).id]);
    assert_eq!(hosts(&tablets(&wire).await), BTreeSet::from(ids), "no tablet without its tag or its process");
    let added = cluster.be(1).id;
    bounded(cluster.sql(&format!("ALTER SYSTEM MODIFY BACKEND '{added}' SET ('disable_load' = 'true')")))
        .await
        .unwrap();
    assert!(column(&cluster, "SHOW BACKENDS", "Status").await[1].contains("\"isLoadDisabled\":true"));
    cluster.stop().await;
}

#[tokio::test]
async fn nodes_that_move_are_told_with_their_new_address() {
    let cluster = of_backends(1).await;
    table(&cluster, 1).await;
    let (before, fe_before) = (cluster.be(0), cluster.fe(0));
    let any = NewAddress { be_port: Some(0), http_port: Some(0), ..NewAddress::default() };
    cluster.move_backend(0, any).await.unwrap();
    let after = cluster.be(0);
    assert_ne!((before.be_port, before.http_port), (after.be_port, after.http_port));
    assert_eq!((before.id, before.heartbeat_port), (after.id, after.heartbeat_port));
    assert_eq!(column(&cluster, "SHOW BACKENDS", "BePort").await, [after.be_port.to_string()]);
    assert_eq!(
        column(&cluster, "SELECT HttpPort FROM backends()", "HttpPort").await,
        [after.http_port.to_string()]
    );
    let told = Wire::new(&cluster, 0).backends().await.remove(&after.id).unwrap();
    assert_eq!((told.be_port, told.http_port), (i32::from(after.be_port), i32::from(after.http_port)));

    // A name that Doris's SQL takes, and the row data is where it was.
    let address = format!("{}:{}", after.host, after.heartbeat_port);
    bounded(cluster.sql(&format!("ALTER SYSTEM MODIFY BACKEND '{address}' HOSTNAME 'localhost'")))
        .await
        .unwrap();
    let told = Wire::new(&cluster, 0).backends().await.remove(&after.id).unwrap();
    assert_eq!((told.host.as_str(), told.is_alive), ("localhost", Some(true)));
    assert_eq!(column(&cluster, "SELECT k FROM d.t ORDER BY k", "k").await, ["1", "2", "3"]);

    let ports = NewAddress { query_port: Some(0), rpc_port: Some(0), ..NewAddress::default() };
    cluster.move_frontend(0, ports).await.unwrap();
    let fe = cluster.fe(0);
    assert_ne!((fe.query_port, fe.rpc_port), (fe_before.query_port, fe_before.rpc_port));
    assert_eq!((fe.http_port, fe.is_master), (fe_before.http_port, true));
    assert_eq!(
        column(&cluster, "SELECT RpcPort FROM frontends()", "RpcPort").await,
        [fe.rpc_port.to_string()]
    );
    assert!(bounded(Conn::new(opts(&cluster, 0))).await.is_ok());
    assert_eq!(Wire::new(&cluster, 0).backends().await.len(), 1);

    // Announced and not true: everyone is told, and nobody answers there.
    let wrong =
        NewAddress { host: Some("192.0.2.1".to_owned()), http_port: Some(1), ..NewAddress::default() };
    cluster.announce_backend(0, wrong).unwrap();
    let told = Wire::new(&cluster, 0).backends().await.remove(&after.id).unwrap();
    assert_eq!((told.host.as_str(), told.http_port, told.is_alive), ("192.0.2.1", 1, Some(true)));
    let restarted = cluster.restart_backend(0).await;
    restarted.unwrap();
    assert_eq!((cluster.be(0).host.as_str(), cluster.be(0).http_port), ("localhost", after.http_port));
    cluster.stop().await;
}

#[tokio::test]
async fn frontends_join_lead_and_leave() {
    let cluster = cluster().await;
    bounded(
        cluster
            .sql("ALTER SYSTEM ADD FOLLOWER '127.0.0.1:19010'; ALTER SYSTEM ADD OBSERVER '127.0.0.1:19011'"),
    )
    .await
    .unwrap();
    assert_eq!(column(&cluster, "SHOW FRONTENDS", "Role").await, ["FOLLOWER", "FOLLOWER", "OBSERVER"]);
    assert_eq!(column(&cluster, "SHOW FRONTENDS", "EditLogPort").await, ["9010", "19010", "19011"]);
    assert_eq!(column(&cluster, "SHOW FRONTENDS", "IsMaster").await, ["true", "false", "false"]);
    table(&cluster, 1).await;
    let table_id = Wire::new(&cluster, 0).table("d", "t").await.id.unwrap();
    let status = Wire::new(&cluster, 1).begin("d", table_id, "l").await.status.unwrap();
    assert_eq!(status.status_code, TStatusCode::NOT_MASTER);
    assert!(cluster.make_master(2).is_err(), "an observer never leads");
    cluster.make_master(1).unwrap();
    ok(Wire::new(&cluster, 1).begin("d", table_id, "l").await.status);
    let told = Wire::new(&cluster, 0).binlogs("d", 0).await;
    assert_eq!(told.master_address.unwrap().port, i32::from(cluster.fe(1).rpc_port));

    let mut conn = bounded(Conn::new(opts(&cluster, 0))).await.unwrap();
    let drop = "ALTER SYSTEM DROP FOLLOWER '127.0.0.1:9010'";
    assert_eq!(
        refused(&cluster, "ALTER SYSTEM DROP FOLLOWER '127.0.0.1:19011'").await,
        "FOLLOWER does not exist[127.0.0.1:19011]"
    );
    cluster.kill_frontend(2).await.unwrap();
    bounded(cluster.sql(drop)).await.unwrap();
    assert!(bounded(conn.query_drop("SELECT 1")).await.is_err(), "its connections end with it");
    assert_eq!(column(&cluster, "SHOW FRONTENDS", "Name").await.len(), 2);
    // Three followers of which one is dead: a living one may not go.
    bounded(
        cluster
            .sql("ALTER SYSTEM ADD FOLLOWER '127.0.0.1:19012'; ALTER SYSTEM ADD FOLLOWER '127.0.0.1:19013'"),
    )
    .await
    .unwrap();
    cluster.kill_frontend(3).await.unwrap();
    let text = refused(&cluster, "ALTER SYSTEM DROP FOLLOWER '127.0.0.1:19013'").await;
    assert!(text.starts_with("Unable to drop this alive follower"), "{text}");
    cluster.stop().await;
}

#[tokio::test]
async fn nothing_is_loaded_while_nobody_leads() {
    let cluster = cluster().await;
    bounded(cluster.sql("ALTER SYSTEM ADD FOLLOWER '127.0.0.1:19010'")).await.unwrap();
    table(&cluster, 1).await;
    cluster.kill_frontend(0).await.unwrap();
    let node = cluster.be(0);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let load = async |what: &str| -> serde_json::Value {
        let url = format!("http://{}:{}/api/d/{what}", node.host, node.http_port);
        let request = client.put(url).basic_auth("root", Some("")).header("label", "l");
        let request = request.header("txn_operation", "commit").body("1\tx");
        let answer = bounded(request.send()).await.unwrap().text().await.unwrap();
        serde_json::from_str(&answer).unwrap()
    };
    let refused = load("t/_stream_load").await;
    assert_eq!(refused["Status"], "Fail", "{refused}");
    assert!(refused["Message"].as_str().unwrap().contains("no master"), "{refused}");
    assert_ne!(load("_stream_load_2pc").await["status"], "Success");
    cluster.make_master(1).unwrap();
    let loaded = load("t/_stream_load").await;
    assert_eq!(loaded["Status"], "Success", "{loaded}");
    cluster.stop().await;
}

#[tokio::test]
async fn nodes_come_and_go_over_the_admin_api() {
    let cluster = cluster().await;
    let (host, port) = cluster.admin_address();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = async |path: &str, body: &'static str| {
        let response =
            bounded(client.post(format!("http://{host}:{port}{path}")).body(body).send()).await.unwrap();
        (response.status().as_u16(), bounded(response.json::<serde_json::Value>()).await.unwrap())
    };
    let (status, added) = post("/be", "").await;
    assert_eq!((status, added["id"].as_i64()), (200, Some(cluster.be(1).id)));
    assert_eq!(post("/fe", "").await.1["number"], 1);
    let before = cluster.be(1).be_port;
    // A backend may also be called by its id.
    let path = format!("/be/{}/move", cluster.be(1).id);
    assert_eq!(post(&path, r#"{"be_port": 0}"#).await.0, 200);
    assert_ne!(cluster.be(1).be_port, before);
    assert_eq!(post("/be/1/move", r#"{"be_prot": 0}"#).await.0, 400);
    assert_eq!(post("/be/1/announce", r#"{"host": "192.0.2.9"}"#).await.0, 200);
    assert_eq!(cluster.be(1).host, "192.0.2.9");
    let before = cluster.fe(1).query_port;
    assert_eq!(post("/fe/1/move", r#"{"query_port": 0}"#).await.0, 200);
    assert_ne!(cluster.fe(1).query_port, before);
    assert_eq!(post("/be/0/decommission", "").await.0, 200);
    assert!(cluster.wait_until(LIMIT, |inner| inner.backend_nodes.read().len() == 1).await);
    assert_eq!(post("/be", "").await.0, 200);
    assert_eq!(post("/be/0/drop", "").await.0, 200);
    assert_eq!(cluster.backend_count(), 1);
    cluster.stop().await;
}
