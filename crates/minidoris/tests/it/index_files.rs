//! The files of inverted indexes: which rowsets have them, and how they travel with their segments.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use doris_thrift::{TIngestBinlogStatus, TQueryIngestBinlogRequest, TStatus, TStatusCode, TUniqueId};
use minidoris::be::DownloadTask;
use minidoris::{Cluster, ClusterOptions, Fault, FaultKind};
use parking_lot::Mutex;

use crate::harness::{LIMIT, bounded, pair};
use crate::replicas::{Place, client, get, places, request};

/// A table with two indexes that have files, one that has none, and a rollup without indexes.
fn create(format: &str) -> String {
    format!(
        "CREATE TABLE d.t (k int, v string, w string, INDEX i_v (v) USING INVERTED, \
         INDEX i_n (v) USING NGRAM_BF PROPERTIES(\"gram_size\" = \"3\", \"bf_size\" = \"256\"), \
         INDEX i_w (w) USING INVERTED PROPERTIES(\"parser\" = \"english\")) \
         DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 \
         PROPERTIES (\"replication_num\" = \"1\", \"binlog.enable\" = \"true\", \
         \"inverted_index_storage_format\" = \"{format}\")"
    )
}

async fn sql(cluster: &Cluster, text: &str) {
    bounded(cluster.sql(text)).await.unwrap();
}

async fn two_with(format: &str) -> (Cluster, Cluster) {
    let (up, down) = bounded(pair()).await;
    for cluster in [&up, &down] {
        sql(cluster, "CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")").await;
        sql(cluster, &create(format)).await;
    }
    (up, down)
}

/// Rows of more than one segment.
const TWO_SEGMENTS: &str =
    "INSERT INTO d.t SELECT number, repeat('x', 10000), 'w' FROM numbers('number' = '600')";

/// The ids of the indexes with files.
fn index_ids(cluster: &Cluster) -> Vec<i64> {
    let state = cluster.inner().fe.lock();
    let table = state.database_named("d").unwrap().table_named("t").unwrap().as_olap().unwrap();
    let inverted = table.secondary_indexes.iter().filter(|index| index.kind == "INVERTED");
    inverted.map(|index| index.id).collect()
}

