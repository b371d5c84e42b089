//! Requests to addresses that others configured: no private ones unless allowed, no redirects, and
//! the address that was checked is the one that is connected to.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Why an address is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a URL.
    #[error("{0:?} is not a URL")]
    Url(String),
    /// Neither http nor https.
    #[error("only http and https are spoken, not {0}")]
    Scheme(String),
    /// Private, loopback, link-local, or otherwise not out there.
    #[error("{0} is a private address; set allow_private to use it")]
    Private(IpAddr),
}

/// A client that follows no redirects, uses no proxy, and (unless allowed) connects to no private address.
pub fn client(allow_private: bool, timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(timeout)
        .connect_timeout(timeout);
    match allow_private {
        true => builder.build(),
        false => builder.dns_resolver(Arc::new(PublicOnly)).build(),
    }
}

/// Checks the part of a URL that needs no resolver; a host name is checked when it is resolved.
pub fn check_url(url: &str, allow_private: bool) -> Result<(), AddressError> {
    let parsed = reqwest::Url::parse(url).map_err(|_| AddressError::Url(url.to_string()))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(AddressError::Scheme(parsed.scheme().to_string()));
    }
    let host = parsed
        .host_str()
        .ok_or_else(|| AddressError::Url(url.to_string()))?;
    let literal = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    match literal {
        Ok(ip) if !allow_private && !is_public(ip) => Err(AddressError::Private(ip)),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Whether an address is out there: neither private nor local nor special (RFC 6890).
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b)))
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let s = ip.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    if let Some(v4) = ip.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    // NAT64 and 6to4 carry an IPv4 address that is connected to in the end.
    if s[0] == 0x64 && s[1] == 0xff9b {
        return is_public_v4(embedded(s[6], s[7]));
    }
    if s[0] == 0x2002 {
        return is_public_v4(embedded(s[1], s[2]));
    }
    // Only 2000::/3 is assigned for the world at large.
    s[0] & 0xe000 == 0x2000
}

/// Resolves names to public addresses only.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let private = found.iter().find(|address| !is_public(address.ip()));
            match private {
                Some(address) => Err(AddressError::Private(address.ip()).into()),
                None => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}
