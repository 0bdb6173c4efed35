//! Runs emulated Doris clusters until Ctrl-C.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Parser;
use minidoris::options::PORTS_PER_CLUSTER;
use minidoris::{Cluster, ClusterOptions, FrontendNode, Release};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Emulated Apache Doris clusters on local ports, for trying out and testing replication.
///
/// The binlog feature (`enable_feature_binlog`) is on in every frontend and backend started here, unlike
/// in Doris, where an operator has to turn it on. Data lives in memory and ends with the process, unless --data-dir keeps it.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// How many clusters to start; they are named cluster1, cluster2…
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=16))]
    clusters: u16,
    /// Frontends per cluster; the first is the master.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=6))]
    frontends: u16,
    /// Backends per cluster.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=13))]
    backends: u16,
    /// First port; each cluster takes the next hundred. 0 lets the system choose every port.
    #[arg(long, default_value_t = 0)]
    base_port: u16,
    /// A JSON array with one object of cluster options per cluster, instead of the options above. Left
    /// out fields have Doris's defaults, so the binlog feature must be asked for there.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["clusters", "frontends", "backends", "base_port"])]
    config: Option<PathBuf>,
    /// Which release of Doris the frontends behave like.
    #[arg(long, value_enum, default_value = "3.1", conflicts_with = "config")]
    release: Release,
    /// Keep the state of the clusters in this directory, and start with what it holds. Fixed ports
    /// (--base-port) let clients find the clusters again.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "config")]
    data_dir: Option<PathBuf>,
    /// Turn the binlog feature off.
    #[arg(long, conflicts_with = "config")]
    no_binlog: bool,
    /// Print the addresses as one line of JSON, for scripts.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Starts the clusters, says where they are, and stops them when told to.
async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let options = match &arguments.config {
        Some(path) => read_config(path)?,
        None => from_arguments(arguments)?,
    };
    let mut clusters = Vec::new();
    for options in options {
        let name = options.name.clone();
        clusters.push(Cluster::start(options).await.with_context(|| format!("start {name}"))?);
    }
    let mut output = io::stdout().lock();
    if arguments.json {
        writeln!(output, "{}", Value::Array(clusters.iter().map(addresses).collect()))?;
    } else {
        for cluster in &clusters {
            describe(&mut output, cluster)?;
        }
        writeln!(output, "\nCtrl-C stops everything.")?;
    }
    output.flush()?;
    drop(output);
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("wait for Ctrl-C")?,
        _ = terminate.recv() => {}
    }
    for cluster in &clusters {
        cluster.stop().await;
    }
    Ok(())
}

fn from_arguments(arguments: &Arguments) -> anyhow::Result<Vec<ClusterOptions>> {
    let block = |index: u16| -> anyhow::Result<u16> {
        if arguments.base_port == 0 {
            return Ok(0);
        }
        let first =
            index.checked_mul(PORTS_PER_CLUSTER).and_then(|skip| arguments.base_port.checked_add(skip));
        let first = first.filter(|port| port.checked_add(PORTS_PER_CLUSTER).is_some());
        first.context("--base-port leaves no room for all clusters below 65536")
    };
    let one = |index: u16| -> anyhow::Result<ClusterOptions> {
        let mut options = ClusterOptions::replicating(&format!("cluster{}", index + 1));
        options.frontends = usize::from(arguments.frontends);
        options.backends = usize::from(arguments.backends);
        options.release = arguments.release;
        options.base_port = block(index)?;
        options.data_dir.clone_from(&arguments.data_dir);
        options.feature_binlog = !arguments.no_binlog;
        options.be_feature_binlog = !arguments.no_binlog;
        // Ids that tell at a glance which cluster an object belongs to.
        options.first_id = 10_000 * (i64::from(index) + 1);
        Ok(options)
    };
    (0..arguments.clusters).map(one).collect()
}

fn read_config(path: &Path) -> anyhow::Result<Vec<ClusterOptions>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let options: Vec<ClusterOptions> =
        serde_json::from_str(&text).with_context(|| format!("parse {}", path.display()))?;
    ensure!(!options.is_empty(), "{} names no cluster", path.display());
    Ok(options)
}

/// Everything a script needs to reach a cluster.
fn addresses(cluster: &Cluster) -> Value {
    let frontend = |node: FrontendNode| {
        json!({
            "host": node.host, "http_port": node.http_port, "query_port": node.query_port,
            "rpc_port": node.rpc_port, "is_master": node.is_master,
        })
    };
    let backend = |index| {
        let node = cluster.be(index);
        json!({ "id": node.id, "host": node.host, "be_port": node.be_port, "http_port": node.http_port })
    };
    let (host, port) = cluster.admin_address();
    json!({
        "name": cluster.name(),
        "frontends": cluster.frontends().into_iter().map(|(_, node)| frontend(node)).collect::<Vec<_>>(),
        "backends": (0..cluster.backend_count()).map(backend).collect::<Vec<_>>(),
        "admin": { "host": host, "port": port },
    })
}

fn describe(output: &mut impl Write, cluster: &Cluster) -> io::Result<()> {
    writeln!(output, "\n{}", cluster.name())?;
    for (index, node) in cluster.frontends() {
        let role = if node.is_master { "master" } else { "follower" };
        writeln!(
            output,
            "  frontend {index} ({role})  mysql {host}:{}  thrift {host}:{}  http {host}:{}",
            node.query_port,
            node.rpc_port,
            node.http_port,
            host = node.host,
        )?;
    }
    for index in 0..cluster.backend_count() {
        let node = cluster.be(index);
        writeln!(
            output,
            "  backend {index} (id {})  thrift {host}:{}  http {host}:{}",
            node.id,
            node.be_port,
            node.http_port,
            host = node.host,
        )?;
    }
    let (host, port) = cluster.admin_address();
    writeln!(output, "  admin  http {host}:{port}")?;
    let Some((_, fe)) = cluster.frontends().into_iter().find(|(_, node)| node.alive) else { return Ok(()) };
    writeln!(output, "  mysql -h {} -P {} -u root", fe.host, fe.query_port)?;
    writeln!(
        output,
        "  curl --location-trusted -u root: -H 'Expect: 100-continue' -H 'column_separator: ,' \
         -T data.csv http://{}:{}/api/DB/TABLE/_stream_load",
        fe.host, fe.http_port
    )?;
    writeln!(
        output,
        "  curl -X POST http://{host}:{port}/faults -d \
         '{{\"call\": \"commitTxn\", \"kind\": \"cut_after\", \"remaining\": 1}}'"
    )
}
