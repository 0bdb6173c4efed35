//! The connections of all frontends, as SHOW PROCESSLIST tells them and KILL ends them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::access::Wanted;
use crate::access::check;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::query::Cancel;
use crate::session::{Answer, ResultSet, Session};
use crate::show::format_time;
use crate::state::FeState;

/// Longer statements are cut, unless FULL asks for all of them.
const SHORT: usize = 100;

#[derive(Debug, Default)]
pub struct Clients {
    /// By frontend and connection id.
    connected: Mutex<BTreeMap<(usize, u32), Arc<Client>>>,
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    frontend: usize,
    id: u32,
    peer: SocketAddr,
    /// Milliseconds since the epoch.
    login_time: i64,
    now: Mutex<Doing>,
    kill: Notify,
    cancel: Arc<Cancel>,
}

/// What a connection does or did last.
#[derive(Debug)]
struct Doing {
    user: String,
    database: String,
    command: &'static str,
    /// Milliseconds since the epoch.
    since: i64,
    state: &'static str,
    statements: u64,
    statement: String,
}

impl Clients {
    pub fn enter(&self, cluster: &ClusterInner, session: &Session, peer: &SocketAddr) -> Arc<Client> {
        let now = cluster.clock.now_ms();
        let client = Arc::new(Client {
            frontend: session.frontend,
            id: session.connection_id,
            peer: *peer,
            login_time: now,
            now: Mutex::new(Doing {
                user: session.user.clone(),
                database: session.database.clone().unwrap_or_default(),
                command: "Sleep",
                since: now,
                state: "OK",
                statements: 0,
                statement: String::new(),
            }),
            kill: Notify::new(),
            cancel: Arc::clone(&session.cancel),
        });
        self.connected.lock().insert((client.frontend, client.id), Arc::clone(&client));
        client
    }

    pub fn leave(&self, client: &Client) {
        self.connected.lock().remove(&(client.frontend, client.id));
    }

    /// SHOW PROCESSLIST: the connections of the session's frontend; only its own for who is no administrator.
    pub fn rows(&self, cluster: &ClusterInner, session: &Session, full: bool) -> ResultSet {
        let mut result = ResultSet::new(&[
            "CurrentConnected",
            "Id",
            "User",
            "Host",
            "LoginTime",
            "Catalog",
            "Db",
            "Command",
            "Time",
            "State",
            "QueryId",
            "Info",
            "FE",
            "CloudCluster",
        ]);
        let sees_all = check::globally(&cluster.fe.lock(), session, Wanted::ADMIN).is_ok();
        let host = cluster.frontends.read().get(&session.frontend).map(|node| node.host.clone());
        let now = cluster.clock.now_ms();
        for client in self.connected.lock().values() {
            let doing = client.now.lock();
            if client.frontend != session.frontend || !(sees_all || doing.user == session.user) {
                continue;
            }
            let is_own = client.id == session.connection_id;
            let mut info = doing.statement.clone();
            if !full && info.chars().count() > SHORT {
                info = info.chars().take(SHORT).chain("...".chars()).collect();
            }
            let row = [
                if is_own { "Yes" } else { "No" }.to_owned(),
                client.id.to_string(),
                doing.user.clone(),
                client.peer.to_string(),
                format_time(client.login_time).unwrap_or_default(),
                "internal".to_owned(),
                doing.database.clone(),
                doing.command.to_owned(),
                ((now - doing.since).max(0) / 1000).to_string(),
                doing.state.to_owned(),
                // Two halves like Doris's, of which the second counts.
                format!("{:x}-{:x}", client.login_time ^ i64::from(client.id), doing.statements),
                info,
                host.clone().unwrap_or_default(),
                String::new(),
            ];
            result.rows.push(row.map(Some).to_vec());
        }
        result
    }

    /// KILL: ends the query that runs, and the connection once its statement is through unless `only_query`.
    pub fn kill(&self, state: &FeState, session: &Session, id: u32, only_query: bool) -> SqlResult<()> {
        let found = self.connected.lock().get(&(session.frontend, id)).cloned();
        let Some(client) = found else {
            let message = format!("Unknown thread id: {id}");
            return Err(SqlError { code: 1094, state: "HY000", message });
        };
        if client.now.lock().user != session.user && check::globally(state, session, Wanted::ADMIN).is_err() {
            let message = format!("You are not owner of thread or query: {id}");
            return Err(SqlError { code: 1095, state: "HY000", message });
        }
        if !only_query {
            client.kill.notify_one();
        }
        // Between two statements there is nothing to end.
        if client.now.lock().command == "Query" {
            client.cancel.ask();
        }
        Ok(())
    }
}

impl Client {
    /// Resolves once the connection is to end.
    pub async fn killed(&self) {
        self.kill.notified().await;
    }

    pub fn begins(&self, now: i64, statement: &str) {
        let mut doing = self.now.lock();
        self.cancel.reset();
        doing.command = "Query";
        doing.since = now;
        doing.state = "OK";
        doing.statements += 1;
        statement.clone_into(&mut doing.statement);
    }

    /// What a client is told of a statement that failed as it was asked to end.
    pub fn verdict(&self, outcome: SqlResult<Answer>) -> SqlResult<Answer> {
        match outcome {
            Err(_) if self.cancel.is_asked() => {
                Err(SqlError::general(format!("cancel query by user from {}", self.peer)))
            }
            other => other,
        }
    }

    pub fn ends(&self, now: i64, session: &Session, outcome: &SqlResult<Answer>) {
        self.uses(session);
        let mut doing = self.now.lock();
        doing.command = "Sleep";
        doing.since = now;
        doing.state = match outcome {
            Ok(Answer::Rows(_)) => "EOF",
            Ok(Answer::Done { .. }) => "OK",
            Err(_) => "ERR",
        };
        doing.statement.clear();
    }

    /// The user and the database may have changed.
    pub fn uses(&self, session: &Session) {
        let mut doing = self.now.lock();
        doing.user.clone_from(&session.user);
        doing.database = session.database.clone().unwrap_or_default();
    }
}
