//! The command line.

mod audit;
mod bench;
mod draw;
mod events;
mod export;
mod json;
mod simulate;
mod target;
mod users;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::settings::{self, Origin, Settings};
use crate::stores::Absent;
use crate::{logging, serve, stores};

/// Hands out limited coupons in a rush and takes them back at checkout.
///
/// Without a command it serves. Settings come from flags, variables, the file of --config and defaults, in this order.
#[derive(Debug, Parser)]
#[command(name = "coupon", disable_version_flag = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten, next_help_heading = "Settings")]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve (the default)
    Serve,
    /// Bring the schema of the stores up to date, and end
    Migrate(Migrate),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Ask the service at --listen whether it is well; the exit code tells
    Healthcheck(Healthcheck),
    /// Check, fetch or measure a draw
    #[command(subcommand)]
    Draw(draw::DrawCommand),
    /// Say who the users are
    #[command(subcommand)]
    Users(users::UsersCommand),
    /// Read the feed of events, and look after what was not delivered
    #[command(subcommand)]
    Events(events::EventsCommand),
    /// Write a campaign's coupons to a file, without their codes
    ///
    /// In the order of round and serial, as they stand while they are read. Coupons that are issued meanwhile may be left out.
    Export(export::Export),
    /// Print who changed what, latest first, one JSON object a line
    Audit(audit::Audit),
    /// See tomorrow's rush today: who gets the coupons, by speed and by draw
    ///
    /// Nothing leaves this machine: the service's own use cases, gate and ledger run in temporary folders, under a clock that is moved
    /// by hand. The same options give the same winners.
    Simulate(simulate::Simulate),
    /// Load the service as its clients would, measure it, and check that not one coupon is off
    ///
    /// Without --target it starts private services, with stores of their own in temporary folders (TMPDIR says where), and removes them.
    /// Each request is for another user. At the end what was answered, what the gate has issued and what the ledger has must be the same,
    /// else the exit code is 1.
    Bench(bench::Bench),
    /// A process of a bench that shares its load
    #[command(hide = true)]
    BenchWorker,
    /// Print the version
    Version,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print each setting and where it comes from, and say whether they make sense together
    Check,
}

#[derive(Debug, Args)]
struct Migrate {
    /// Load the functions into this Redis too, by a user who may; the service's own user then needs no right to load any
    #[arg(long, env = "COUPON_REDIS_ADMIN_URL", value_name = "URL", hide_env_values = true)]
    redis_admin_url: Option<String>,
}

#[derive(Debug, Args)]
struct Healthcheck {
    /// Which service to ask about, as `coupon.v1.CouponService`; empty: the process
    #[arg(long, value_name = "SERVICE", default_value = "")]
    service: String,

    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// Exit codes beside 0 and clap's own 2 for a command line that cannot be read.
mod exit {
    /// Something failed.
    pub(super) const FAILED: u8 = 1;
    /// The settings, an argument or a file cannot be used.
    pub(super) const UNUSABLE: u8 = 2;
    /// Postgres or Redis cannot be reached.
    pub(super) const STORE_ABSENT: u8 = 3;
}

/// Runs the command line to its end.
pub async fn run(args: Vec<OsString>) -> ExitCode {
    let (cli, origins) = match parse(args) {
        Ok(parsed) => parsed,
        Err(error) => return fail(exit::UNUSABLE, &error),
    };
    let Cli { command, settings } = cli;
    let done = match command.unwrap_or(Command::Serve) {
        Command::Serve => run_service(settings).await.map(|()| Verdict::Good),
        Command::Migrate(call) => migrate(&settings, &call).await.map(|()| Verdict::Good),
        Command::Config(ConfigCommand::Check) => return check(&settings, &origins),
        Command::Healthcheck(ask) => healthcheck(&settings, &ask).await.map(|()| Verdict::Good),
        Command::Draw(command) => command.run(&settings).await,
        Command::Users(command) => command.run(&settings).await,
        Command::Events(command) => command.run(&settings).await.map(|()| Verdict::Good),
        Command::Export(command) => command.run(&settings).await.map(|()| Verdict::Good),
        Command::Audit(command) => command.run(&settings).await.map(|()| Verdict::Good),
        Command::Simulate(command) => command.run().await,
        Command::Bench(command) => command.run().await,
        Command::BenchWorker => bench::work().await,
        Command::Version => {
            print(&format!("coupon {}", env!("CARGO_PKG_VERSION")));
            Ok(Verdict::Good)
        }
    };
    match done {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Err(error) if error.is::<NobodyReadsOn>() => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::from(exit::FAILED),
        Err(error) if error.chain().any(|cause| cause.is::<Absent>()) => fail(exit::STORE_ABSENT, &error),
        Err(error) if error.is::<Misconfigured>() || error.is::<Unusable>() => fail(exit::UNUSABLE, &error),
        Err(error) => fail(exit::FAILED, &error),
    }
}

/// What a command that ran to its end has found, and told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    Bad,
}