/// What a backend is asked for, in order.
#[derive(Clone)]
struct Recorder {
    upstream: String,
    client: reqwest::Client,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    /// Listens before a backend; tells its own port.
    async fn before(cluster: &Cluster, backend: usize) -> (Self, u16) {
        let node = cluster.be(backend);
        let recorder = Self {
            upstream: format!("http://{}:{}", node.host, node.http_port),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            seen: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(forward).with_state(recorder.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (recorder, port)
    }

    /// `METHOD method segment [index id]` of every request so far.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock())
    }
}

async fn forward(State(recorder): State<Recorder>, request: Request) -> Response {
    let uri = request.uri().to_string();
    let value = |name: &str| {
        let at = uri.find(&format!("{name}="))? + name.len() + 1;
        Some(uri[at..].split('&').next().unwrap().to_owned())
    };
    let parts = ["&method", "?method", "segment_index", "segment_index_id"].map(value);
    let line: Vec<String> = parts.into_iter().flatten().collect();
    recorder.seen.lock().push(format!("{} {}", request.method(), line.join(" ")));
    let url = format!("{}{uri}", recorder.upstream);
    let answer = recorder.client.request(request.method().clone(), url).send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    for name in ["content-length", "content-md5"] {
        if let Some(value) = answer.headers().get(name) {
            response = response.header(name, value);
        }
    }
    response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}

async fn ingest(up: &Cluster, down: &Cluster, port: u16, version: i64, txn_id: i64) -> TStatus {
    let (from, to) = (places(up)[0], places(down)[0]);
    let mut request = request(up, from, to, version, txn_id);
    request.remote_port = Some(port.to_string());
    bounded(client(down, to.backend).ingest_binlog(&request)).await.unwrap().status.unwrap()
}

/// The rowset id of a version's binlog.
async fn rowset_of(cluster: &Cluster, place: Place, version: i64) -> String {
    let path = format!(
        "/api/_binlog/_download?method=get_binlog_info&tablet_id={}&binlog_version={version}",
        place.tablet
    );
    let (status, body) = get(cluster, place.backend, &path).await;
    assert_eq!(status, 200, "{body}");
    body.split(':').next().unwrap().to_owned()
}

/// Status and bytes of an index file.
async fn index_file(cluster: &Cluster, version: i64, segment: usize, index_id: i64) -> (u16, Vec<u8>) {
    let place = places(cluster)[0];
    let rowset = rowset_of(cluster, place, version).await;
    let node = cluster.be(place.backend);
    let url = format!(
        "http://{}:{}/api/_binlog/_download?method=get_segment_index_file&tablet_id={}&rowset_id={rowset}\
         &segment_index={segment}&segment_index_id={index_id}",
        node.host, node.http_port, place.tablet
    );
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = bounded(client.get(url).send()).await.unwrap();
    (response.status().as_u16(), response.bytes().await.unwrap().to_vec())
}

/// The names in a snapshot of the visible version, without the rowset ids.
async fn snapshot_names(cluster: &Cluster, version: i64) -> Vec<String> {
    let place = places(cluster)[0];
    let backend = cluster.backend(place.backend);
    let path = backend.make_snapshot(place.tablet, version, cluster.clock().now_ms() + 86_400_000).unwrap();
    let hash = backend.tablet(place.tablet).unwrap().schema_hash;
    let files = backend.read_snapshot(&path, place.tablet, hash).unwrap();
    let mut names: Vec<String> =
        files.into_iter().filter_map(|(name, _)| Some(name.split_once('_')?.1.to_owned())).collect();
    names.sort();
    names
}

#[tokio::test]
async fn index_files_are_fetched_after_all_segments() {
    for format in ["V1", "V2", "V3"] {
        let (up, down) = two_with(format).await;
        sql(&up, TWO_SEGMENTS).await;
        sql(&up, "DELETE FROM d.t WHERE k < 10").await;
        let ids = index_ids(&up);
        let per_file = if format == "V1" { ids.clone() } else { vec![-1] };
        let (recorder, port) = Recorder::before(&up, places(&up)[0].backend).await;
        let status = ingest(&up, &down, port, 2, 900).await;
        assert!(status.is_ok(), "{}", status.text());
        let mut wanted = vec!["GET get_binlog_info".to_owned(), "GET get_rowset_meta".to_owned()];
        for method in ["HEAD", "GET"] {
            wanted.extend((0..2).map(|segment| format!("{method} get_segment_file {segment}")));
        }
        for method in ["HEAD", "GET"] {
            for id in &per_file {
                wanted.extend((0..2).map(|at| format!("{method} get_segment_index_file {at} {id}")));
            }
        }
        assert_eq!(recorder.take(), wanted, "{format}");
        // A rowset without segments, as that of a DELETE, has none.
        assert!(ingest(&up, &down, port, 3, 901).await.is_ok());
        assert_eq!(recorder.take(), wanted[..2], "{format}");

        // They arrived as they were, under the ids of the source: the next cluster of a chain finds them.
        let to = places(&down)[0];
        down.backend(to.backend).publish(900, to.partition, 2, &[to.tablet]).unwrap();
        for id in &per_file {
            let (status, bytes) = index_file(&up, 2, 1, *id).await;
            assert_eq!((status, bytes.is_empty()), (200, false), "{format}");
            assert_eq!(index_file(&down, 2, 1, *id).await, (200, bytes), "{format}");
        }
        for (segment, id) in [(2, per_file[0]), (0, 1)] {
            let (status, body) = index_file(&up, 2, segment, id).await;
            assert_eq!((status, body.as_slice()), (404, &b"file not exist."[..]), "{format}");
        }
        bounded(up.stop()).await;
        bounded(down.stop()).await;
    }
}

#[tokio::test]
async fn a_missing_or_short_index_file_fails_the_ingest() {
    let (up, down) = two_with("V3").await;
    sql(&up, "INSERT INTO d.t VALUES (1, 'a', 'b')").await;
    let port = up.be(places(&up)[0].backend).http_port;
    up.faults().add(Fault::new(FaultKind::MissingIndexFile).times(3));
    let status = ingest(&up, &down, port, 2, 7).await;
    assert_eq!(status.status_code, TStatusCode::HTTP_ERROR);
    let text = status.text();
    assert!(text.contains("The requested URL returned error: 404, url="), "{text}");
    assert!(
        text.contains("method=get_segment_index_file") && text.ends_with("segment_index_id=-1"),
        "{text}"
    );
    assert!(up.faults().rules().is_empty(), "three tries, and nothing but index files");
    let to = places(&down)[0];
    let query = TQueryIngestBinlogRequest {
        txn_id: Some(7),
        partition_id: Some(to.partition),
        tablet_id: Some(to.tablet),
        load_id: Some(TUniqueId::new(-1, -1)),
    };
    let state = bounded(client(&down, to.backend).query_ingest_binlog(&query)).await.unwrap();
    assert_eq!((state.status, state.err_msg), (Some(TIngestBinlogStatus::FAILED), None));

    let short = Fault::new(FaultKind::Truncate).call("http:/api/_binlog/_download");
    up.faults().add(short.containing("get_segment_index_file"));
    let status = ingest(&up, &down, port, 2, 7).await;
    assert_eq!(status.status_code, TStatusCode::RUNTIME_ERROR);
    assert!(status.text().contains("downloaded file size is not equal"), "{}", status.text());
    up.faults().clear();
    // Room for the segment, and not for what belongs to it; then for neither, and for both.
    let sizes = {
        let tablet = up.backend(places(&up)[0].backend).tablet(places(&up)[0].tablet).unwrap();
        let meta = tablet.binlog(2).unwrap().meta.clone();
        (meta.segment_sizes[0], meta.index_file_sizes[0])
    };
    let downloads = || up.counters().get("http:/api/_binlog/_download");
    for (free, requests) in [(sizes.0 + sizes.1 - 1, 5), (sizes.0 - 1, 3)] {
        down.backend(to.backend).config.set("minidoris_free_bytes", &free.to_string());
        let before = downloads();
        let status = ingest(&up, &down, port, 2, 7).await;
        assert_eq!(status.status_code, TStatusCode::INTERNAL_ERROR);
        assert!(status.text().ends_with("[INTERNAL_ERROR]no enough space"), "{}", status.text());
        assert_eq!(downloads() - before, requests, "nothing that does not fit is fetched");
    }
    down.backend(to.backend).config.set("minidoris_free_bytes", &(sizes.0 + sizes.1).to_string());
    down.backend(to.backend).config.set("enable_download_md5sum_check", "true");
    assert!(ingest(&up, &down, port, 2, 7).await.is_ok());
    bounded(up.stop()).await;
    bounded(down.stop()).await;
}

/// Waits for the jobs of BUILD INDEX and DROP INDEX.
async fn indexes_built(cluster: &Cluster) {
    let ended = |inner: &minidoris::ClusterInner| {
        let state = inner.fe.lock();
        let mut jobs = state.ddl.build_index_jobs.iter();
        jobs.all(|job| job.record.job_state == doris_types::record::AlterJobState::Finished)
    };
    assert!(cluster.wait_until(LIMIT, ended).await);
}

#[tokio::test]
async fn a_rowset_has_the_indexes_it_was_written_with_until_they_are_built() {
    let directory = tempfile::tempdir().unwrap();
    let options =
        ClusterOptions { data_dir: Some(directory.path().to_owned()), ..ClusterOptions::replicating("kept") };
    let cluster = bounded(Cluster::start(options.clone())).await.unwrap();
    sql(&cluster, "CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")").await;
    sql(
        &cluster,
        "CREATE TABLE d.t (k int, v string) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES \
         (\"replication_num\" = \"1\", \"binlog.enable\" = \"true\", \"inverted_index_storage_format\" = \"V1\")",
    )
    .await;
    sql(&cluster, "INSERT INTO d.t VALUES (1, 'a')").await;
    sql(&cluster, "ALTER TABLE d.t ADD INDEX i (v) USING INVERTED").await;
    sql(&cluster, "INSERT INTO d.t VALUES (2, 'b')").await;
    let id = index_ids(&cluster)[0];
    let with = format!("0_{id}.idx");
    assert_eq!(snapshot_names(&cluster, 3).await, ["0.dat", "0.dat", &with]);
    let before = rowset_of(&cluster, places(&cluster)[0], 2).await;
    sql(&cluster, "BUILD INDEX i ON d.t").await;
    indexes_built(&cluster).await;
    assert_eq!(snapshot_names(&cluster, 3).await, ["0.dat", "0.dat", &with, &with]);
    sql(&cluster, "SYNC").await;
    bounded(cluster.stop()).await;

    // The binlog of the older version is what it was, also after a restart.
    let cluster = bounded(Cluster::start(options)).await.unwrap();
    assert_eq!(snapshot_names(&cluster, 3).await, ["0.dat", "0.dat", &with, &with]);
    assert_eq!(rowset_of(&cluster, places(&cluster)[0], 2).await, before);
    assert_eq!(index_file(&cluster, 2, 0, id).await.0, 404);
    assert_eq!(index_file(&cluster, 3, 0, id).await.0, 200);
    // A heavy schema change writes the base index anew, with its indexes.
    sql(&cluster, "ALTER TABLE d.t MODIFY COLUMN k bigint KEY").await;
    let finished = |inner: &minidoris::ClusterInner| inner.fe.lock().ddl.running_jobs.is_empty();
    assert!(cluster.wait_until(LIMIT, finished).await);
    assert_eq!(snapshot_names(&cluster, 3).await, ["0.dat", &with]);
    sql(&cluster, "ALTER TABLE d.t DROP INDEX i").await;
    indexes_built(&cluster).await;
    sql(&cluster, "INSERT INTO d.t VALUES (3, 'c')").await;
    assert_eq!(snapshot_names(&cluster, 4).await, ["0.dat", "0.dat"]);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn snapshots_hold_index_files() {
    for format in ["V1", "V2"] {
        let (up, down) = two_with(format).await;
        sql(&up, "INSERT INTO d.t VALUES (1, 'a', 'b')").await;
        let (from, to) = (places(&up)[0], places(&down)[0]);
        let source = up.backend(from.backend);
        let path = source.make_snapshot(from.tablet, 2, up.clock().now_ms() + 86_400_000).unwrap();
        let node = up.be(from.backend);
        let task = DownloadTask {
            local_tablet_id: to.tablet,
            remote_tablet_id: from.tablet,
            remote_host: node.host,
            remote_http_port: node.http_port,
            remote_path: path,
            remote_schema_hash: source.tablet(from.tablet).unwrap().schema_hash,
            token: up.inner().fe.lock().token.clone(),
        };
        up.faults().add(Fault::new(FaultKind::MissingIndexFile).times(3));
        let missing = bounded(down.backend(to.backend).download_snapshot(task.clone())).await.unwrap_err();
        let missing = missing.to_string();
        assert!(missing.contains("404") && missing.contains(".idx"), "{missing}");
        assert!(up.faults().rules().is_empty());
        assert!(down.backend(to.backend).read(to.tablet, 2).is_err(), "nothing was taken over");
        bounded(down.backend(to.backend).download_snapshot(task)).await.unwrap();
        down.backend(to.backend).tablet(to.tablet).unwrap().take_fetched();
        let (mut names, ids) = (vec!["0.dat".to_owned()], index_ids(&up));
        match format {
            "V1" => names.extend(ids.iter().map(|id| format!("0_{id}.idx"))),
            _ => names.push("0.idx".to_owned()),
        }
        assert_eq!(snapshot_names(&up, 2).await, names);
        assert_eq!(snapshot_names(&down, 2).await, names);
        bounded(up.stop()).await;
        bounded(down.stop()).await;
    }
}
