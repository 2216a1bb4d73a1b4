// SPDX-License-Identifier: Apache-2.0
//! Connections are accepted up to a limit, timed, and let finish at the end.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

use crate::connections::{Connection, Connections};
use crate::metrics::count;
use crate::{Service, TlsConfig, http};

/// Longest request head, in bytes.
const MAX_HEAD_LEN: usize = 16 * 1024;

/// Serves until `stop` is done; then requests in flight are finished, and
/// connections that take too long are cut.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsConfig>,
    service: Arc<Service>,
    stop: impl Future<Output = ()>,
) {
    let limits = service.limits();
    let tls = tls.map(|TlsConfig(config)| TlsAcceptor::from(config));
    let connections = Connections::new(limits.connections, limits.patience);
    let graceful = GracefulShutdown::new();
    let router = http::router(Arc::clone(&service));

    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            let (stream, address) = listener.accept().await?;
            Ok::<_, io::Error>((stream, connections.open(address.ip()).await))
        };
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accepted => accepted,
        };
        let (stream, connection) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: some will be closed.
                tracing::error!(%error, "cannot accept");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let served = Served {
            service: Arc::clone(&service),
            connection: Arc::new(connection),
            router: router.clone(),
            tls: tls.clone(),
            watcher: graceful.watcher(),
        };
        tokio::spawn(async move {
            let (service, connection) =
                (Arc::clone(&served.service), Arc::clone(&served.connection));
            let metrics = service.metrics();
            metrics.connections.fetch_add(1, Relaxed);
            tokio::select! {
                ended = served.run(stream) => if let Err(error) = ended {
                    count(&metrics.connections_failed);
                    tracing::debug!(%error, "connection");
                },
                () = connection.given_up() => {
                    count(&metrics.connections_given_up);
                    tracing::debug!("given up for another connection");
                }
            }
            metrics.connections.fetch_sub(1, Relaxed);
        });
    }

    drop(listener);
    tracing::info!("stopping");
    if timeout(limits.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were cut");
    }
}

struct Served {
    service: Arc<Service>,
    connection: Arc<Connection>,
    router: Router,
    tls: Option<TlsAcceptor>,
    watcher: Watcher,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Served {
    async fn run(self, stream: TcpStream) -> Result<(), Failure> {
        stream.set_nodelay(true)?;
        let patience = self.service.limits().patience;
        // A client that does not take its answers is given up. Heads and bodies
        // have times of their own, which a trickle does not put off.
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(patience));
        let stream = Box::pin(stream);
        match self.tls.clone() {
            None => self.http(stream).await,
            Some(tls) => {
                let stream = timeout(patience, tls.accept(stream))
                    .await
                    .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
                self.http(Box::pin(stream)).await
            }
        }
    }

    async fn http<S>(self, stream: Pin<Box<S>>) -> Result<(), Failure>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let Self { service, connection, router, watcher, .. } = self;
        let patience = service.limits().patience;
        let router = TowerToHyperService::new(router);
        let handle = service_fn(|mut request: Request<Incoming>| {
            connection.has_its_request();
            request.extensions_mut().insert(Arc::clone(&connection));
            let response = router.call(request.map(Body::new));
            let (service, connection) = (Arc::clone(&service), Arc::clone(&connection));
            async move {
                let response = response.await?;
                service.metrics().responded(response.status());
                connection.waits_for_client();
                Ok::<_, Infallible>(response)
            }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            // From a request's first byte, and from the answer before it.
            .header_read_timeout(patience)
            .max_buf_size(MAX_HEAD_LEN)
            .serve_connection(TokioIo::new(stream), handle);
        watcher.watch(served).await?;
        Ok(())
    }
}
