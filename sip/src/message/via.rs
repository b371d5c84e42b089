//! Via: where a request came from and which transaction it belongs to (RFC 3261 §20.42, RFC 3581).

use super::address::{Params, trim};
use super::index::is_lws;
use super::uri::{Host, port_number};

/// One Via value.
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    /// The transport as written: `UDP`, `TCP`, `TLS`, `WS`…
    pub transport: &'a str,
    /// The host as written, an IPv6 address in its brackets.
    pub host: &'a str,
    /// The port, where one is given.
    pub port: Option<u16>,
    /// The parameters.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Reads one value. White space may stand around each `/` and `:`.
    pub fn parse(text: &'a str) -> Option<Via<'a>> {
        let text = trim(text);
        let (name, rest) = text.split_once('/')?;
        let (version, rest) = rest.split_once('/')?;
        if !trim(name).eq_ignore_ascii_case("SIP") || trim(version) != "2.0" {
            return None;
        }
        let rest = trim(rest);
        let space = rest.bytes().position(is_lws)?;
        let transport = &rest[..space];
        if !super::index::is_token(transport) {
            return None;
        }
        let rest = trim(&rest[space..]);
        let params_start = rest.find(';').unwrap_or(rest.len());
        let sent_by = trim(&rest[..params_start]);
        let host_end = if sent_by.starts_with('[') {
            sent_by.find(']')? + 1
        } else {
            sent_by.find(':').unwrap_or(sent_by.len())
        };
        let host = trim(&sent_by[..host_end]);
        Host::parse(host)?;
        let behind = trim(&sent_by[host_end..]);
        let port = match behind.strip_prefix(':') {
            Some(port) => Some(port_number(trim(port))?),
            None if behind.is_empty() => None,
            None => return None,
        };
        Some(Via {
            transport,
            host,
            port,
            params: Params::parse(&rest[params_start..])?,
        })
    }

    /// The branch.
    pub fn branch(&self) -> Option<&'a str> {
        self.params.value("branch")
    }

    /// Whether the branch begins with the magic cookie and has more than it, so that it identifies the
    /// transaction (RFC 3261 §17.2.3); the bare cookie does not (RFC 4475 §3.2.1).
    pub fn has_rfc3261_branch(&self) -> bool {
        let cookie = super::MAGIC_COOKIE;
        self.branch().is_some_and(|branch| {
            branch.len() > cookie.len()
                && branch.as_bytes()[..cookie.len()].eq_ignore_ascii_case(cookie.as_bytes())
        })
    }

    /// The rport parameter: `Some(None)` asks for it, `Some(Some(port))` answers.
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params
            .get("rport")
            .map(|param| param.value.and_then(port_number))
    }

    /// The received parameter, an IPv6 address with or without brackets (RFC 5118 §4.5).
    pub fn received(&self) -> Option<Host<'a>> {
        Host::parse(self.params.value("received")?)
    }

    /// The maddr parameter.
    pub fn maddr(&self) -> Option<&'a str> {
        self.params.value("maddr")
    }

    /// The ttl parameter.
    pub fn ttl(&self) -> Option<u8> {
        self.params.value("ttl")?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_may_stand_around_the_separators() {
        let via =
            Via::parse("SIP  /   2.0\r\n /UDP\r\n    192.0.2.2 : 5070 ;branch = z9hG4bK1 ; rport")
                .expect("valid");
        assert_eq!(
            (via.transport, via.host, via.port),
            ("UDP", "192.0.2.2", Some(5070))
        );
        assert_eq!((via.branch(), via.rport()), (Some("z9hG4bK1"), Some(None)));
        let via = Via::parse("SIP/2.0/TCP [2001:db8::1]:5061;rport=9;received=2001:db8::9:255")
            .expect("valid");
        assert_eq!(
            (via.host, via.port, via.rport()),
            ("[2001:db8::1]", Some(5061), Some(Some(9)))
        );
        assert_eq!(via.received(), Host::parse("[2001:db8::9:255]"));
    }

    #[test]
    fn malformed_values_are_refused() {
        for text in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/1.0/UDP h",
            "HTTP/2.0/UDP h",
            "SIP/2.0/UDP h;;",
            "SIP/2.0/UDP h:",
            "SIP/2.0/UDP h:p",
            "SIP/2.0/UDP a b",
            "SIP/2.0/UDP h;branch=",
            "SIP/2.0/UDP [::1",
            "SIP/2.0/U(P h",
        ] {
            assert!(Via::parse(text).is_none(), "{text:?}");
        }
    }
}
