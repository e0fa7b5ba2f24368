//! A wire to Postgres that breaks when the answer of a commit comes along it: what was asked is done, and nobody is told.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What Postgres says when a transaction is committed.
const COMMITTED: &[u8] = b"COMMIT\0";

pub(crate) struct Proxy {
    pub(crate) port: u16,
    commits: Arc<Commits>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Commits {
    seen: AtomicUsize,
    /// Of so many one loses its answer; 0 means that none does.
    one_in: AtomicUsize,
    lost: AtomicUsize,
}

impl Proxy {
    /// To this port of this machine.
    pub(crate) async fn start(postgres: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let commits = Arc::new(Commits::default());
        let shared = Arc::clone(&commits);
        let accepting = tokio::spawn(async move {
            // Dropped with this task, and every connection with it.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(carry(client, postgres, Arc::clone(&shared)));
            }
        });
        Self { port, commits, accepting }
    }

    /// From now on of so many commits one loses its answer, and the connection; 0 ends it.
    pub(crate) fn lose_one_in(&self, commits: usize) {
        self.commits.one_in.store(commits, Ordering::Relaxed);
    }

    /// How many answers were lost.
    pub(crate) fn lost(&self) -> usize {
        self.commits.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(client: TcpStream, postgres: u16, commits: Arc<Commits>) {
    let Ok(server) = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, postgres))).await else { return };
    let ((mut from_client, to_client), (from_server, mut to_server)) = (client.into_split(), server.into_split());
    // Whichever side ends first ends both; why is no news.
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        _ = answers(from_server, to_client, &commits) => {}
    }
}

async fn answers(mut server: OwnedReadHalf, mut client: OwnedWriteHalf, commits: &Commits) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = server.read(&mut buffer).await?;
        if length == 0 || is_lost(&buffer[..length], commits) {
            return Ok(());
        }
        client.write_all(&buffer[..length]).await?;
    }
}

fn is_lost(answer: &[u8], commits: &Commits) -> bool {
    if !answer.windows(COMMITTED.len()).any(|words| words == COMMITTED) {
        return false;
    }
    let (one_in, seen) = (commits.one_in.load(Ordering::Relaxed), commits.seen.fetch_add(1, Ordering::Relaxed));
    let is_lost = one_in > 0 && seen % one_in == 0;
    commits.lost.fetch_add(usize::from(is_lost), Ordering::Relaxed);
    is_lost
}
