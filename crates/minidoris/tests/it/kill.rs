//! KILL of a connection that is busy.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use tokio::task::JoinHandle;

use crate::harness::{bounded, cluster, connect, rows, server_error};

/// More pairs than any machine counts within the time of a test.
const ENDLESS: &str = "SELECT count(*) FROM numbers(\"number\" = \"10000000\") a \
                       JOIN numbers(\"number\" = \"10000000\") b ON a.number > b.number";

type Outcome = (Conn, Result<Vec<i64>, Error>);

/// A connection that runs [`ENDLESS`], and its number.
async fn busy(cluster: &minidoris::Cluster, other: &mut Conn) -> (u32, JoinHandle<Outcome>) {
    let mut conn = connect(cluster).await;
    let id: u32 = conn.query_first("SELECT CONNECTION_ID()").await.unwrap().unwrap();
    let task = tokio::spawn(async move {
        let outcome = conn.query(ENDLESS).await;
        (conn, outcome)
    });
    let show = format!("SHOW PROCESSLIST WHERE Id = {id} AND Command = 'Query'");
    bounded(async {
        while rows(other, &show).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    (id, task)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_ended_and_its_connection_stays() {
    let cluster = cluster().await;
    let mut other = connect(&cluster).await;
    let (id, task) = busy(&cluster, &mut other).await;
    other.query_drop(format!("KILL QUERY {id}")).await.unwrap();
    let (mut conn, outcome) = bounded(task).await.unwrap();
    let (code, text) = server_error(outcome);
    assert_eq!(code, 1105);
    assert!(text.starts_with("errCode = 2, detailMessage = cancel query by user from 127.0.0.1:"), "{text}");
    assert_eq!(rows(&mut conn, "SELECT 1").await.len(), 1);
    // Nothing runs now, so nothing is ended: neither the next query here nor one elsewhere.
    other.query_drop(format!("KILL QUERY {id}")).await.unwrap();
    assert_eq!(rows(&mut conn, "SELECT 2").await.len(), 1);
    assert_eq!(rows(&mut other, "SELECT 3").await.len(), 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_waits_for_another_one_is_ended_alone() {
    let cluster = cluster().await;
    let mut other = connect(&cluster).await;
    let (first, first_task) = busy(&cluster, &mut other).await;
    let (second, second_task) = busy(&cluster, &mut other).await;
    other.query_drop(format!("KILL QUERY {second}")).await.unwrap();
    assert!(!first_task.is_finished());
    other.query_drop(format!("KILL QUERY {first}")).await.unwrap();
    for task in [first_task, second_task] {
        let (_, outcome) = bounded(task).await.unwrap();
        assert!(server_error(outcome).1.contains("cancel query by user"));
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_connection_ends_with_its_query() {
    let cluster = cluster().await;
    let mut other = connect(&cluster).await;
    let (id, task) = busy(&cluster, &mut other).await;
    other.query_drop(format!("KILL {id}")).await.unwrap();
    let (mut conn, outcome) = bounded(task).await.unwrap();
    assert!(outcome.is_err());
    assert!(bounded(conn.query_drop("SELECT 1")).await.is_err());
    cluster.stop().await;
}
