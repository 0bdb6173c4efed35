//! Rows between clusters: ingesting binlogs and fetching snapshots over HTTP, and the routes themselves.

use doris_thrift::{
    TIngestBinlogRequest, TIngestBinlogStatus, TQueryIngestBinlogRequest, TStatusCode, TUniqueId,
};
use minidoris::be::DownloadTask;
use minidoris::{Cluster, Fault, FaultKind};

use crate::harness::{bounded, pair};
use crate::replicas::{Place, client, get, places, request};

const TABLE: &str = "CREATE TABLE d.t (k int, v varchar(20)) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 \
                     PROPERTIES (\"replication_num\" = \"1\", \"binlog.enable\" = \"true\")";

async fn with_table() -> (Cluster, Cluster) {
    let (up, down) = bounded(pair()).await;
    for cluster in [&up, &down] {
        bounded(cluster.sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")).await.unwrap();
        bounded(cluster.sql(TABLE)).await.unwrap();
    }
    (up, down)
}

#[tokio::test]
async fn a_version_is_ingested_with_its_rows_and_deletes() {
    let (up, down) = with_table().await;
    bounded(up.sql("INSERT INTO d.t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')")).await.unwrap();
    bounded(up.sql("DELETE FROM d.t WHERE k = 2")).await.unwrap();
    for (version, txn_id) in [(2, 900), (3, 901)] {
        for (from, to) in places(&up).into_iter().zip(places(&down)) {
            let answer =
                bounded(client(&down, to.backend).ingest_binlog(&request(&up, from, to, version, txn_id)))
                    .await
                    .unwrap();
            assert!(answer.status.clone().unwrap().is_ok(), "{answer:?}");
            assert_eq!(answer.is_async, Some(false));
            // Again, as after a lost reply: the first rowset stays.
            let again =
                bounded(client(&down, to.backend).ingest_binlog(&request(&up, from, to, version, txn_id)))
                    .await
                    .unwrap();
            assert!(again.status.unwrap().is_ok());
            down.backend(to.backend).publish(txn_id, to.partition, version, &[to.tablet]).unwrap();
        }
    }
    for (from, to) in places(&up).into_iter().zip(places(&down)) {
        let wanted = up.backend(from.backend).read(from.tablet, 3).unwrap();
        assert_eq!(down.backend(to.backend).read(to.tablet, 3).unwrap(), wanted);
    }
    let total: usize =
        places(&down).iter().map(|to| down.backend(to.backend).read(to.tablet, 3).unwrap().len()).sum();
    assert_eq!(total, 3);
    bounded(up.stop()).await;
    bounded(down.stop()).await;
}

#[tokio::test]
async fn the_checks_of_an_ingest_come_in_order() {
    let (up, down) = with_table().await;
    let (from, to) = (places(&up)[0], places(&down)[0]);
    let good = request(&up, from, to, 2, 7);
    let client = client(&down, to.backend);
    let ask = async |request: TIngestBinlogRequest| {
        let answer = bounded(client.ingest_binlog(&request)).await.unwrap();
        let status = answer.status.unwrap();
        (status.status_code, status.text(), answer.is_async)
    };
    let (code, text, mode) =
        ask(TIngestBinlogRequest { remote_host: None, load_id: None, ..good.clone() }).await;
    assert_eq!((code, mode), (TStatusCode::ANALYSIS_ERROR, None));
    assert!(text.ends_with("remote_host is empty"), "{text}");
    let (code, text, _) = ask(TIngestBinlogRequest { local_tablet_id: Some(1), ..good.clone() }).await;
    assert_eq!(code, TStatusCode::TABLET_MISSING);
    assert!(text.ends_with("tablet 1 not found"), "{text}");
    let (host, port) = down.admin_address();
    let shut = places(&down)[1];
    let url = format!("http://{host}:{port}/be/{}/shut_tablet/{}", shut.backend, shut.tablet);
    assert_eq!(bounded(reqwest::Client::new().post(url).send()).await.unwrap().status(), 200);
    let request = TIngestBinlogRequest { local_tablet_id: Some(shut.tablet), ..good.clone() };
    let answer = bounded(crate::replicas::client(&down, shut.backend).ingest_binlog(&request)).await.unwrap();
    let status = answer.status.unwrap();
    assert_eq!((status.status_code, answer.is_async), (TStatusCode::INTERNAL_ERROR, None));
    let text = format!("The tablet's state is shutdown, tablet_id: {}", shut.tablet);
    assert!(status.text().ends_with(&text), "{}", status.text());
    // Nothing was loaded upstream, so version 2 has no binlog.
    let (code, text, mode) = ask(good.clone()).await;
    assert_eq!((code, mode), (TStatusCode::HTTP_ERROR, Some(false)));
    assert!(text.contains("The requested URL returned error: 404"), "{text}");
    assert!(text.contains("method=get_binlog_info"), "{text}");
    assert_eq!(up.counters().get("http:/api/_binlog/_download"), 3);

    let query = |tablet| TQueryIngestBinlogRequest {
        txn_id: Some(7),
        partition_id: Some(to.partition),
        tablet_id: Some(tablet),
        load_id: Some(TUniqueId::new(0, 0)),
    };
    let state = async |request: TQueryIngestBinlogRequest| {
        let answer = bounded(client.query_ingest_binlog(&request)).await.unwrap();
        (answer.status.unwrap(), answer.err_msg)
    };
    assert_eq!(state(query(to.tablet)).await, (TIngestBinlogStatus::FAILED, None));
    assert_eq!(
        state(query(1)).await,
        (TIngestBinlogStatus::NOT_FOUND, Some("tablet 1 not found".to_owned()))
    );
    let unknown = TQueryIngestBinlogRequest { txn_id: Some(8), ..query(to.tablet) };
    assert_eq!(state(unknown).await, (TIngestBinlogStatus::NOT_FOUND, None));
    let empty = TQueryIngestBinlogRequest { load_id: None, ..query(to.tablet) };
    assert_eq!(
        state(empty).await,
        (TIngestBinlogStatus::ANALYSIS_ERROR, Some("load_id is empty".to_owned()))
    );

    down.backend(to.backend).config.set("enable_feature_binlog", "false");
    let (code, text, _) = ask(TIngestBinlogRequest::default()).await;
    assert_eq!(code, TStatusCode::RUNTIME_ERROR);
    assert!(text.ends_with("enable feature binlog is false"), "{text}");
    bounded(up.stop()).await;
    bounded(down.stop()).await;
}

#[tokio::test]
async fn downloads_are_tried_again_after_a_cut() {
    let (up, down) = with_table().await;
    bounded(up.sql("INSERT INTO d.t VALUES (1, 'a'), (2, 'b'), (3, 'c')")).await.unwrap();
    for (at, kind) in
        [FaultKind::CutBefore, FaultKind::CutAfter, FaultKind::CutMidReply].into_iter().enumerate()
    {
        up.faults().add(Fault {
            node: None,
            call: Some("http:/api/_binlog/_download".to_owned()),
            contains: Some("method=get_rowset_meta".to_owned()),
            after: 0,
            remaining: Some(1),
            probability: 1.0,
            kind,
        });
        let (from, to) = (places(&up)[0], places(&down)[0]);
        let request = request(&up, from, to, 2, 70 + at as i64);
        let answer = bounded(client(&down, to.backend).ingest_binlog(&request)).await.unwrap();
        assert!(answer.status.clone().unwrap().is_ok(), "{answer:?}");
    }
    bounded(up.stop()).await;
    bounded(down.stop()).await;
}

#[tokio::test]
async fn asynchronous_ingests_answer_first() {
    let (up, down) = with_table().await;
    bounded(up.sql("INSERT INTO d.t VALUES (1, 'a'), (2, 'b')")).await.unwrap();
    let (from, to) = (places(&up)[0], places(&down)[0]);
    down.backend(to.backend).config.set("ingest_binlog_work_pool_size", "1");
    let client = client(&down, to.backend);
    let answer = bounded(client.ingest_binlog(&request(&up, from, to, 2, 5))).await.unwrap();
    assert_eq!((answer.status.unwrap().status_code, answer.is_async), (TStatusCode::OK, Some(true)));
    let query = TQueryIngestBinlogRequest {
        txn_id: Some(5),
        partition_id: Some(to.partition),
        tablet_id: Some(to.tablet),
        load_id: Some(TUniqueId::new(-1, -1)),
    };
    bounded(async {
        loop {
            match client.query_ingest_binlog(&query).await.unwrap().status.unwrap() {
                TIngestBinlogStatus::DOING => tokio::task::yield_now().await,
                other => break assert_eq!(other, TIngestBinlogStatus::OK),
            }
        }
    })
    .await;
    bounded(up.stop()).await;
    bounded(down.stop()).await;
}

#[tokio::test]
async fn the_binlog_route_answers_as_documented() {
    let (up, down) = with_table().await;
    bounded(up.sql("INSERT INTO d.t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')")).await.unwrap();
    let place = *places(&up)
        .iter()
        .find(|at| !up.backend(at.backend).read(at.tablet, 2).unwrap().is_empty())
        .unwrap();
    let (backend, tablet) = (place.backend, place.tablet);
    let base = "/api/_binlog/_download?method=";
    for (query, status, body) in [
        ("x".to_owned(), 501, "invalid method: x".to_owned()),
        (
            "get_binlog_info&binlog_version=2".to_owned(),
            500,
            "parameter tablet_id not specified in url.".to_owned(),
        ),
        (
            "get_binlog_info&tablet_id=1&binlog_version=2".to_owned(),
            500,
            "tablet is not exist, tablet_id=1".to_owned(),
        ),
        (
            format!("get_binlog_info&tablet_id={tablet}&binlog_version=9"),
            404,
            "get binlog info failed, binlog_version=9".to_owned(),
        ),
        (
            format!("get_rowset_meta&tablet_id={tablet}&rowset_id=r&binlog_version=2"),
            404,
            "get rowset meta failed, rowset_id=r".to_owned(),
        ),
        (
            format!("get_segment_file&tablet_id={tablet}&rowset_id=r&segment_index=0"),
            404,
            "file not exist.".to_owned(),
        ),
    ] {
        assert_eq!(get(&up, backend, &format!("{base}{query}")).await, (status, body), "{query}");
    }
    let (status, info) =
        get(&up, backend, &format!("{base}get_binlog_info&binlog_version=2&tablet_id={tablet}")).await;
    assert_eq!(status, 200);
    let (rowset, segments) = info.split_once(':').unwrap();
    assert_eq!(segments, "1");
    let node = up.be(backend);
    let url = format!(
        "http://{}:{}{base}get_segment_file&tablet_id={tablet}&rowset_id={rowset}&segment_index=0&acquire_md5=true",
        node.host, node.http_port
    );
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let head = bounded(client.head(&url).send()).await.unwrap();
    let length: usize = head.headers()["content-length"].to_str().unwrap().parse().unwrap();
    let file = bounded(client.get(&url).send()).await.unwrap();
    assert_eq!(file.headers()["content-md5"].len(), 32);
    assert_eq!(file.bytes().await.unwrap().len(), length);

    up.backend(backend).gc_binlog(tablet, 2);
    let (status, _) =
        get(&up, backend, &format!("{base}get_binlog_info&binlog_version=2&tablet_id={tablet}")).await;
    assert_eq!(status, 404);
    up.backend(backend).config.set("enable_feature_binlog", "false");
    assert_eq!(get(&up, backend, base).await, (500, "binlog feature is not enabled.".to_owned()));
    bounded(up.stop()).await;
    bounded(down.stop()).await;
}

#[tokio::test]
async fn snapshots_travel_as_files() {
    let (up, down) = with_table().await;
    bounded(up.sql("INSERT INTO d.t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')")).await.unwrap();
    bounded(up.sql("INSERT INTO d.t VALUES (5, 'e')")).await.unwrap();
    let token = up.inner().fe.lock().token.clone();
    for (from, to) in places(&up).into_iter().zip(places(&down)) {
        let source = up.backend(from.backend);
        let node = up.be(from.backend);
        let expire = up.clock().now_ms() + 86_400_000;
        let path = source.make_snapshot(from.tablet, 3, expire).unwrap();
        let schema_hash = source.tablet(from.tablet).unwrap().schema_hash;
        let listing = |token: &str| {
            format!(
                "/api/_tablet/_download?token={token}&file={path}/{}/{schema_hash}/&channel=ingest_binlog",
                from.tablet
            )
        };
        let (status, names) = get(&up, from.backend, &listing(&token)).await;
        assert_eq!(status, 200);
        assert_eq!(names.lines().filter(|name| name.ends_with(".hdr")).count(), 1, "{names}");
        assert_eq!(get(&up, from.backend, &listing("")).await, (401, "token is not specified.".to_owned()));
        assert_eq!(get(&up, from.backend, &listing("x")).await, (401, "invalid token x".to_owned()));
        let outside = format!("/api/_tablet/_download?token={token}&file=/etc/passwd");
        assert_eq!(
            get(&up, from.backend, &outside).await,
            (401, "file path is not allowed: /etc/passwd".to_owned())
        );
        let nothing = format!("/api/_tablet/_download?token={token}");
        assert_eq!(
            get(&up, from.backend, &nothing).await,
            (200, "parameter file not specified in url.".to_owned())
        );

        let task = DownloadTask {
            local_tablet_id: to.tablet,
            remote_tablet_id: from.tablet,
            remote_host: node.host,
            remote_http_port: node.http_port,
            remote_path: path.clone(),
            remote_schema_hash: schema_hash,
            token: token.clone(),
        };
        bounded(down.backend(to.backend).download_snapshot(task.clone())).await.unwrap();
        down.backend(to.backend).read(to.tablet, 3).unwrap_err();
        down.backend(to.backend).tablet(to.tablet).unwrap().take_fetched();
        assert_eq!(
            down.backend(to.backend).read(to.tablet, 3).unwrap(),
            source.read(from.tablet, 3).unwrap()
        );
        source.release_snapshot(&path);
        let gone = bounded(down.backend(to.backend).download_snapshot(task)).await.unwrap_err().to_string();
        assert!(gone.contains("404") && !gone.contains(&token), "{gone}");
    }
    bounded(up.stop()).await;
    bounded(down.stop()).await;
}

#[tokio::test]
async fn settings_and_health() {
    let (up, down) = bounded(pair()).await;
    let (_, shown) = get(&up, 0, "/api/show_config?conf_item=enable_feature_binlog").await;
    assert_eq!(shown, "[[\"enable_feature_binlog\",\"bool\",\"true\",\"false\"]]");
    assert_eq!(get(&up, 0, "/api/show_config?conf_item=nothing").await.1, "[]");
    assert_eq!(get(&up, 0, "/api/health").await, (200, "{\"msg\":\"OK\",\"status\":\"OK\"}".to_owned()));
    let node = up.be(0);
    let url = format!("http://{}:{}/api/update_config?download_low_speed_time=9", node.host, node.http_port);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let text = bounded(client.post(url).send()).await.unwrap().text().await.unwrap();
    assert!(text.contains("\"status\":\"OK\""), "{text}");
    assert_eq!(up.backend(0).config.number("download_low_speed_time"), 9);
    bounded(up.stop()).await;
    bounded(down.stop()).await;
}

#[tokio::test]
async fn a_truncated_segment_is_noticed() {
    let (up, down) = with_table().await;
    bounded(up.sql("INSERT INTO d.t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')")).await.unwrap();
    let pairs: Vec<(Place, Place)> = places(&up).into_iter().zip(places(&down)).collect();
    let filled = |place: &Place| !up.backend(place.backend).read(place.tablet, 2).unwrap().is_empty();
    let (from, to) = pairs.into_iter().find(|(from, _)| filled(from)).unwrap();
    let fault = Fault::new(FaultKind::Truncate).call("http:/api/_binlog/_download");
    up.faults().add(fault.containing("get_segment_file"));
    let ask = async || {
        let request = request(&up, from, to, 2, 7);
        bounded(client(&down, to.backend).ingest_binlog(&request)).await.unwrap().status.unwrap()
    };
    let status = ask().await;
    assert_eq!(status.status_code, TStatusCode::RUNTIME_ERROR, "{}", status.text());
    assert!(status.text().contains("downloaded file size is not equal"), "{}", status.text());
    up.faults().clear();
    assert!(ask().await.is_ok());
    bounded(up.stop()).await;
    bounded(down.stop()).await;
}

#[tokio::test]
async fn a_missing_segment_is_an_http_error_that_names_it() {
    let (up, down) = with_table().await;
    bounded(up.sql("INSERT INTO d.t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')")).await.unwrap();
    let pairs: Vec<(Place, Place)> = places(&up).into_iter().zip(places(&down)).collect();
    let filled = |place: &Place| !up.backend(place.backend).read(place.tablet, 2).unwrap().is_empty();
    let (from, to) = pairs.into_iter().find(|(from, _)| filled(from)).unwrap();
    let ask = async |txn_id| {
        let request = request(&up, from, to, 2, txn_id);
        bounded(client(&down, to.backend).ingest_binlog(&request)).await.unwrap().status.unwrap()
    };
    let query = async |txn_id| {
        let request = TQueryIngestBinlogRequest {
            txn_id: Some(txn_id),
            partition_id: Some(to.partition),
            tablet_id: Some(to.tablet),
            load_id: Some(TUniqueId::new(-1, -1)),
        };
        bounded(client(&down, to.backend).query_ingest_binlog(&request)).await.unwrap().status
    };
    let missing = |status: &doris_thrift::TStatus| {
        assert_eq!(status.status_code, TStatusCode::HTTP_ERROR, "{}", status.text());
        assert!(status.text().contains("The requested URL returned error: 404, url="), "{}", status.text());
        assert!(status.text().contains("method=get_segment_file"), "{}", status.text());
    };
    // As a rule, which meets nothing but segments: what comes before them is not used up by it.
    up.faults().add(Fault::new(FaultKind::MissingSegment).times(3));
    missing(&ask(7).await);
    assert_eq!(query(7).await, Some(TIngestBinlogStatus::FAILED));
    assert!(up.faults().rules().is_empty(), "three tries");
    assert!(ask(7).await.is_ok());
    // Over the admin API, as the state of a disk. The version can still be read and is still announced.
    let (host, port) = up.admin_address();
    let post = async |tablet: i64, version: i64| {
        let url = format!("http://{host}:{port}/be/{}/lose_segment/{tablet}/{version}", from.backend);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        bounded(client.post(url).send()).await.unwrap().status().as_u16()
    };
    assert_eq!(post(from.tablet, 9).await, 400);
    assert_eq!(post(from.tablet, 2).await, 200);
    let info =
        format!("/api/_binlog/_download?method=get_binlog_info&tablet_id={}&binlog_version=2", from.tablet);
    let (status, body) = get(&up, from.backend, &info).await;
    assert_eq!(status, 200);
    let rowset = body.split(':').next().unwrap();
    let segment = format!(
        "/api/_binlog/_download?method=get_segment_file&tablet_id={}&rowset_id={rowset}&segment_index=0",
        from.tablet
    );
    assert_eq!(get(&up, from.backend, &segment).await, (404, "file not exist.".to_owned()));
    missing(&ask(8).await);
    assert!(filled(&from));
    bounded(up.stop()).await;
    bounded(down.stop()).await;
}

#[tokio::test]
async fn seeded_rules_lose_the_same_segments_again() {
    let lost = async |seed| {
        let options = minidoris::ClusterOptions { seed, ..minidoris::ClusterOptions::replicating("seeded") };
        let cluster = bounded(Cluster::start(options)).await.unwrap();
        cluster.faults().add(Fault::new(FaultKind::MissingSegment).with_probability(0.5));
        let mut lost = Vec::new();
        for segment in 0..24 {
            let path = format!(
                "/api/_binlog/_download?method=get_segment_file&tablet_id=1&rowset_id=2&segment_index={segment}"
            );
            // Without a fault it is the tablet that is missing.
            lost.push(get(&cluster, 0, &path).await.0 == 404);
        }
        bounded(cluster.stop()).await;
        lost
    };
    let first = lost(3).await;
    assert!(first.contains(&true) && first.contains(&false));
    assert_eq!(lost(3).await, first);
    assert_ne!(lost(4).await, first);
}

#[tokio::test]
async fn with_authentication_only_backends_of_the_own_cluster_may_fetch() {
    let (up, down) = with_table().await;
    bounded(up.sql("INSERT INTO d.t VALUES (1, 'a'), (2, 'b')")).await.unwrap();
    let place = places(&up)[0];
    up.backend(place.backend).config.set("enable_all_http_auth", "true");
    let node = up.be(place.backend);
    let url = format!(
        "http://{}:{}/api/_binlog/_download?method=get_binlog_info&tablet_id={}&binlog_version=2",
        node.host, node.http_port, place.tablet
    );
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async |header: Option<(&str, String)>| {
        let mut request = client.get(&url);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        bounded(request.send()).await.unwrap()
    };
    let refused = ask(None).await;
    assert_eq!(refused.status(), 401);
    assert!(refused.headers().contains_key("www-authenticate"));
    // root without a password.
    assert_eq!(ask(Some(("Authorization", "Basic cm9vdDo=".to_owned()))).await.status(), 200);
    assert_eq!(ask(Some(("Authorization", "Basic cm9vdDp4".to_owned()))).await.status(), 401);
    let token = |cluster: &Cluster| cluster.inner().fe.lock().token.clone();
    assert_eq!(ask(Some(("Auth-Token", token(&up)))).await.status(), 200);
    assert_eq!(ask(Some(("Auth-Token", token(&down)))).await.status(), 401);
    for (from, cluster, code) in [(&up, &down, TStatusCode::HTTP_ERROR), (&up, &up, TStatusCode::OK)] {
        let to = places(cluster)[0];
        let request = request(from, place, to, 2, 77);
        let answer = bounded(crate::replicas::client(cluster, to.backend).ingest_binlog(&request)).await;
        let status = answer.unwrap().status.unwrap();
        assert_eq!(status.status_code, code, "{}", status.text());
        assert_eq!(status.text().contains("The requested URL returned error: 401"), code != TStatusCode::OK);
    }
    assert_eq!(get(&up, place.backend, "/api/health").await.0, 200, "health is open");
    bounded(up.stop()).await;
    bounded(down.stop()).await;
}

#[tokio::test]
async fn small_texts_are_compressed_for_who_accepts_it() {
    let (up, down) = with_table().await;
    bounded(up.sql("INSERT INTO d.t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')")).await.unwrap();
    let filled = |at: &&Place| !up.backend(at.backend).read(at.tablet, 2).unwrap().is_empty();
    let place = *places(&up).iter().find(filled).unwrap();
    let node = up.be(place.backend);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async |query: &str| {
        let url = format!(
            "http://{}:{}/api/_binlog/_download?tablet_id={}&{query}",
            node.host, node.http_port, place.tablet
        );
        let request = client.get(url).header("Accept-Encoding", "deflate, gzip");
        let response = bounded(request.send()).await.unwrap();
        let is_packed = response.headers().get("content-encoding").is_some_and(|coding| coding == "gzip");
        (is_packed, response.bytes().await.unwrap())
    };
    let (is_packed, body) = ask("method=get_binlog_info&binlog_version=2").await;
    assert!(is_packed);
    let mut info = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&body[..]), &mut info).unwrap();
    let (rowset, segments) = info.split_once(':').unwrap();
    assert_eq!(segments, "1");
    let (is_packed, plain) =
        ask(&format!("method=get_segment_file&rowset_id={rowset}&segment_index=0")).await;
    assert!(!is_packed && plain.starts_with(b"MDS1"), "files are sent as they are");
    bounded(up.stop()).await;
    bounded(down.stop()).await;
}

#[tokio::test]
async fn a_staged_state_of_an_ingest_is_one_of_its_own() {
    let (up, down) = with_table().await;
    let to = places(&down)[0];
    let query = TQueryIngestBinlogRequest {
        txn_id: Some(7),
        partition_id: Some(to.partition),
        tablet_id: Some(to.tablet),
        load_id: Some(TUniqueId::new(0, 0)),
    };
    for (status, text) in [
        (TIngestBinlogStatus::FAILED, ""),
        (TIngestBinlogStatus::DOING, ""),
        (TIngestBinlogStatus::OK, "late"),
    ] {
        let kind = FaultKind::Status { code: status.0, text: text.to_owned() };
        down.faults().add(Fault::new(kind).call("query_ingest_binlog").times(1));
        let answer = bounded(client(&down, to.backend).query_ingest_binlog(&query)).await.unwrap();
        let wanted = Some(text.to_owned()).filter(|text| !text.is_empty());
        assert_eq!((answer.status, answer.err_msg), (Some(status), wanted));
    }
    bounded(up.stop()).await;
    bounded(down.stop()).await;
}
