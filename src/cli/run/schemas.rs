//! The schema registry's HTTP server beside the worker's.

use super::drain;
use crate::{
    rest::{
        Door,
        registry::{self, App},
    },
    worker::Worker,
};
use std::{net::SocketAddr, sync::Arc};
use tapline_sdk::{Error, Result};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// The server with the means to stop it.
pub(super) struct SchemaServer {
    pub(super) address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl SchemaServer {
    pub(super) fn start(listener: TcpListener, worker: &Worker, door: Door) -> Result<Self> {
        let address = listener
            .local_addr()
            .map_err(|error| Error::fatal("the listener has no address").because(error))?;
        let app = App {
            registry: Arc::clone(worker.registry()),
            address,
        };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(registry::serve(listener, app, door, async {
            // A dropped sender asks for the same.
            let _either = stopped.await;
        }));
        Ok(Self {
            address,
            stop,
            task,
        })
    }

    pub(super) async fn stop(self) {
        drain(self.stop, self.task).await;
    }
}
