//! The methods of the two services: for each, the trait that a server implements, the dispatch from
//! method name to trait method, and the typed client.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::client::{CallError, ClientPool, Peer};
use crate::message::{Kind, Message, exception, put_encoded_reply, put_exception, put_reply};
use crate::types::*;
use crate::wire::{MAX_LENGTH, Struct};

/// A result in its wire form, made from a struct before the connection is cut in the middle of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedReply(Vec<u8>);

impl EncodedReply {
    pub fn new<T: Struct>(result: &T) -> Self {
        Self(result.to_bytes())
    }
}

/// How a handler answers other than with a result. Business failures are results with a `TStatus`; these
/// are failures of the transport, real or staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandlerError {
    /// A TApplicationException; the connection stays open.
    Application { kind: i32, message: String },
    /// Close the connection without an answer. Returned before the work it is a request that never
    /// arrived, after the work a reply that was lost.
    Cut,
    /// Send half of this reply, then close the connection.
    CutMidReply(EncodedReply),
}

impl HandlerError {
    /// What a server answers that is older than the method.
    pub fn unknown_method(name: &str) -> Self {
        Self::Application {
            kind: exception::UNKNOWN_METHOD,
            message: format!("Invalid method name: '{name}'"),
        }
    }

    /// An exception that escaped from the handler.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::Application { kind: exception::INTERNAL_ERROR, message: message.into() }
    }

    pub fn cut_mid_reply<T: Struct>(result: &T) -> Self {
        Self::CutMidReply(EncodedReply::new(result))
    }
}

/// Whether the connection goes on after a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Continue,
    Close,
}

/// A service as the connection loop sees it: a message in, reply bytes out.
pub(crate) trait Dispatch: Send + Sync + 'static {
    fn dispatch(
        &self,
        peer: SocketAddr,
        message: &Message<'_>,
        out: &mut Vec<u8>,
    ) -> impl Future<Output = After> + Send;
}

fn answer<T: Struct>(message: &Message<'_>, outcome: Result<T, HandlerError>, out: &mut Vec<u8>) -> After {
    let (name, sequence) = (message.name, message.sequence);
    let after = match outcome {
        Ok(result) => {
            put_reply(name, sequence, &result, out);
            if out.len() > MAX_LENGTH {
                out.clear();
                put_exception(name, sequence, exception::INTERNAL_ERROR, "the reply is too large", out);
            }
            After::Continue
        }
        Err(HandlerError::Application { kind, message }) => {
            put_exception(name, sequence, kind, &message, out);
            After::Continue
        }
        Err(HandlerError::Cut) => After::Close,
        Err(HandlerError::CutMidReply(EncodedReply(result))) => {
            put_encoded_reply(name, sequence, &result, out);
            out.truncate(out.len() / 2);
            After::Close
        }
    };
    match message.kind {
        Kind::Call => {}
        // Nobody waits for the answer of a one-way call.
        Kind::Oneway | Kind::Reply | Kind::Exception => out.clear(),
    }
    after
}

