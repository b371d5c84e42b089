//! URIs: sip, sips and tel taken apart, any other scheme kept as text (RFC 3261 §19.1, RFC 3966).

use super::address::{Params, unescape};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Anything else.
    Other,
}

/// A URI over the text it was read from.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a> {
    /// The scheme.
    pub scheme: Scheme,
    /// The URI as it was written.
    pub text: &'a str,
    /// The user part as it was written (with its escapes and its own `;` parameters); the number of a tel URI.
    pub user: Option<&'a str>,
    /// The password as it was written.
    pub password: Option<&'a str>,
    /// The host as it was written, an IPv6 address in its brackets. Empty for tel and other schemes.
    pub host: &'a str,
    /// The port, where one is given.
    pub port: Option<u16>,
    /// The parameters.
    pub params: Params<'a>,
    /// What follows `?`.
    pub headers: Option<&'a str>,
}

/// A host: an address or a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// An address.
    Ip(IpAddr),
    /// A name to look up.
    Name(&'a str),
}

impl<'a> Host<'a> {
    /// Reads a host; an IPv6 address with or without brackets.
    pub fn parse(text: &'a str) -> Option<Host<'a>> {
        if let Some(inner) = text.strip_prefix('[') {
            return Some(Host::Ip(IpAddr::V6(ipv6(inner.strip_suffix(']')?)?)));
        }
        if let Ok(v4) = text.parse::<Ipv4Addr>() {
            return Some(Host::Ip(IpAddr::V4(v4)));
        }
        if text.contains(':') {
            return Some(Host::Ip(IpAddr::V6(ipv6(text)?)));
        }
        is_host_name(text).then_some(Host::Name(text))
    }
}

/// The grammar of RFC 3261 allowed three colons before an embedded IPv4 address; RFC 5118 §4.10 has it tolerated.
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    match text.parse() {
        Ok(ip) => Some(ip),
        Err(_) if text.contains(":::") => text.replacen(":::", "::", 1).parse().ok(),
        Err(_) => None,
    }
}

/// Letters, digits, hyphens and dots; underscores too, since private networks have them.
fn is_host_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

/// Splits `host[:port]`; no white space inside.
pub(super) fn host_port(text: &str) -> Option<(&str, Option<u16>)> {
    let host_end = if text.starts_with('[') {
        text.find(']')? + 1
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (host, rest) = text.split_at(host_end);
    let bracketed = host.starts_with('[');
    if bracketed {
        ipv6(&host[1..host.len() - 1])?;
    } else if !is_host_name(host) {
        return None;
    }
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Some((host, None)),
        None => None,
        Some(port) => Some((host, Some(port_number(port)?))),
    }
}

/// Digits up to 65535, and no sign.
pub(super) fn port_number(text: &str) -> Option<u16> {
    super::index::decimal(text.as_bytes()).and_then(|port| u16::try_from(port).ok())
}

impl<'a> Uri<'a> {
    /// Reads a URI; `None` where it is malformed.
    pub fn parse(text: &'a str) -> Option<Uri<'a>> {
        let colon = text.find(':')?;
        let (scheme_text, rest) = (&text[..colon], &text[colon + 1..]);
        let mut scheme_bytes = scheme_text.bytes();
        if !scheme_bytes.next()?.is_ascii_alphabetic()
            || !scheme_bytes
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
            || rest.is_empty()
            || text
                .bytes()
                .any(|byte| byte <= b' ' || matches!(byte, b'<' | b'>' | b'"' | 0x7F))
        {
            return None;
        }
        let scheme = if scheme_text.eq_ignore_ascii_case("sip") {
            Scheme::Sip
        } else if scheme_text.eq_ignore_ascii_case("sips") {
            Scheme::Sips
        } else if scheme_text.eq_ignore_ascii_case("tel") {
            Scheme::Tel
        } else {
            Scheme::Other
        };
        let mut uri = Uri {
            scheme,
            text,
            user: None,
            password: None,
            host: "",
            port: None,
            params: Params::default(),
            headers: None,
        };
        match scheme {
            Scheme::Sip | Scheme::Sips => uri.read_sip(rest)?,
            Scheme::Tel => {
                let end = rest.find(';').unwrap_or(rest.len());
                uri.user = Some(&rest[..end]).filter(|number| !number.is_empty());
                uri.user?;
                uri.params = Params::parse_uri(&rest[end..])?;
            }
            Scheme::Other => {}
        }
        Some(uri)
    }

    fn read_sip(&mut self, rest: &'a str) -> Option<()> {
        // An `@` cannot stand unescaped behind the user part, but `;`, `?` and `/` can stand within it.
        let after = match rest.rfind('@') {
            None => rest,
            Some(at) => {
                let user = &rest[..at];
                match user.split_once(':') {
                    Some((user, password)) => {
                        self.user = Some(user);
                        self.password = Some(password);
                    }
                    None => self.user = Some(user),
                }
                if self.user == Some("") || user.contains('@') {
                    return None;
                }
                &rest[at + 1..]
            }
        };
        let host_end = after.find([';', '?']).unwrap_or(after.len());
        (self.host, self.port) = host_port(&after[..host_end])?;
        let tail = &after[host_end..];
        let params_end = tail.find('?').unwrap_or(tail.len());
        self.params = Params::parse_uri(&tail[..params_end])?;
        self.headers = tail.get(params_end + 1..);
        Some(())
    }

    /// Whether it is sip or sips.
    pub fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// The user part with its escapes resolved. Never to be parsed as a URI again.
    pub fn user_unescaped(&self) -> Option<Cow<'a, str>> {
        self.user.map(unescape)
    }

