//! Whether a Redis may be trusted: its version, its settings, whose it is, and whether it has this version's functions.

use std::collections::HashMap;
use std::sync::PoisonError;

use coupon_domain::ports::GateError;
use uuid::Uuid;

use crate::call::{unknown, unreadable};
use crate::connection::{CommandError, Connection, Primary, Value};
use crate::{Durability, RedisConfig, RedisGate};

/// The key that says whose Redis it is.
const INSTALLATION_KEY: &str = "coupon:installation";
/// The library's name in its first line.
const LIBRARY: &str = "coupon_v1";
/// Functions came with version 7.
const MIN_MAJOR_VERSION: u32 = 7;
/// What a Redis must be set to, or it may lose what it acknowledged.
const WANTED: [(&str, &str); 4] = [
    ("appendonly", "yes"),
    ("appendfsync", "always"),
    ("maxmemory-policy", "noeviction"),
    ("no-appendfsync-on-rewrite", "no"),
];

impl RedisGate {
    /// Refuses a Redis that is too old, set up to lose data, another installation's, or without this version's functions.
    pub(crate) async fn preflight(&self) -> Result<(), GateError> {
        check_database(self.connection.database())?;
        let mut weaknesses = Vec::new();
        let mut replicated = true;
        let primaries = self.connection.primaries();
        for primary in &primaries {
            check_version(&self.connection, primary).await?;
            let settings = settings(&self.connection, primary).await?;
            weaknesses.extend(weak_settings(&settings));
            replicated &= settings.get("min-replicas-to-write").is_some_and(|replicas| replicas != "0");
        }
        if let (Durability::Strict, Some(weakness)) = (self.config.durability, weaknesses.first()) {
            return Err(GateError::Unsafe(format!("Redis may lose what it acknowledged: {weakness}")));
        }
        check_installation(&self.connection, self.config.installation).await?;
        for primary in &primaries {
            ensure_functions(&self.connection, primary, &self.config).await?;
        }
        let text = durability_text(&weaknesses, replicated);
        *self.durability.lock().unwrap_or_else(PoisonError::into_inner) = text;
        Ok(())
    }

