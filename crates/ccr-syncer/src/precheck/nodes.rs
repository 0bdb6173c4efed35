//! Frontends and backends: reachable, recent enough, the account works, the binlog feature is on.

use ccr_core::job::ClusterSpec;
use ccr_core::ports::Cluster;
use doris_types::meta::Frontend;
use futures::StreamExt;

use super::{Problem, failed, is_true, problem};

const FEATURE: &str = "enable_feature_binlog";
const CONCURRENT_NODES: usize = 16;

/// The oldest release that is supported.
const OLDEST: (u32, u32) = (2, 1);

#[derive(Debug, Default)]
pub(super) struct Nodes {
    pub problems: Vec<Problem>,
    pub warnings: Vec<String>,
    pub reachable: bool,
    /// The master has the feature, or who answers for it: one without does not print the binlog properties of tables.
    pub binlog_enabled: bool,
}

pub(super) async fn check<C: Cluster + ?Sized>(side: &str, spec: &ClusterSpec, cluster: &C) -> Nodes {
    let mut nodes = Nodes::default();
    let frontends = match cluster.check_reachable().await {
        Ok(frontends) => frontends,
        Err(failure) => {
            nodes.problems.push(failed(side, spec, &failure));
            return nodes;
        }
    };
    nodes.reachable = true;
    nodes.problems.extend(frontends.iter().filter_map(|frontend| too_old(side, frontend)));
    nodes.check_frontends(side, spec, cluster, frontends).await;
    match cluster.backends().await {
        Ok(backends) => {
            // One that is down now is started with its configuration later; replicas are elsewhere.
            let living: Vec<_> = backends.into_iter().filter(|backend| backend.alive).collect();
            if living.is_empty() {
                nodes.problems.push(problem(
                    side,
                    "no backend is alive".to_owned(),
                    format!("start the backends of {side}; SHOW BACKENDS tells what is wrong with them"),
                ));
            }
            let mut answers: Vec<_> = futures::stream::iter(living)
                .map(|backend| async move {
                    let value = cluster.backend_config(&backend, FEATURE).await;
                    (backend, value)
                })
                .buffer_unordered(CONCURRENT_NODES)
                .collect()
                .await;
            answers.sort_by_key(|(backend, _)| backend.id);
            for (backend, value) in answers {
                let name = format!("{side} backend {}:{}", backend.host, backend.http_port);
                match value {
                    Ok(value) if is_true(value.as_deref()) => {}
                    Ok(_) => nodes.problems.push(problem(
                        name,
                        format!("{FEATURE} is not true"),
                        format!("set {FEATURE} = true in be.conf of this backend and restart it"),
                    )),
                    Err(failure) => nodes.problems.push(problem(
                        name,
                        failure.to_string(),
                        format!(
                            "make the backend's http port reachable from the syncer; behind a private network \
                             add it to {side}.host_mapping"
                        ),
                    )),
                }
            }
        }
        Err(failure) => nodes.problems.push(failed(side, spec, &failure)),
    }
    nodes
}

impl Nodes {
    /// Every one of them: a frontend without the feature is found when it has become the master otherwise, and then no
    /// binlog is written any more.
    async fn check_frontends<C: Cluster + ?Sized>(
        &mut self,
        side: &str,
        spec: &ClusterSpec,
        cluster: &C,
        frontends: Vec<Frontend>,
    ) {
        match cluster.frontend_config(FEATURE).await {
            Ok(value) => self.binlog_enabled = is_true(value.as_deref()),
            Err(failure) => self.problems.push(failed(side, spec, &failure)),
        }
        let ask = |frontend: Frontend| async move {
            let value = cluster.frontend_config_of(&frontend, FEATURE).await;
            (frontend, value)
        };
        let answers: Vec<_> =
            futures::stream::iter(frontends).map(ask).buffered(CONCURRENT_NODES).collect().await;
        for (frontend, value) in answers {
            let name = format!("{side} frontend {}:{}", frontend.host, frontend.query_port);
            match value {
                Ok(value) if is_true(value.as_deref()) => {}
                Ok(Some(_)) => self.problems.push(problem(
                    name,
                    format!("{FEATURE} is not true"),
                    format!("set {FEATURE} = true in fe.conf of this frontend and restart it"),
                )),
                Ok(None) => self.problems.push(problem(
                    name,
                    format!("it does not know {FEATURE}"),
                    "use Doris 2.1 or later",
                )),
                // It may be down for a while, or out of reach, as a follower may be without any harm.
                Err(failure) => self.warnings.push(format!(
                    "{name} could not be asked whether {FEATURE} is true, which it must be before it becomes the \
                     master: {failure}"
                )),
            }
        }
    }
}

/// A version without the usual form, of a build of somebody's own, is not judged.
fn too_old(side: &str, frontend: &Frontend) -> Option<Problem> {
    let is_old = frontend.release().is_some_and(|release| release < OLDEST);
    is_old.then(|| {
        problem(
            format!("{side} frontend {}:{}", frontend.host, frontend.query_port),
            format!("its version is {}", frontend.version),
            "use Doris 2.1 or later",
        )
    })
}
