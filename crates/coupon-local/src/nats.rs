//! A private NATS server with JetStream.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;

use crate::server::{ChildServer, free_port};

/// Somebody else may take a free port before the server does.
const START_ATTEMPTS: usize = 5;

/// A NATS server of its own with JetStream, on a free loopback port, with a temporary folder; both are gone when this is dropped.
#[derive(Debug)]
pub struct NatsServer {
    child: ChildServer,
    port: u16,
}

impl NatsServer {
    /// Starts one that is as careful with what it acknowledges as its version can be.
    ///
    /// # Errors
    /// If `nats-server` is not there or does not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with("").await
    }

    /// Starts one with further lines of configuration: `authorization { user: a, password: b }`.
    ///
    /// # Errors
    /// If `nats-server` is not there or does not start.
    pub async fn start_with(configuration: &str) -> anyhow::Result<Self> {
        let mut outcome = Self::start_on(free_port()?, configuration).await;
        for _ in 1..START_ATTEMPTS {
            if outcome.is_ok() {
                break;
            }
            outcome = Self::start_on(free_port()?, configuration).await;
        }
        outcome
    }

    async fn start_on(port: u16, configuration: &str) -> anyhow::Result<Self> {
        let mut child = ChildServer::new()?;
        let folder = child.folder().display().to_string();
        // Before 2.10 there is no such setting; what was acknowledged then survives the process, but not the machine.
        let sync = if version()? >= (2, 10) { "sync_interval: always" } else { "" };
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\nserver_name: \"{folder}\"\njetstream {{ store_dir: \"{folder}\"\n {sync} }}\n{configuration}\n"
        );
        let file = child.folder().join("nats.conf");
        fs::write(&file, text).context("the configuration cannot be written")?;
        child.start(&["nats-server", "--config", &file.display().to_string()])?;
        let server = Self { child, port };
        server.ready().await?;
        Ok(server)
    }

    /// It listens only when it has read what it keeps.
    async fn ready(&self) -> anyhow::Result<()> {
        self.child.listens_on(self.port).await?;
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.context("NATS cannot be reached")?;
        let mut greeting = String::new();
        BufReader::new(stream).read_line(&mut greeting).await?;
        // Somebody else's server may have taken the port a moment before this one.
        if !greeting.contains(&self.child.folder().display().to_string()) {
            bail!("another server listens on port {}", self.port);
        }
        Ok(())
    }

    /// Where it is: `nats://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Kills it as a power cut would.
    ///
    /// # Errors
    /// If its watchdog has gone.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()
    }

    /// Kills it if it runs, and starts it on the same port with the same data.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.start_again()?;
        self.ready().await
    }

    /// Stops it from doing anything, connections left open; see [`NatsServer::resume`].
    ///
    /// # Errors
    /// If its watchdog has gone.
    pub async fn pause(&mut self) -> anyhow::Result<()> {
        self.child.signal("STOP")?;
        // A thread on another core goes on for a moment.
        while self.child.is_running() && !self.child.is_stopped() {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// If its watchdog has gone.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.child.signal("CONT")
    }
}

/// Its version, from `nats-server: v2.9.10`.
fn version() -> anyhow::Result<(u32, u32)> {
    let output = Command::new("nats-server").arg("--version").output().context("nats-server is not there")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers = text.trim().rsplit_once('v').map(|(_, numbers)| numbers.split('.'));
    let mut numbers = numbers.into_iter().flatten().map_while(|number| number.parse().ok());
    numbers.next().zip(numbers.next()).with_context(|| format!("nats-server has no version: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_private_server_has_jetstream_and_comes_back_on_its_port() {
        let mut server = NatsServer::start().await.expect("a private server");
        let url = server.url();
        server.kill().expect("killed");
        server.restart().await.expect("it starts again");
        assert_eq!(server.url(), url);
        assert!(server.child.log().contains("Starting JetStream"));
    }
}
