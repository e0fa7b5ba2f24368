//! The stores' own programs: where they are, and what they say.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, bail};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// A program of Postgres: in the PATH, else of the newest version where Debian puts them, else where `pg_config` says.
pub(super) fn of_postgres(name: &str) -> anyhow::Result<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(versions()).chain(said_by_pg_config());
    let program = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
    let program = program.with_context(|| {
        format!("{name} is not installed: it comes with Postgres 15 or later (Debian's package is `postgresql`)")
    })?;
    Ok(Command::new(program))
}

/// A program of Redis, in the PATH.
pub(super) fn of_redis(name: &str) -> Command {
    Command::new(name)
}

/// Runs a program with this input to its end; answers its output.
pub(super) async fn run(command: &mut Command, input: &str) -> anyhow::Result<String> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            anyhow::anyhow!(
                "{name} is not installed: it comes with Redis 7 or later (Debian's package is `redis-tools`)"
            )
        }
        _ => anyhow::Error::from(error).context(format!("{name} cannot be started")),
    })?;
    let mut stdin = child.stdin.take().context("the program has an input")?;
    let writing = async {
        // A program that ends early says itself why.
        drop(stdin.write_all(input.as_bytes()).await);
        drop(stdin);
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), writing);
    let output = output?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if !output.status.success() {
        bail!("{name}: {} {}", said(&output.stderr), said(&output.stdout));
    }
    Ok(said(&output.stdout))
}

/// Newest first.
fn versions() -> Vec<PathBuf> {
    let version = |folder: &PathBuf| folder.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<u32>().ok());
    let mut folders: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter_map(|folder| Some((version(&folder)?, folder.join("bin"))))
        .collect();
    folders.sort();
    folders.into_iter().rev().map(|(_, bin)| bin).collect()
}

fn said_by_pg_config() -> Option<PathBuf> {
    let output = std::process::Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_missing_is_named_with_its_package() {
        let postgres = of_postgres("no-such-program").expect_err("it is not there").to_string();
        let redis = run(&mut of_redis("no-such-program"), "").await.expect_err("it is not there").to_string();

        assert!(postgres.starts_with("no-such-program is not installed") && postgres.contains("`postgresql`"));
        assert!(redis.starts_with("no-such-program is not installed") && redis.contains("`redis-tools`"));
    }

    #[tokio::test]
    async fn a_program_that_fails_says_why() {
        let error =
            run(Command::new("sh").args(["-c", "cat; echo no >&2; exit 1"]), "out").await.expect_err("it fails");

        assert_eq!(error.to_string(), "sh: no out");
    }
}
