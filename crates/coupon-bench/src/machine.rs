//! What the figures depend on most.

use crate::report::Machine;

impl Machine {
    /// The one that this runs on.
    #[must_use]
    pub fn here() -> Self {
        Self {
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            processor: value("/proc/cpuinfo", "model name").unwrap_or_default(),
            memory: memory().unwrap_or_default(),
            system: system(),
        }
    }
}

/// The first value with this name in a file of lines `name : value`.
fn value(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

fn memory() -> Option<u64> {
    let kilobytes: u64 = value("/proc/meminfo", "MemTotal")?.strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn system() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} {}", std::env::consts::OS, release.trim()).trim().to_owned()
}
