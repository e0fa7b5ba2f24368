//! Child servers that cannot outlive their starter: a small shell watches over each, and when the process that started it ends in whatever way, a
//! SIGKILL too, the shell's standard input ends, and it kills the server and removes its folder.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::net::TcpStream;

/// Does each line that it reads, answers with a line, and cleans up at the end of its input.
///
/// It makes the folder itself, so that there is no moment at which a folder exists that nobody would remove.
const WATCHDOG: &str = r#"
umask 022
folder=$(mktemp -d "${TMPDIR:-/tmp}/coupon-local.XXXXXX") || exit 1
chmod 755 "$folder"
echo "$folder"
pid=
while IFS= read -r line; do
    eval "$line"
    echo "$pid"
done
[ -z "$pid" ] || { kill -9 "$pid"; wait "$pid"; }
# Children of the server may write for a moment longer.
rm -rf "$folder" || { sleep 1; rm -rf "$folder"; }
"#;

/// How long a server may take until it listens.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How often one looks whether it does.
const POLL: Duration = Duration::from_millis(5);

/// A child server with a temporary folder of its own; both are gone when this is dropped or this process ends.
#[derive(Debug)]
pub struct ChildServer {
    watchdog: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
    command: Vec<String>,
    pid: Option<u32>,
}

impl ChildServer {
    /// A folder and its watchdog; nothing runs yet. The folder can be entered by every user.
    ///
    /// # Errors
    /// If there is no shell or no place for temporary folders.
    pub fn new() -> anyhow::Result<Self> {
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C in a terminal ends this process, and by that the server; the watchdog must live on to clean up.
            .process_group(0)
            .spawn()
            .context("sh cannot be started")?;
        let orders = watchdog.stdin.take();
        let mut answers = BufReader::new(watchdog.stdout.take().context("the watchdog has no output")?);
        let folder = PathBuf::from(answer(&mut answers)?);
        Ok(Self { watchdog, orders, answers, folder, command: Vec::new(), pid: None })
    }

    /// The server's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts the server with this program and these arguments, in its folder; its output goes to [`ChildServer::log`].
    ///
    /// # Errors
    /// If the watchdog has gone.
    pub fn start<S: AsRef<str>>(&mut self, command: &[S]) -> anyhow::Result<()> {
        self.command = command.iter().map(|word| word.as_ref().to_owned()).collect();
        self.start_again()
    }

    /// Starts it once more, after [`ChildServer::kill`], in the same folder with the same arguments.
    ///
    /// # Errors
    /// If the watchdog has gone.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        let words: Vec<_> = self.command.iter().map(|word| quoted(word)).collect();
        let line = format!(r#"cd "$folder"; {} </dev/null >>"$folder/log" 2>&1 & pid=$!"#, words.join(" "));
        self.pid = self.order(&line)?.parse().ok();
        Ok(())
    }

    /// Kills the server as a power cut would (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// If the watchdog has gone.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.order(r#"[ -z "$pid" ] || { kill -9 "$pid"; wait "$pid"; }; pid="#)?;
        self.pid = None;
        Ok(())
    }

    /// Sends the server a signal, by its name without `SIG`: `TERM`, `STOP`, `CONT` ...
    ///
    /// # Errors
    /// If the watchdog has gone.
    pub fn signal(&mut self, name: &str) -> anyhow::Result<()> {
        self.order(&format!(r#"kill -s {} "$pid""#, quoted(name))).map(drop)
    }

    /// Waits until something accepts connections on this loopback port. That it is this server has to be asked of it: another one may
    /// have taken the port a moment before.
    ///
    /// # Errors
    /// If it ends before it does, or takes longer than half a minute. The text has its output.
    pub async fn listens_on(&self, port: u16) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        while TcpStream::connect(address).await.is_err() {
            if !self.is_running() || Instant::now() > deadline {
                bail!("{} does not listen on port {port}:\n{}", self.command.join(" "), self.log());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Whether the server has been started and has not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let Some(pid) = self.pid else { return false };
        // A process that has ended stays as a zombie until the watchdog asks for it.
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z')))
    }

    /// Whether a signal has stopped every thread of the server; that takes a moment.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        let Some(pid) = self.pid else { return false };
        let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
        threads.flatten().all(|thread| {
            std::fs::read_to_string(thread.path().join("stat"))
                .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T')))
        })
    }

    /// What the server has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn order(&mut self, line: &str) -> anyhow::Result<String> {
        let orders = self.orders.as_mut().context("the watchdog has gone")?;
        writeln!(orders, "{line}").context("the watchdog has gone")?;
        answer(&mut self.answers)
    }
}

impl Drop for ChildServer {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.watchdog.wait();
    }
}

fn answer(answers: &mut BufReader<ChildStdout>) -> anyhow::Result<String> {
    let mut line = String::new();
    if answers.read_line(&mut line).context("the watchdog has gone")? == 0 {
        bail!("the watchdog has gone");
    }
    Ok(line.trim_end().to_owned())
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A loopback port that nobody listened on a moment ago.
///
/// # Errors
/// If there is none.
pub fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no loopback port is free")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_can_be_killed_and_started_again_and_leaves_nothing_behind() {
        let mut server = ChildServer::new().expect("a watchdog");
        server.start(&["sleep", "1000"]).expect("started");
        assert!(server.is_running());
        server.kill().expect("killed");
        assert!(!server.is_running());
        server.start_again().expect("started");
        let (pid, folder) = (server.pid.expect("it runs"), server.folder().to_owned());
        assert!(folder.is_dir());

        drop(server);

        assert!(!folder.exists());
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
}