    /// The host as an address or a name; `None` for tel and other schemes.
    pub fn host(&self) -> Option<Host<'a>> {
        Host::parse(self.host)
    }

    /// The transport parameter.
    pub fn transport(&self) -> Option<&'a str> {
        self.params.value("transport")
    }

    /// Whether the two name the same resource (RFC 3261 §19.1.4). Not transitive, as the RFC says.
    pub fn matches(&self, other: &Uri<'_>) -> bool {
        if self.scheme != other.scheme {
            return false;
        }
        match self.scheme {
            Scheme::Other => return self.text == other.text,
            Scheme::Tel => {
                let digits = |user: Option<&str>| -> String {
                    user.unwrap_or("")
                        .chars()
                        .filter(|c| !"-.()".contains(*c))
                        .collect()
                };
                return digits(self.user).eq_ignore_ascii_case(&digits(other.user));
            }
            Scheme::Sip | Scheme::Sips => {}
        }
        let same = |a: Option<&str>, b: Option<&str>| match (a, b) {
            (Some(a), Some(b)) => unescape(a) == unescape(b),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let same_host = match (self.host(), other.host()) {
            (Some(Host::Name(a)), Some(Host::Name(b))) => a.eq_ignore_ascii_case(b),
            (a, b) => a == b,
        };
        same(self.user, other.user)
            && same(self.password, other.password)
            && same_host
            && self.port == other.port
            && self.params_match(other)
            && other.params_match(self)
            && self.headers_match(other)
    }

    /// Parameters that both have must be equal; these must be had by both or none.
    fn params_match(&self, other: &Uri<'_>) -> bool {
        self.params
            .iter()
            .all(|param| match other.params.get(param.name) {
                Some(theirs) => unescape(param.value.unwrap_or(""))
                    .eq_ignore_ascii_case(&unescape(theirs.value.unwrap_or(""))),
                None => !["user", "ttl", "method", "maddr", "transport"]
                    .iter()
                    .any(|name| param.name.eq_ignore_ascii_case(name)),
            })
    }

    fn headers_match(&self, other: &Uri<'_>) -> bool {
        let list = |headers: Option<&str>| -> Vec<String> {
            let mut list: Vec<String> = headers
                .into_iter()
                .flat_map(|headers| headers.split('&'))
                .map(|header| match header.split_once('=') {
                    Some((name, value)) => {
                        format!("{}={}", name.to_ascii_lowercase(), unescape(value))
                    }
                    None => header.to_ascii_lowercase(),
                })
                .collect();
            list.sort();
            list
        };
        list(self.headers) == list(other.headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        Uri::parse(a)
            .expect("valid")
            .matches(&Uri::parse(b).expect("valid"))
    }

    #[test]
    fn the_examples_of_rfc_3261_section_19_1_4_compare_as_it_says() {
        assert!(same(
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp"
        ));
        assert!(same(
            "sip:carol@chicago.com",
            "sip:carol@chicago.com;newparam=5"
        ));
        assert!(same(
            "sip:carol@chicago.com",
            "sip:carol@chicago.com;security=on"
        ));
        assert!(!same(
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;security=off"
        ));
        assert!(same(
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"
        ));
        assert!(!same(
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP"
        ));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"));
        assert!(!same(
            "sip:bob@biloxi.com",
            "sip:bob@biloxi.com;transport=udp"
        ));
        assert!(!same(
            "sip:carol@chicago.com",
            "sip:carol@chicago.com?Subject=next%20meeting"
        ));
        assert!(!same("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"));
    }

    #[test]
    fn a_user_part_may_hold_any_delimiter_but_the_at_sign() {
        let uri =
            Uri::parse("sip:1_unusual~(a!b)&c+d$/e?,/;;*:&pass=1,w@example.com;lr").expect("valid");
        assert_eq!(uri.user, Some("1_unusual~(a!b)&c+d$/e?,/;;*"));
        assert_eq!(uri.password, Some("&pass=1,w"));
        assert_eq!(uri.host, "example.com");
        assert!(uri.params.has("lr"));
    }

    #[test]
    fn malformed_uris_are_refused() {
        for text in [
            "",
            "sip:",
            "sip",
            ":x",
            "sip:@host",
            "sip:a@",
            "sip:a@b:",
            "sip:a@b:x",
            "sip:a@b:99999",
            "sip:a@[::1",
            "sip:2001:db8::10",
            "sip:a b@c",
            "sip:a@b;;c",
            "sip:a@b@c",
            "<sip:a@b>",
            "1sip:a",
            "tel:",
            "sip:a@[x]",
        ] {
            assert!(Uri::parse(text).is_none(), "{text:?}");
        }
    }
}
