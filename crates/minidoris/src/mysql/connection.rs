//! One client connection: handshake, then commands until the client leaves.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

use super::auth::{self, HandshakeResponse};
use super::clients::Client;
use super::packet::{self, Input, Output};
use super::prepared::Prepared;
use super::{MysqlLimits, SERVER_VERSION, binary, capability, encode};
use crate::access::accounts::PasswordHash;
use crate::cluster::ClusterInner;
use crate::dispatch;
use crate::error::SqlError;
use crate::exec;
use crate::fault::{FaultAction, NodeId};
use crate::query::transaction;
use crate::session::{Answer, ColumnType, ResultSet, Session};
use crate::show;
use crate::sql::{self, TableName};

mod command {
    pub const QUIT: u8 = 0x01;
    pub const INIT_DB: u8 = 0x02;
    pub const QUERY: u8 = 0x03;
    pub const FIELD_LIST: u8 = 0x04;
    pub const PING: u8 = 0x0e;
    pub const CHANGE_USER: u8 = 0x11;
    pub const STMT_PREPARE: u8 = 0x16;
    pub const STMT_EXECUTE: u8 = 0x17;
    pub const STMT_SEND_LONG_DATA: u8 = 0x18;
    pub const STMT_CLOSE: u8 = 0x19;
    pub const STMT_RESET: u8 = 0x1a;
    pub const RESET_CONNECTION: u8 = 0x1f;
}

/// Whether the connection goes on after a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Continue,
    Close,
}

struct Connection<'a> {
    cluster: &'a Arc<ClusterInner>,
    fe: usize,
    writer: OwnedWriteHalf,
    limits: &'a MysqlLimits,
    session: Session,
    client: Arc<Client>,
    salt: auth::Salt,
    prepared: Prepared,
    /// The client set CLIENT_MULTI_STATEMENTS.
    multi_statements: bool,
    /// The number of the reply's first packet; more than 1 after a command of several packets.
    sequence: u8,
}

/// Serves the connection until the client leaves, stalls, or a fault cuts it.
pub async fn run(
    cluster: &Arc<ClusterInner>,
    fe: usize,
    id: u32,
    stream: TcpStream,
    limits: &MysqlLimits,
) -> io::Result<()> {
    let node = NodeId::Fe(fe);
    cluster.counters.count(node, "mysql:connect");
    let fault = cluster.faults.before(node, "mysql:connect", String::new).await;
    let peer = stream.peer_addr()?;
    let address = peer.ip().to_string();
    let (reader, mut writer) = packet::split(stream)?;
    let refused = match fault {
        FaultAction::CutBefore | FaultAction::CutAfter | FaultAction::Refuse | FaultAction::NotMaster => {
            return Ok(());
        }
        FaultAction::Status { code, text } => Some(status_error(code, text)),
        FaultAction::Proceed
        | FaultAction::CutMidReply
        | FaultAction::Empty
        | FaultAction::MissingFile
        | FaultAction::Cancel(_)
        | FaultAction::Truncate => None,
    };
    if let Some(error) = refused {
        return reply(&mut writer, limits, 0, |output| encode::error(output, &error)).await;
    }
    let mut input = Input::new(reader, limits.max_statement_size, limits.stall_timeout);
    let salt = auth::new_salt();
    let Some((mut session, capabilities)) =
        handshake(cluster, id, &address, &salt, &mut input, &mut writer, limits).await?
    else {
        return Ok(());
    };
    session.frontend = fe;
    let client = cluster.clients.enter(cluster, &session, &peer);
    let multi_statements = capabilities & capability::MULTI_STATEMENTS != 0;
    let mut connection = Connection {
        cluster,
        fe,
        writer,
        limits,
        session,
        client: Arc::clone(&client),
        salt,
        prepared: Prepared::default(),
        multi_statements,
        sequence: 1,
    };
    loop {
        let received = tokio::select! {
            biased;
            () = client.killed() => break,
            received = input.next(limits.idle_timeout) => received?,
        };
        let Some((payload, sequence)) = received else { break };
        connection.sequence = sequence.wrapping_add(1);
        if connection.command(payload).await? == Flow::Close {
            break;
        }
    }
    Ok(())
}

