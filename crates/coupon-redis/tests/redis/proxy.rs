//! A way to a server on which connections can die without a word.

use std::net::Ipv4Addr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes on everything, until it is told to swallow it.
pub(crate) struct Proxy {
    port: u16,
    /// Each change kills the connections of that moment.
    dead: watch::Sender<u64>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let own = listener.local_addr().expect("it is bound").port();
        let dead = watch::Sender::new(0);
        let accepting = tokio::spawn(accept(listener, port, dead.clone()));
        Self { port: own, dead, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The connections of this moment stay open, but bring nothing any more; new ones work.
    pub(crate) fn swallow_all_of_now(&self) {
        self.dead.send_modify(|moment| *moment += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, port: u16, dead: watch::Sender<u64>) {
    while let Ok((mut from, _)) = listener.accept().await {
        let mut dead = dead.subscribe();
        tokio::spawn(async move {
            let mut to = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("the server is there");
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
                // Held open, and never read again.
                Ok(()) = dead.changed() => std::future::pending().await,
            }
        });
    }
}
