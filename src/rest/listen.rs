//! A listener's connections: how many, how long each may take to ask, TLS, and an end in order.
//!
//! Knows no resource: a router answers. What a connection may cost before it has asked anything is bounded here, because
//! nobody has been let in yet.

use super::tls::Tls;
use crate::config::gate::HttpLimits;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{future::Future, io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// A process without file descriptors gets some when a connection ends.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A handshake is two round trips and some milliseconds of arithmetic.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// For the one answer to who is one too many: it fits any socket's buffer.
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(1);

/// Connections beyond the bound that are told so at the same time; the others are closed.
const REFUSALS_MAX: usize = 64;

/// What is told to who is one too many.
const BUSY: &str = r#"{"error_code":503,"message":"too many connections: see http.connections.max of the worker's settings"}"#;

/// How a listener treats its connections.
#[derive(Clone, Default)]
pub(super) struct Listening {
    pub(super) limits: HttpLimits,
    pub(super) tls: Option<Arc<Tls>>,
}

/// Serves until `stop` resolves; requests under way are finished first.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    how: Listening,
    stop: impl Future<Output = ()> + Send,
) {
    let places = Arc::new(Semaphore::new(how.limits.connections));
    let stopping = CancellationToken::new();
    let (mut open, mut refused) = (JoinSet::new(), JoinSet::new());
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            // Before more are taken, so that what has ended takes no room.
            Some(_ended) = open.join_next() => continue,
            Some(_told) = refused.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                wait_for_room(&error).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            if refused.len() < REFUSALS_MAX && how.tls.is_none() {
                refused.spawn(timeout(REFUSAL_TIME_MAX, refuse(stream)));
            }
            continue;
        };
        let (how, router) = (how.clone(), router.clone());
        open.spawn(connection(stream, router, how, stopping.clone(), place));
    }
    drop(listener);
    stopping.cancel();
    while open.join_next().await.is_some() {}
}

/// A connection that was reset before it was taken is its client's affair; what the process lacks comes back.
async fn wait_for_room(error: &io::Error) {
    let theirs = [
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::ConnectionRefused,
    ];
    if !theirs.contains(&error.kind()) {
        tracing::warn!(%error, "cannot take a connection");
        tokio::time::sleep(ACCEPT_AGAIN).await;
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    how: Listening,
    stopping: CancellationToken,
    place: OwnedSemaphorePermit,
) {
    let _place = place;
    // Answers are small and whole: nothing is gained by waiting for more.
    let _slower = stream.set_nodelay(true);
    let Some(tls) = &how.tls else {
        return requests(stream, router, how.limits, stopping).await;
    };
    match timeout(HANDSHAKE_TIME_MAX, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => requests(stream, router, how.limits, stopping).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_late) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    limits: HttpLimits,
    stopping: CancellationToken,
) {
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = stopping.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    // A client that goes away or is too slow is its own affair.
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    let length = BUSY.len();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{BUSY}"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
