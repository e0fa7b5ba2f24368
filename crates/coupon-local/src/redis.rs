//! A private Redis server, set up to lose nothing, and the clock that a test gives it.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::server::{ChildServer, free_port};

/// The key that a test clock's instant stands in, in microseconds since the Unix epoch.
pub const CLOCK_KEY: &str = "coupon:test:clock";
/// Somebody else may take a free port before the server does.
const START_ATTEMPTS: usize = 5;
/// How long a server may take to read its data.
const LOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// A Redis server of its own, on a free loopback port, with a temporary folder; both are gone when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    child: ChildServer,
    port: u16,
}

impl RedisServer {
    /// Starts one that keeps what it acknowledges.
    ///
    /// # Errors
    /// If `redis-server` is not there or does not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts one with further arguments, which override the safe ones: `["--appendfsync", "everysec"]`.
    ///
    /// # Errors
    /// If `redis-server` is not there or does not start.
    pub async fn start_with(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut outcome = Self::start_on(free_port()?, arguments).await;
        for _ in 1..START_ATTEMPTS {
            if outcome.is_ok() {
                break;
            }
            outcome = Self::start_on(free_port()?, arguments).await;
        }
        outcome
    }

    async fn start_on(port: u16, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut child = ChildServer::new()?;
        let (folder, number) = (child.folder().display().to_string(), port.to_string());
        let mut command = vec!["redis-server", "--bind", "127.0.0.1", "--port", &number, "--dir", &folder];
        command.extend(["--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "no"]);
        command.extend(["--save", "", "--maxmemory-policy", "noeviction"]);
        command.extend(arguments);
        child.start(&command)?;
        let server = Self { child, port };
        server.ready().await?;
        Ok(server)
    }

    async fn ready(&self) -> anyhow::Result<()> {
        self.child.listens_on(self.port).await?;
        let deadline = Instant::now() + LOAD_TIMEOUT;
        // While it reads its data it answers LOADING.
        while let Err(error) = self.command(&["PING"]).await {
            if !error.to_string().starts_with("LOADING") || Instant::now() > deadline {
                return Err(error);
            }
            tokio::task::yield_now().await;
        }
        // Somebody else's server may have taken the port a moment before this one.
        let folder = self.command(&["CONFIG", "GET", "dir"]).await?;
        if !folder.ends_with(&self.child.folder().display().to_string()) {
            bail!("another server listens on port {}", self.port);
        }
        Ok(())
    }

    /// Where it is: `redis://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A clock for a server whose functions read [`CLOCK_KEY`].
    #[must_use]
    pub fn clock(&self) -> RedisClock {
        RedisClock { port: self.port }
    }

    /// Sends one command over a connection of its own. Of an array the values are joined by line ends; what is not there is empty.
    ///
    /// # Errors
    /// If the server does not answer, or with the error that it answers.
    pub async fn command(&self, words: &[&str]) -> anyhow::Result<String> {
        command(self.port, words).await
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

    /// Kills it if it runs, and starts it on the same port with nothing in it.
    ///
    /// # Errors
    /// If its data cannot be removed, or it does not start.
    pub async fn restart_empty(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        std::fs::remove_dir_all(self.child.folder().join("appendonlydir")).context("the data cannot be removed")?;
        self.child.start_again()?;
        self.ready().await
    }

    /// Stops it from doing anything, connections left open; see [`RedisServer::resume`].
    ///
    /// # Errors
    /// If its watchdog has gone.
    pub fn pause(&mut self) -> anyhow::Result<()> {
        self.child.signal("STOP")
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// If its watchdog has gone.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.child.signal("CONT")
    }
}

/// The clock of a private server whose functions read [`CLOCK_KEY`].
#[derive(Debug, Clone)]
pub struct RedisClock {
    port: u16,
}

impl RedisClock {
    /// From now on it is so many microseconds since the Unix epoch.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn set_micros(&self, at: i64) -> anyhow::Result<()> {
        command(self.port, &["SET", CLOCK_KEY, &at.to_string()]).await.map(drop)
    }
}

async fn command(port: u16, words: &[&str]) -> anyhow::Result<String> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.context("Redis cannot be reached")?;
    let mut stream = BufReader::new(stream);
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(request.as_bytes()).await?;
    let mut values = Vec::new();
    // How many values are still to come; arrays may be nested.
    let mut pending = 1;
    while pending > 0 {
        pending -= 1;
        let line = read_line(&mut stream).await?;
        let (kind, rest) = line.split_at_checked(1).context("an empty reply")?;
        match (kind, rest) {
            ("-", error) => bail!("{error}"),
            ("$" | "*", "-1") => values.push(String::new()),
            ("$", length) => values.push(read_bulk(&mut stream, length.parse()?).await?),
            ("*", length) => pending += length.parse::<usize>()?,
            (_, simple) => values.push(simple.to_owned()),
        }
    }
    Ok(values.join("\n"))
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> anyhow::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    Ok(line.trim_end().to_owned())
}

async fn read_bulk(stream: &mut BufReader<TcpStream>, length: usize) -> anyhow::Result<String> {
    let mut bytes = vec![0; length + 2];
    stream.read_exact(&mut bytes).await?;
    bytes.truncate(length);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_private_server_keeps_its_data_over_a_kill_and_loses_it_when_emptied() {
        let mut server = RedisServer::start().await.expect("a private server");
        server.command(&["SET", "a", "1"]).await.expect("set");
        server.restart().await.expect("it starts again");
        assert_eq!(server.command(&["MGET", "a", "b"]).await.expect("read"), "1\n");

        server.restart_empty().await.expect("it starts again");

        assert_eq!(server.command(&["GET", "a"]).await.expect("read"), "");
    }
}