    /// What the last check found.
    pub(crate) fn durability_text(&self) -> String {
        self.durability.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn durability_text(weaknesses: &[String], replicated: bool) -> String {
    match (weaknesses, replicated) {
        ([], false) => "local: fsync before each answer".to_owned(),
        ([], true) => "fsync before each answer, and a replica follows".to_owned(),
        (weaknesses, _) => format!("relaxed: {}", weaknesses.join("; ")),
    }
}

/// The functions remember what they have opened by its key alone, whatever database it is in.
fn check_database(database: u8) -> Result<(), GateError> {
    if database == 0 {
        return Ok(());
    }
    Err(GateError::Unsafe(format!("the address of Redis names database {database}, and only database 0 can be used")))
}

async fn check_version(connection: &Connection, primary: &Primary) -> Result<(), GateError> {
    let info = connection.at(primary, "INFO", &["server"]).await.map_err(not_allowed)?;
    let info = info.into_string().unwrap_or_default();
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("unknown").trim();
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= MIN_MAJOR_VERSION) {
        return Ok(());
    }
    Err(GateError::Unsafe(format!("Redis has version {version}, wanted is {MIN_MAJOR_VERSION}.0 or later")))
}

async fn settings(connection: &Connection, primary: &Primary) -> Result<HashMap<String, String>, GateError> {
    let mut words = vec!["GET", "save", "stop-writes-on-bgsave-error", "min-replicas-to-write"];
    words.extend(WANTED.map(|(name, _)| name));
    match connection.at(primary, "CONFIG", &words).await {
        Ok(reply) => Ok(pairs(reply)),
        // Some providers do not let anyone look; whether that will do is for the operator to say.
        Err(CommandError::Refused(text)) if is_not_allowed(&text) => Ok(HashMap::new()),
        Err(error) => Err(unknown(error)),
    }
}

/// What is weaker than wanted, as `setting is value, wanted is value`.
fn weak_settings(settings: &HashMap<String, String>) -> Vec<String> {
    let value = |name: &str| settings.get(name).map_or("unknown", String::as_str);
    let mut weak: Vec<_> = WANTED
        .into_iter()
        .filter(|(name, wanted)| value(name) != *wanted)
        .map(|(name, wanted)| format!("{name} is {}, wanted is {wanted}", value(name)))
        .collect();
    // A snapshot that fails would stop all writes, though the append-only file is what counts.
    if !value("save").is_empty() && value("stop-writes-on-bgsave-error") != "no" {
        let (save, stop) = (value("save"), value("stop-writes-on-bgsave-error"));
        weak.push(format!("save is {save:?} and stop-writes-on-bgsave-error is {stop}, wanted is save \"\" or no"));
    }
    weak
}

/// Marks an unmarked Redis as this installation's.
async fn check_installation(connection: &Connection, installation: Uuid) -> Result<(), GateError> {
    // A Redis whose memory is full refuses SET, even where it would change nothing.
    let mut owner = connection.of_key("GET", vec![INSTALLATION_KEY.into()]).await.map_err(not_allowed)?;
    if owner.is_null() {
        let words = [INSTALLATION_KEY, &installation.to_string(), "NX", "GET"].map(Value::from);
        owner = connection.of_key("SET", words.into()).await.map_err(not_allowed)?;
    }
    let Some(owner) = owner.into_string() else { return Ok(()) };
    match owner.parse::<Uuid>() {
        Ok(owner) if owner == installation => Ok(()),
        Ok(owner) => Err(GateError::Foreign(owner)),
        Err(_) => Err(GateError::Unsafe(format!("the key {INSTALLATION_KEY} has no installation's id: {owner:?}"))),
    }
}

/// Loads the library where it is missing. One that is there is left alone: loading it anew would make it forget what it has opened.
async fn ensure_functions(connection: &Connection, primary: &Primary, config: &RedisConfig) -> Result<(), GateError> {
    let mut there = loaded_library(connection, primary).await?;
    if there.is_none() && config.load_functions {
        match connection.at(primary, "FUNCTION", &["LOAD", &config.library]).await {
            Ok(_) => tracing::info!(library = LIBRARY, "functions loaded into Redis"),
            // Another instance was faster; what it has loaded is looked at below.
            Err(CommandError::Refused(text)) if text.contains("already exists") => {}
            Err(error) => return Err(not_allowed(error)),
        }
        there = loaded_library(connection, primary).await?;
    }
    match there {
        Some(code) if code == config.library => Ok(()),
        Some(_) => Err(GateError::Unsafe(format!(
            "the function library {LIBRARY} in Redis is not the one of this version: run `coupon migrate`"
        ))),
        None => Err(GateError::Unsafe(format!(
            "the function library {LIBRARY} is not in Redis: run `coupon migrate`, or let this instance load it"
        ))),
    }
}

/// Loads the library, over one of the same name too.
pub(crate) async fn replace_functions(connection: &Connection, config: &RedisConfig) -> Result<(), GateError> {
    for primary in connection.primaries() {
        check_version(connection, &primary).await?;
        let there = loaded_library(connection, &primary).await?;
        if there.as_deref() != Some(&*config.library) {
            let words = ["LOAD", "REPLACE", &config.library];
            connection.at(&primary, "FUNCTION", &words).await.map_err(not_allowed)?;
        }
    }
    Ok(())
}

/// The source of the library that is there.
async fn loaded_library(connection: &Connection, primary: &Primary) -> Result<Option<String>, GateError> {
    let words = ["LIST", "LIBRARYNAME", LIBRARY, "WITHCODE"];
    let Value::Array(libraries) = connection.at(primary, "FUNCTION", &words).await.map_err(not_allowed)? else {
        return Err(unreadable("FUNCTION LIST"));
    };
    Ok(libraries.into_iter().next().and_then(|library| pairs(library).remove("library_code")))
}

/// A list of names and values; values that are not text are left out.
fn pairs(value: Value) -> HashMap<String, String> {
    let Value::Array(values) = value else { return HashMap::new() };
    let pair = |pair: &[Value]| Some((pair[0].as_string()?, pair[1].as_string()?));
    values.chunks_exact(2).filter_map(pair).collect()
}

/// Whether the user's rights or the provider are the reason, and not the moment.
fn is_not_allowed(refusal: &str) -> bool {
    refusal.starts_with("NOPERM") || refusal.starts_with("ERR")
}

fn not_allowed(error: CommandError) -> GateError {
    match error {
        CommandError::Refused(text) if is_not_allowed(&text) => {
            GateError::Unsafe(format!("Redis does not let this service use it: {text}"))
        }
        CommandError::Refused(_) | CommandError::Lost(_) => unknown(error),
    }
}