/// Marks a file that is not what the command needs.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be used", .0.display())]
struct Unusable(PathBuf);

/// Marks that whoever reads the output has had enough, as `head` does. It is no failure.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads on")]
struct NobodyReadsOn;

/// Marks an error of the settings.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is refused")]
struct Misconfigured;

fn parse(args: Vec<OsString>) -> anyhow::Result<(Cli, Vec<(String, Origin)>)> {
    let (matches, origins) = settings::matches(&Cli::command(), args)?;
    Ok((Cli::from_arg_matches(&matches)?, origins))
}

async fn run_service(settings: Settings) -> anyhow::Result<()> {
    settings.check().context(Misconfigured)?;
    logging::start(&settings).context(Misconfigured)?;
    serve::run(settings).await
}

async fn migrate(settings: &Settings, call: &Migrate) -> anyhow::Result<()> {
    settings.check().context(Misconfigured)?;
    logging::start(settings).context(Misconfigured)?;
    print(&stores::bring_up_to_date(settings).await?);
    if let Some(url) = &call.redis_admin_url {
        print(&stores::load_functions(settings, url).await?);
    }
    Ok(())
}

fn check(settings: &Settings, origins: &[(String, Origin)]) -> ExitCode {
    for (name, value) in settings::describe(settings) {
        let origin = origins.iter().find(|(id, _)| id == name).map_or(Origin::Default, |(_, origin)| *origin);
        let origin = match origin {
            Origin::Flag => "flag",
            Origin::Variable => "variable",
            Origin::File => "file",
            Origin::Default => "default",
        };
        print(&format!("{name:<21} {origin:<9} {value}"));
    }
    match settings.check() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(exit::UNUSABLE, &error),
    }
}

async fn healthcheck(settings: &Settings, ask: &Healthcheck) -> anyhow::Result<()> {
    let asked = async {
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", settings.listen))?.connect().await?;
        let request = HealthCheckRequest { service: ask.service.clone() };
        Ok::<_, anyhow::Error>(HealthClient::new(channel).check(request).await?.into_inner().status())
    };
    let status = tokio::time::timeout(ask.timeout, asked).await.context("no answer in time")??;
    if status != ServingStatus::Serving {
        bail!("{} is {}", ask.service, status.as_str_name());
    }
    print("SERVING");
    Ok(())
}

/// Why what was asked for cannot be written. A pipe that is closed is standard output's: that of the service's connection is its status.
fn unwritten(error: std::io::Error) -> anyhow::Error {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => NobodyReadsOn.into(),
        _ => anyhow::Error::from(error).context("what was asked for cannot be written"),
    }
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn print(line: &str) {
    println!("{line}");
}

/// Beside what was asked for.
#[expect(clippy::print_stderr, reason = "for the person that called")]
fn tell(line: &str) {
    eprintln!("{line}");
}

#[expect(clippy::print_stderr, reason = "for the person or script that called")]
fn fail(code: u8, error: &anyhow::Error) -> ExitCode {
    eprintln!("coupon: {error:#}");
    ExitCode::from(code)
}