macro_rules! service {
    (
        $(#[$handler_meta:meta])* handler $handler:ident;
        $(#[$client_meta:meta])* client $client:ident;
        dispatch $dispatch:ident;
        $( $(#[$meta:meta])* $method:ident = $name:literal($request:ty) -> $result:ty; )*
    ) => {
        $(#[$handler_meta])*
        pub trait $handler: Send + Sync + 'static {
            $(
                $(#[$meta])*
                fn $method(
                    &self,
                    peer: SocketAddr,
                    req: $request,
                ) -> impl Future<Output = Result<$result, HandlerError>> + Send {
                    let _ = (peer, req);
                    std::future::ready(Err(HandlerError::unknown_method($name)))
                }
            )*
        }

        pub(crate) struct $dispatch<H>(pub Arc<H>);

        impl<H: $handler> Dispatch for $dispatch<H> {
            async fn dispatch(&self, peer: SocketAddr, message: &Message<'_>, out: &mut Vec<u8>) -> After {
                match message.name {
                    $(
                        $name => match message.request::<$request>() {
                            Ok(request) => answer(message, self.0.$method(peer, request).await, out),
                            Err(error) => {
                                let error = HandlerError::Application {
                                    kind: exception::PROTOCOL_ERROR,
                                    message: error.to_string(),
                                };
                                answer::<$result>(message, Err(error), out)
                            }
                        },
                    )*
                    unknown => {
                        answer::<TStatus>(message, Err(HandlerError::unknown_method(unknown)), out)
                    }
                }
            }
        }

        $(#[$client_meta])*
        #[derive(Debug, Clone)]
        pub struct $client {
            peer: Arc<Peer>,
            timeout: Duration,
        }

        impl $client {
            pub(crate) fn new(peer: Arc<Peer>, timeout: Duration) -> Self {
                Self { peer, timeout }
            }

            /// The same client with another limit for the time of each call, connecting included.
            #[must_use]
            pub fn with_timeout(&self, timeout: Duration) -> Self {
                Self { peer: Arc::clone(&self.peer), timeout }
            }

            /// `host:port` of the peer.
            pub fn address(&self) -> &str {
                self.peer.address()
            }

            $(
                $(#[$meta])*
                pub async fn $method(&self, req: &$request) -> Result<$result, CallError> {
                    self.peer.call($name, req, self.timeout).await
                }
            )*
        }
    };
}

service! {
    /// The FrontendService methods that a syncer uses. A method left out answers UNKNOWN_METHOD, as an
    /// older FE does. `peer` is the client's address.
    handler FrontendHandler;
    /// Calls a frontend; cheap to clone.
    client FrontendClient;
    dispatch FrontendDispatch;

    begin_txn = "beginTxn"(TBeginTxnRequest) -> TBeginTxnResult;
    commit_txn = "commitTxn"(TCommitTxnRequest) -> TCommitTxnResult;
    rollback_txn = "rollbackTxn"(TRollbackTxnRequest) -> TRollbackTxnResult;
    get_binlog = "getBinlog"(TGetBinlogRequest) -> TGetBinlogResult;
    get_binlog_lag = "getBinlogLag"(TGetBinlogRequest) -> TGetBinlogLagResult;
    lock_binlog = "lockBinlog"(TLockBinlogRequest) -> TLockBinlogResult;
    get_snapshot = "getSnapshot"(TGetSnapshotRequest) -> TGetSnapshotResult;
    restore_snapshot = "restoreSnapshot"(TRestoreSnapshotRequest) -> TRestoreSnapshotResult;
    get_master_token = "getMasterToken"(TGetMasterTokenRequest) -> TGetMasterTokenResult;
    get_meta = "getMeta"(TGetMetaRequest) -> TGetMetaResult;
    get_backend_meta = "getBackendMeta"(TGetBackendMetaRequest) -> TGetBackendMetaResult;
    get_tablet_replica_infos =
        "getTabletReplicaInfos"(TGetTabletReplicaInfosRequest) -> TGetTabletReplicaInfosResult;
}

service! {
    /// The BackendService methods that a syncer uses.
    handler BackendHandler;
    /// Calls a backend; cheap to clone.
    client BackendClient;
    dispatch BackendDispatch;

    ingest_binlog = "ingest_binlog"(TIngestBinlogRequest) -> TIngestBinlogResult;
    query_ingest_binlog = "query_ingest_binlog"(TQueryIngestBinlogRequest) -> TQueryIngestBinlogResult;
}

impl ClientPool {
    /// Client of the FrontendService at `host:port`. Connects on the first call.
    pub fn frontend(&self, address: &str) -> FrontendClient {
        FrontendClient::new(self.peer(address), self.options().rpc_timeout)
    }

    /// Client of the BackendService at `host:port`. Connects on the first call.
    pub fn backend(&self, address: &str) -> BackendClient {
        BackendClient::new(self.peer(address), self.options().rpc_timeout)
    }
}
