//! Whether a cluster of the size that large installations have fits into a small machine. Run by hand:
//! `cargo bench -p minidoris --bench scale -- [tables] [partitions]`.
//!
//! One database with 1,000 tables of 100 partitions, one tablet each. Measured are the memory of the whole
//! process, a getMeta of all 100,000 tablets over a socket, and a snapshot of the database while its tablets
//! report 10 GB in all: the tablets hold no such rows, but everything that describes the snapshot is as
//! large as if they did, that is `meta` and `job_info` with an address, a path and a commit seq for every
//! tablet and table. Each figure is printed as a ratio to its bound, and the program fails when one is missed.

#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use doris_thrift::{
    ClientPool, FrontendClient, PoolOptions, TGetMetaDB, TGetMetaRequest, TGetSnapshotRequest, TSnapshotType,
    TStatusCode,
};
use minidoris::{Cluster, ClusterOptions};

const TABLES: u64 = 1_000;
const PARTITIONS: u64 = 100;
/// Bytes resident at the worst moment, the client of this program included.
const MEMORY_BOUND: f64 = 2.0 * 1024.0 * 1024.0 * 1024.0;
const META_BOUND: Duration = Duration::from_secs(1);
/// From BACKUP to the payloads in the client's hands. Nearly all of it is the disk, which makes three directories
/// and a file per tablet.
const SNAPSHOT_BOUND: Duration = Duration::from_secs(30);
const REPORTED_BYTES: u64 = 10 * 1024 * 1024 * 1024;
const BACKENDS: usize = 3;

fn main() -> anyhow::Result<()> {
    // Cargo passes `--bench`, which is no number.
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let tables = numbers.next().unwrap_or(TABLES);
    let partitions = numbers.next().unwrap_or(PARTITIONS);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(tables, partitions))
}

