//! Which addresses are public, and a resolver that gives no others.
//!
//! The lists are IANA's special-purpose registries, the unusual side of them: whatever is not plainly public is not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Which addresses may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// Public ones.
    Public,
    /// Any.
    Any,
    /// This machine alone: for what is not encrypted.
    Loopback,
}

impl Allowed {
    pub(crate) fn allows(self, ip: IpAddr) -> bool {
        match self {
            Self::Public => is_public(ip),
            Self::Any => true,
            Self::Loopback => ip.to_canonical().is_loopback(),
        }
    }
}

/// A name has no address that may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no allowed address")]
pub(crate) struct Forbidden;

/// The system's resolver without the addresses that are not allowed. What it gives is what is connected to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resolver(pub(crate) Allowed);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let fit: Vec<SocketAddr> = found.filter(|address| allowed.allows(address.ip())).collect();
            if fit.is_empty() {
                return Err(Forbidden.into());
            }
            Ok(Box::new(fit.into_iter()) as Addrs)
        })
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let special = match ip.octets() {
        // This network; private; loopback; link-local with the metadata services of clouds; multicast, reserved and broadcast.
        [0 | 10 | 127 | 224..=255, ..] | [169, 254, ..] | [172, 16..=31, ..] | [192, 168, ..] => true,
        // Carrier-grade NAT; protocol assignments; 6to4 relays; benchmarks.
        [100, 64..=127, ..] | [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] => true,
        // Documentation.
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        _ => false,
    };
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    match ip.segments() {
        // NAT64 leads to the IPv4 address in it.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))),
        // Protocol assignments with Teredo; documentation; 6to4.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        // The one block that is given out. Outside are loopback, mapped, unique local, link-local, multicast.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_is_what_the_registries_have_no_other_use_for() {
        let public = ["1.1.1.1", "93.184.216.34", "100.63.255.255", "100.128.0.1", "172.32.0.1", "223.255.255.255"];
        let public = public.into_iter().chain(["2606:4700::1111", "2a00:1450::1", "64:ff9b::808:808"]);
        for ip in public {
            assert!(is_public(ip.parse().expect("an address")), "{ip}");
        }
        let special = ["0.0.0.0", "10.0.0.1", "127.0.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1", "192.168.1.1"];
        let special = special.into_iter().chain(["100.64.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "224.0.0.1"]);
        let special = special.chain(["240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:10.0.0.1", "::ffff:1.1.1.1"]);
        let special = special.chain(["::127.0.0.1", "fc00::1", "fd12::1", "fe80::1", "fec0::1", "ff02::1"]);
        let special = special.chain(["64:ff9b::a00:1", "64:ff9b:1::1", "2001::1", "2001:db8::1", "2002:a00:1::1"]);
        for ip in special.chain(["100::1", "3fff::1", "5f00::1", "fd00:ec2::254"]) {
            assert!(!is_public(ip.parse().expect("an address")), "{ip}");
        }
    }

    #[test]
    fn what_is_not_encrypted_stays_on_this_machine() {
        let allows = |ip: &str| Allowed::Loopback.allows(ip.parse().expect("an address"));
        assert!(allows("127.0.0.1") && allows("::1"));
        assert!(!allows("10.0.0.1") && !allows("1.1.1.1") && !allows("0.0.0.0"));
    }
}