impl Drop for Connection<'_> {
    /// However a connection ends, its open transaction and its temporary tables end with it.
    fn drop(&mut self) {
        transaction::rollback(self.cluster, &mut self.session, "the connection is closed");
        if !self.session.temporary_tables.is_empty() {
            exec::drop_temporary_tables(self.cluster, &mut self.session);
            self.cluster.changed.notify_waiters();
        }
        self.cluster.clients.leave(&self.client);
    }
}

/// Greets and authenticates; `None` when the client left or was refused.
async fn handshake(
    cluster: &Arc<ClusterInner>,
    id: u32,
    address: &str,
    salt: &auth::Salt,
    input: &mut Input,
    writer: &mut OwnedWriteHalf,
    limits: &MysqlLimits,
) -> io::Result<Option<(Session, u32)>> {
    reply(writer, limits, 0, |output| {
        output.packet(|bytes| auth::greeting(bytes, SERVER_VERSION, id, salt));
    })
    .await?;
    let Some((payload, mut sequence)) = input.next(limits.stall_timeout).await? else { return Ok(None) };
    let Some(mut response) = HandshakeResponse::parse(payload) else {
        let error = SqlError { code: 1043, state: "08S01", message: "Bad handshake".to_owned() };
        reply(writer, limits, sequence.wrapping_add(1), |output| encode::error(output, &error)).await?;
        return Ok(None);
    };
    if response.plugin.as_deref().is_some_and(|plugin| plugin != auth::PLUGIN) {
        reply(writer, limits, sequence.wrapping_add(1), |output| {
            output.packet(|bytes| auth::switch_request(bytes, salt));
        })
        .await?;
        let Some((answer, answered)) = input.next(limits.stall_timeout).await? else { return Ok(None) };
        response.auth = answer.to_vec();
        sequence = answered;
    }
    let admitted = admit(cluster, id, address, &response, salt);
    reply(writer, limits, sequence.wrapping_add(1), |output| match &admitted {
        Ok(_) => encode::ok(output, 0, "", 0),
        Err(error) => encode::error(output, error),
    })
    .await?;
    Ok(admitted.ok().map(|session| (session, response.capabilities)))
}

/// Checks the password, then the database of the handshake.
fn admit(
    cluster: &Arc<ClusterInner>,
    id: u32,
    address: &str,
    response: &HandshakeResponse,
    salt: &auth::Salt,
) -> Result<Session, SqlError> {
    let identity = {
        let state = cluster.fe.lock();
        let proves = |hash: Option<&PasswordHash>| auth::proves(&response.auth, hash, salt);
        state.accounts.login(&response.user, Some(address), proves).cloned()
    };
    if identity.is_none() {
        let using = if response.auth.is_empty() { "NO" } else { "YES" };
        let message = format!("Access denied for user '{}' (using password: {using})", response.user);
        return Err(SqlError { code: 1045, state: "28000", message });
    }
    let mut session = Session {
        user: response.user.clone(),
        identity,
        address: Some(address.to_owned()),
        connection_id: id,
        variables: cluster.fe.lock().global_variables.clone(),
        ..Session::default()
    };
    if let Some(name) = &response.database {
        dispatch::use_database(cluster, &mut session, name)?;
    }
    Ok(session)
}