async fn measure(tables: u64, partitions: u64) -> anyhow::Result<()> {
    let options = ClusterOptions { backends: BACKENDS, ..ClusterOptions::replicating("bench") };
    let cluster = Cluster::start(options).await?;
    let started = Instant::now();
    create(&cluster, tables, partitions).await?;
    let tablets = tables * partitions;
    println!(
        "scale: {tables} tables with {tablets} tablets made in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    let mut missed = Vec::new();
    let mut report = |what: &str, figure: f64, bound: f64, unit: &str| {
        println!("{what}: {figure:.2} {unit}, bound {bound:.2} {unit}, ratio {:.2}", bound / figure);
        if figure > bound {
            missed.push(what.to_owned());
        }
    };
    const MIB: f64 = 1024.0 * 1024.0;
    report("memory of the catalogue", memory("VmRSS")? / MIB, MEMORY_BOUND / MIB, "MiB");

    let pool = ClientPool::new(PoolOptions::default());
    let fe = cluster.fe(0);
    let client = pool.frontend(&format!("{}:{}", fe.host, fe.rpc_port));
    // The first call opens the connection.
    get_meta(&client, tablets).await?;
    let took = get_meta(&client, tablets).await?;
    report("getMeta", took.as_secs_f64(), META_BOUND.as_secs_f64(), "s");

    cluster.claim_tablet_size("d", REPORTED_BYTES / tablets)?;
    let (took, bytes) = snapshot(&cluster, &client).await?;
    println!("snapshot: meta and job info have {:.1} MiB", bytes as f64 / MIB);
    report("snapshot", took.as_secs_f64(), SNAPSHOT_BOUND.as_secs_f64(), "s");
    report("memory at the worst moment", memory("VmHWM")? / MIB, MEMORY_BOUND / MIB, "MiB");
    cluster.stop().await;
    ensure!(missed.is_empty(), "missed: {}", missed.join(", "));
    Ok(())
}

async fn create(cluster: &Cluster, tables: u64, partitions: u64) -> anyhow::Result<()> {
    cluster.sql(r#"CREATE DATABASE d PROPERTIES ("binlog.enable" = "true")"#).await?;
    let ranges: Vec<String> = (0..partitions)
        .map(|at| format!("PARTITION p{at} VALUES LESS THAN (\"{}\")", (at + 1) * 100))
        .collect();
    for number in 0..tables {
        let sql = format!(
            "CREATE TABLE t{number} (k INT, name VARCHAR(64), amount DECIMAL(12,2)) DUPLICATE KEY(k) \
             PARTITION BY RANGE(k) ({}) DISTRIBUTED BY HASH(k) BUCKETS 1 \
             PROPERTIES (\"replication_num\" = \"1\", \"binlog.enable\" = \"true\")",
            ranges.join(", ")
        );
        cluster.sql_in("d", &sql).await?;
    }
    Ok(())
}

/// Asks for everything and counts what came.
async fn get_meta(client: &FrontendClient, tablets: u64) -> anyhow::Result<Duration> {
    let request = TGetMetaRequest {
        user: Some("root".into()),
        passwd: Some(String::new()),
        db: Some(TGetMetaDB { name: Some("d".into()), ..Default::default() }),
        ..Default::default()
    };
    let started = Instant::now();
    let result = client.get_meta(&request).await?;
    let took = started.elapsed();
    let tables = result.db_meta.and_then(|meta| meta.tables).context("getMeta names no tables")?;
    let counted: usize = tables
        .iter()
        .flat_map(|table| table.partitions.iter().flatten())
        .flat_map(|partition| partition.indexes.iter().flatten())
        .map(|index| index.tablets.as_ref().map_or(0, Vec::len))
        .sum();
    ensure!(counted as u64 == tablets, "getMeta tells {counted} tablets");
    Ok(took)
}

/// Backs the database up and fetches the snapshot; tells the time and the size of the payloads.
async fn snapshot(cluster: &Cluster, client: &FrontendClient) -> anyhow::Result<(Duration, usize)> {
    let reported = cluster.sql_in("d", "SHOW DATA FROM t0").await?;
    println!("snapshot: {} in each table, as SHOW DATA says", shown_size(&reported.rows));
    let started = Instant::now();
    cluster.sql_in("d", "BACKUP SNAPSHOT d.s TO `__keep_on_local__`").await?;
    let finished = cluster
        .wait_until(SNAPSHOT_BOUND * 4, |inner| {
            let state = inner.fe.lock();
            let found = minidoris::snapshot::find_snapshot(&state, "s", inner.clock.now_ms());
            matches!(found, minidoris::snapshot::SnapshotLookup::Found(_))
        })
        .await;
    ensure!(finished, "the backup did not finish: {:?}", cluster.sql_in("d", "SHOW BACKUP").await?.rows);
    println!("snapshot: backup finished after {:.1} s", started.elapsed().as_secs_f64());
    let request = TGetSnapshotRequest {
        user: Some("root".into()),
        passwd: Some(String::new()),
        db: Some("d".into()),
        label_name: Some("s".into()),
        snapshot_name: Some(String::new()),
        snapshot_type: Some(TSnapshotType::LOCAL),
        ..Default::default()
    };
    let result = client.get_snapshot(&request).await?;
    let took = started.elapsed();
    let status = result.status.as_ref().map(|status| status.status_code);
    ensure!(status == Some(TStatusCode::OK), "getSnapshot failed: {:?}", result.status);
    Ok((took, result.meta.map_or(0, |meta| meta.len()) + result.job_info.map_or(0, |info| info.len())))
}

fn shown_size(rows: &[Vec<Option<String>>]) -> String {
    rows.first().and_then(|row| row.get(1).cloned().flatten()).unwrap_or_default()
}

/// A line of the kernel's account of this process, in bytes.
fn memory(line: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status").context("this program needs Linux")?;
    let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kib = found.and_then(|text| text.split_whitespace().next()).context("no such line")?;
    Ok(kib.parse::<f64>()? * 1024.0)
}
