//! Where webhooks go.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use crate::address::Allowed;

/// Why a webhook cannot go there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// It is no URL with a host.
    #[error("it is not a URL as https://shop.example/hooks")]
    NotUrl,
    /// Another scheme.
    #[error("only https is spoken; with private addresses allowed also http, to this machine as http://127.0.0.1")]
    NotHttps,
    /// The address is not public.
    #[error("its address is not public; private ones have to be allowed")]
    Private,
}

/// A URL that may be posted to, as far as can be said without resolving its name.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    pub(crate) url: Url,
    pub(crate) allowed: Allowed,
}

impl Target {
    /// Reads a URL; `allow_private` allows addresses that are not public as well, and `http` to this machine.
    ///
    /// # Errors
    /// If it is none, or may not be posted to.
    pub fn parse(url: &str, allow_private: bool) -> Result<Self, InvalidTarget> {
        let url = Url::parse(url).map_err(|_| InvalidTarget::NotUrl)?;
        let host = url.host_str().ok_or(InvalidTarget::NotUrl)?;
        let allowed = match (url.scheme(), allow_private) {
            ("https", false) => Allowed::Public,
            ("https", true) => Allowed::Any,
            // A name is resolved only when a connection is made; then the resolver sees to it.
            ("http", true) if is_this_machine(host) => Allowed::Loopback,
            _ => return Err(InvalidTarget::NotHttps),
        };
        // The driver asks no resolver for an address.
        if literal(host).is_some_and(|ip| !allowed.allows(ip)) {
            return Err(InvalidTarget::Private);
        }
        Ok(Self { url, allowed })
    }
}

/// Scheme, host and port, for people: neither user, path nor query, any of which may be a secret.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url.origin().ascii_serialization())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || literal(host).is_some_and(|ip| Allowed::Loopback.allows(ip))
}

fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str, allow_private: bool) -> Option<InvalidTarget> {
        Target::parse(url, allow_private).err()
    }

    #[test]
    fn only_https_to_public_addresses_is_allowed_by_itself() {
        assert_eq!(refused("https://shop.example/hooks?key=1", false), None);
        assert_eq!(refused("https://1.1.1.1/", false), None);
        assert_eq!(refused("http://shop.example/", false), Some(InvalidTarget::NotHttps));
        assert_eq!(refused("http://127.0.0.1/", false), Some(InvalidTarget::NotHttps));
        assert_eq!(refused("ftp://shop.example/", true), Some(InvalidTarget::NotHttps));
        assert_eq!(refused("shop.example", false), Some(InvalidTarget::NotUrl));
        // However an address is spelt.
        for host in ["127.0.0.1", "0x7f.1", "2130706433", "[::1]", "[::ffff:10.0.0.1]", "169.254.169.254", "0"] {
            assert_eq!(refused(&format!("https://{host}/"), false), Some(InvalidTarget::Private), "{host}");
        }
    }

    #[test]
    fn without_encryption_only_this_machine_is_allowed_and_only_on_request() {
        for url in ["http://127.0.0.1:8080/", "http://[::1]/", "http://localhost/hooks", "https://10.0.0.1/"] {
            assert_eq!(refused(url, true), None, "{url}");
        }
        for url in ["http://10.0.0.1/", "http://shop.example/", "http://1.1.1.1/", "http://localhost.example/"] {
            assert_eq!(refused(url, true), Some(InvalidTarget::NotHttps), "{url}");
        }
    }

    #[test]
    fn what_may_be_secret_in_a_url_is_not_shown() {
        let target = Target::parse("https://user:word@shop.example:8443/path?key=1", false).expect("a target");
        assert_eq!(target.to_string(), "https://shop.example:8443");
        assert_eq!(format!("{target:?}"), "Target(https://shop.example:8443)");
    }
}