impl Connection<'_> {
    async fn command(&mut self, payload: &[u8]) -> io::Result<Flow> {
        let Some((&code, argument)) = payload.split_first() else {
            return Ok(Flow::Close);
        };
        match code {
            command::QUIT => Ok(Flow::Close),
            command::QUERY => match std::str::from_utf8(argument) {
                Ok(text) => self.query(&sql::split_statements(text), encode::result_set).await,
                Err(_) => self.refuse(SqlError::general("statement is not valid UTF-8")).await,
            },
            command::INIT_DB => {
                let name = String::from_utf8_lossy(argument);
                match dispatch::use_database(self.cluster, &mut self.session, &name) {
                    Ok(()) => {
                        self.client.uses(&self.session);
                        self.reply(|output| encode::ok(output, 0, "", 0)).await
                    }
                    Err(error) => self.refuse(error).await,
                }
            }
            command::PING => self.reply(|output| encode::ok(output, 0, "", 0)).await,
            command::FIELD_LIST => {
                let end = argument.iter().position(|byte| *byte == 0).unwrap_or(argument.len());
                let table = String::from_utf8_lossy(&argument[..end]).into_owned();
                match self.fields(&table) {
                    Ok(columns) => self.reply(|output| encode::field_list(output, &table, &columns)).await,
                    Err(error) => self.refuse(error).await,
                }
            }
            // These two have no reply.
            command::STMT_CLOSE => {
                self.prepared.close(argument);
                Ok(Flow::Continue)
            }
            command::STMT_SEND_LONG_DATA => {
                self.prepared.long_data(argument);
                Ok(Flow::Continue)
            }
            command::STMT_PREPARE => {
                let text = std::str::from_utf8(argument);
                let text = text.map_err(|_| SqlError::general("statement is not valid UTF-8"));
                match text.and_then(|text| self.prepared.prepare(text)) {
                    Ok((id, count)) => self.reply(|output| encode::prepared(output, id, count)).await,
                    Err(error) => self.refuse(error).await,
                }
            }
            command::STMT_EXECUTE => match self.prepared.execute(argument) {
                Ok(text) => self.query(&[&text], binary::result_set).await,
                Err(error) => self.refuse(error).await,
            },
            command::STMT_RESET => match self.prepared.reset(argument) {
                Ok(()) => self.reply(|output| encode::ok(output, 0, "", 0)).await,
                Err(error) => self.refuse(error).await,
            },
            command::RESET_CONNECTION => {
                self.forget_session();
                self.session.variables = self.cluster.fe.lock().global_variables.clone();
                self.session.user_variables.clear();
                self.reply(|output| encode::ok(output, 0, "", 0)).await
            }
            command::CHANGE_USER => self.change_user(argument).await,
            other => {
                let message = format!("Unsupported command({other})");
                self.refuse(SqlError { code: 1047, state: "08S01", message }).await
            }
        }
    }

    /// Ends the transaction and the temporary tables, and forgets prepared statements.
    fn forget_session(&mut self) {
        exec::drop_temporary_tables(self.cluster, &mut self.session);
        transaction::rollback(self.cluster, &mut self.session, "the session is reset");
        self.prepared.clear();
    }

    /// A new session for another account on the same connection, or its end.
    async fn change_user(&mut self, payload: &[u8]) -> io::Result<Flow> {
        let Some(response) = auth::change_user(payload) else {
            let message = "Unknown command".to_owned();
            return self.refuse(SqlError { code: 1047, state: "08S01", message }).await;
        };
        self.forget_session();
        let address = self.session.address.clone().unwrap_or_default();
        match admit(self.cluster, self.session.connection_id, &address, &response, &self.salt) {
            Ok(session) => {
                let cancel = Arc::clone(&self.session.cancel);
                self.session = Session { frontend: self.fe, cancel, ..session };
                self.client.uses(&self.session);
                self.reply(|output| encode::ok(output, 0, "", 0)).await
            }
            Err(error) => {
                self.refuse(error).await?;
                Ok(Flow::Close)
            }
        }
    }

    /// Runs every statement and answers as the module comment says; `rows` encodes result sets.
    async fn query(
        &mut self,
        statements: &[&str],
        rows: fn(&mut Output, &ResultSet, u16),
    ) -> io::Result<Flow> {
        let node = NodeId::Fe(self.fe);
        let mut output = Output::starting_at(self.sequence);
        let mut flow = Flow::Continue;
        if statements.is_empty() {
            let message = "Query was empty".to_owned();
            encode::error(&mut output, &SqlError { code: 1065, state: "42000", message });
        }
        for (at, statement) in statements.iter().enumerate() {
            let kind = dispatch::kind(statement);
            self.cluster.counters.count(node, kind);
            let fault = self.cluster.faults.before(node, kind, || (*statement).to_owned()).await;
            let result = match &fault {
                FaultAction::CutBefore | FaultAction::Refuse => return Ok(Flow::Close),
                FaultAction::Status { code, text } => Err(status_error(*code, text.clone())),
                FaultAction::NotMaster => {
                    Err(SqlError::general("Node catalog is not ready, please wait for a while."))
                }
                FaultAction::Proceed
                | FaultAction::CutAfter
                | FaultAction::CutMidReply
                | FaultAction::Empty
                | FaultAction::MissingFile
                | FaultAction::Cancel(_)
                | FaultAction::Truncate => {
                    self.client.begins(self.cluster.clock.now_ms(), statement);
                    let result = dispatch::run(self.cluster, self.fe, &mut self.session, statement).await;
                    let result = self.client.verdict(result);
                    let result = self.cluster.save().map_err(SqlError::general).and(result);
                    self.client.ends(self.cluster.clock.now_ms(), &self.session, &result);
                    result
                }
            };
            if fault == FaultAction::CutAfter {
                return Ok(Flow::Close);
            }
            let ends = at + 1 == statements.len() || result.is_err();
            if ends || self.multi_statements {
                let status = if ends { 0 } else { capability::STATUS_MORE_RESULTS };
                match &result {
                    Ok(Answer::Done { affected_rows, info }) => {
                        encode::ok(&mut output, *affected_rows, info, status);
                    }
                    Ok(Answer::Rows(result)) => rows(&mut output, result, status),
                    Err(error) => encode::error(&mut output, error),
                }
            }
            if matches!(fault, FaultAction::CutMidReply | FaultAction::Truncate) {
                output.tear();
                flow = Flow::Close;
            }
            if ends || flow == Flow::Close {
                break;
            }
        }
        output.send(&mut self.writer, self.limits.stall_timeout).await?;
        Ok(flow)
    }

    /// The columns of a table of the current database, for clients that complete names.
    fn fields(&self, table: &str) -> Result<Vec<(String, ColumnType)>, SqlError> {
        let no_database =
            || SqlError { code: 1046, state: "3D000", message: "No database selected".to_owned() };
        let db = self.session.database.as_deref().ok_or_else(no_database)?;
        let name = TableName::new(Some(db), table);
        if let Some(columns) = show::system_columns(self.cluster, &self.session, &name)? {
            return Ok(columns.into_iter().map(|c| (c.name, ColumnType::from(&c.data_type))).collect());
        }
        let state = self.cluster.fe.lock();
        let found = state.database_named(db).and_then(|database| database.table_named(table));
        let columns = match found.ok_or_else(|| SqlError::unknown_table(db, table))? {
            crate::model::Table::Olap(olap) => olap.columns(),
            crate::model::Table::View(view) => &view.columns,
        };
        let visible = columns.iter().filter(|column| column.visible);
        Ok(visible.map(|column| (column.name.clone(), ColumnType::from(&column.data_type))).collect())
    }

    async fn refuse(&mut self, error: SqlError) -> io::Result<Flow> {
        self.reply(|output| encode::error(output, &error)).await
    }

    async fn reply(&mut self, encode: impl FnOnce(&mut Output)) -> io::Result<Flow> {
        reply(&mut self.writer, self.limits, self.sequence, encode).await?;
        Ok(Flow::Continue)
    }
}

async fn reply(
    writer: &mut OwnedWriteHalf,
    limits: &MysqlLimits,
    sequence: u8,
    encode: impl FnOnce(&mut Output),
) -> io::Result<()> {
    let mut output = Output::starting_at(sequence);
    encode(&mut output);
    output.send(writer, limits.stall_timeout).await
}

fn status_error(code: i32, text: String) -> SqlError {
    SqlError { code: u16::try_from(code).unwrap_or(1105), state: "HY000", message: text }
}
