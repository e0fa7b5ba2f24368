//! Where the broker is and how it is used.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;

/// Why a broker cannot be used so. It does not say what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfig {
    /// The URL cannot be read.
    #[error("it is not a URL as nats://127.0.0.1:4222 or tls://nats.example, nor several with commas between")]
    NotUrl,
    /// The URLs name different users.
    #[error("all its URLs have to name the same user and password, or none")]
    ManyUsers,
    /// The stream's name is not one.
    #[error("a stream's name has letters, digits, - and _")]
    BadStream,
    /// The subject is not one.
    #[error("a subject's prefix has words of letters, digits, - and _ with dots between")]
    BadSubject,
}

/// The servers of one broker, and who comes.
#[derive(Clone, PartialEq, Eq)]
pub struct Servers {
    /// Without user and password: the driver does not use them there, but logs them.
    pub(crate) addresses: Vec<ServerAddr>,
    pub(crate) user: Option<(String, String)>,
}

impl Servers {
    /// Reads `nats://user:password@host:4222`, or several with commas between. With `tls://` TLS is required, else the server decides.
    ///
    /// # Errors
    /// If there is no such URL, or they name different users.
    pub fn parse(urls: &str) -> Result<Self, InvalidConfig> {
        let mut addresses = Vec::new();
        let mut users = Vec::new();
        for url in urls.split(',') {
            let address: ServerAddr = url.trim().parse().map_err(|_| InvalidConfig::NotUrl)?;
            if !matches!(address.scheme(), "nats" | "tls") || address.host().is_empty() {
                return Err(InvalidConfig::NotUrl);
            }
            users.push(user(&address));
            addresses.push(without_user(address)?);
        }
        users.dedup();
        match users.as_slice() {
            [user] => Ok(Self { addresses, user: user.clone() }),
            _ => Err(InvalidConfig::ManyUsers),
        }
    }
}

fn user(address: &ServerAddr) -> Option<(String, String)> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    address.username().map(|user| (decoded(user), address.password().map(decoded).unwrap_or_default()))
}

fn without_user(address: ServerAddr) -> Result<ServerAddr, InvalidConfig> {
    let mut url = address.into_inner();
    url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| InvalidConfig::NotUrl)?;
    ServerAddr::from_url(url).map_err(|_| InvalidConfig::NotUrl)
}

/// Host and port of each.
impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<_> =
            self.addresses.iter().map(|address| format!("{}:{}", address.host(), address.port())).collect();
        f.write_str(&hosts.join(", "))
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Servers({self})")
    }
}

/// How events are told to a broker.
#[derive(Debug, Clone)]
pub struct NatsConfig {
    /// Where it is.
    pub servers: Servers,
    /// A file as `nsc` makes it, with a user's token and key; goes before user and password.
    pub credentials_file: Option<PathBuf>,
    /// The stream, made if it is not there.
    pub stream: String,
    /// What subjects begin with.
    pub subject: String,
    /// The attribute `source` of the installation's events.
    pub source: String,
    /// For how long a stream that is made knows repeats.
    pub duplicate_window: Duration,
    /// How long the broker may take to acknowledge.
    pub timeout: Duration,
}

impl NatsConfig {
    /// One with the usual limits: 2 h for repeats, 5 s for acknowledgements.
    #[must_use]
    pub fn new(servers: Servers, source: String) -> Self {
        Self {
            servers,
            credentials_file: None,
            stream: "COUPON_EVENTS".to_owned(),
            subject: "coupon.v1".to_owned(),
            source,
            duplicate_window: Duration::from_secs(2 * 60 * 60),
            timeout: Duration::from_secs(5),
        }
    }

    /// What can be said of it without trying it.
    ///
    /// # Errors
    /// If the stream's or the subject's name is none.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let word =
            |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        if !word(&self.stream) {
            return Err(InvalidConfig::BadStream);
        }
        if !self.subject.split('.').all(word) {
            return Err(InvalidConfig::BadSubject);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_is_taken_out_of_the_url() {
        let servers = Servers::parse("nats://ada:p%40ss@a:4223,nats://ada:p%40ss@b").expect("two servers");
        assert_eq!(servers.user, Some(("ada".to_owned(), "p@ss".to_owned())));
        assert_eq!(format!("{servers} {servers:?}"), "a:4223, b:4222 Servers(a:4223, b:4222)");
        assert!(!format!("{:?}", servers.addresses).contains("p%40ss"));
        assert_eq!(Servers::parse("tls://nats.example").expect("a server").user, None);
    }

    #[test]
    fn what_is_no_broker_is_refused() {
        for url in ["", "http://a", "nats://", "nats://a,", "ws://a"] {
            assert_eq!(Servers::parse(url), Err(InvalidConfig::NotUrl), "{url}");
        }
        assert_eq!(Servers::parse("nats://ada@a,nats://bob@b"), Err(InvalidConfig::ManyUsers));
    }

    #[test]
    fn wildcards_and_empty_words_are_no_names() {
        let config = |stream: &str, subject: &str| {
            let servers = Servers::parse("nats://a").expect("a server");
            let usual = NatsConfig::new(servers, String::new());
            NatsConfig { stream: stream.to_owned(), subject: subject.to_owned(), ..usual }.check()
        };
        assert_eq!(config("COUPON_EVENTS", "coupon.v1"), Ok(()));
        for stream in ["", "a.b", "a b", "*"] {
            assert_eq!(config(stream, "coupon"), Err(InvalidConfig::BadStream), "{stream}");
        }
        for subject in ["", "a..b", "a.", "a.*", ">", "a b"] {
            assert_eq!(config("A", subject), Err(InvalidConfig::BadSubject), "{subject}");
        }
    }
}
