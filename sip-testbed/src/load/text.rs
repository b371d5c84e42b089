//! SIP as a load generator needs it: a scan over the lines of a message, and templates.
//!
//! No grammar and no transactions: what comes is from an engine under test, whose messages are
//! well-formed in every respect that is read here. Templates cost well under a microsecond, so
//! that one core drives more calls than any engine on another core carries.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// Via and Record-Route lines that are kept. Two hops are the most a lab has.
const LINES_MAX: usize = 4;

/// The lines of one message that a generator looks at.
#[derive(Debug, Default)]
pub struct Lines<'a> {
    /// The start line.
    pub first: &'a str,
    /// Values of Via, topmost first.
    pub via: [&'a str; LINES_MAX],
    /// Values of Record-Route, topmost first.
    pub record_route: [&'a str; LINES_MAX],
    /// From.
    pub from: &'a str,
    /// To.
    pub to: &'a str,
    /// Call-ID.
    pub call_id: &'a str,
    /// CSeq.
    pub cseq: &'a str,
    /// Contact.
    pub contact: &'a str,
    /// The body.
    pub body: &'a str,
}

impl<'a> Lines<'a> {
    /// Scans a datagram. `None` where it is no text or has no Call-ID.
    pub fn scan(datagram: &'a [u8]) -> Option<Lines<'a>> {
        let text = std::str::from_utf8(datagram).ok()?;
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines = head.split("\r\n");
        let mut found = Lines {
            first: lines.next()?,
            body,
            ..Lines::default()
        };
        let (mut vias, mut routes) = (0, 0);
        for line in lines {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim_start();
            match name.trim_end() {
                "Via" | "v" if vias < LINES_MAX => {
                    found.via[vias] = value;
                    vias += 1;
                }
                "Record-Route" if routes < LINES_MAX => {
                    found.record_route[routes] = value;
                    routes += 1;
                }
                "From" | "f" => found.from = value,
                "To" | "t" => found.to = value,
                "Call-ID" | "i" => found.call_id = value,
                "CSeq" => found.cseq = value,
                "Contact" | "m" => found.contact = value,
                _ => {}
            }
        }
        (!found.call_id.is_empty()).then_some(found)
    }

    /// The status, where it is a response.
    pub fn status(&self) -> Option<u16> {
        self.first.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// The method of the request, or of the request that a response answers.
    pub fn method(&self) -> &'a str {
        self.cseq.rsplit(' ').next().unwrap_or_default()
    }

    /// The user part of the request URI.
    pub fn called(&self) -> &'a str {
        let uri = self.first.split(' ').nth(1).unwrap_or_default();
        user(uri)
    }

    /// Where the body wants its RTP.
    pub fn rtp(&self) -> Option<SocketAddr> {
        let address: IpAddr = after(self.body, "c=IN IP4 ")?.parse().ok()?;
        let port: u16 = after(self.body, "m=audio ")?.parse().ok()?;
        (port > 0).then_some(SocketAddr::new(address, port))
    }
}

/// The word that follows `mark`.
fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let at = text.find(mark)? + mark.len();
    text[at..].split([' ', '\r', '\n', '/']).next()
}

/// The user part of a URI.
pub fn user(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    rest.split_once('@').map_or("", |(user, _)| user)
}

/// The URI of a name-addr or addr-spec.
pub fn uri(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or(rest),
        None => value.split(';').next().unwrap_or(value),
    }
}

/// A session with G.711 µ-law and RFC 4733 at this address.
pub fn sdp(out: &mut String, rtp: SocketAddr, id: usize) {
    let (ip, port) = (rtp.ip(), rtp.port());
    write!(
        out,
        "v=0\r\no=load {id} {id} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )
    .expect("a string takes all");
}

/// A response to `request`, with `tag` where its To has none yet.
pub fn response(
    out: &mut String,
    request: &Lines<'_>,
    line: &str,
    tag: &str,
    contact: SocketAddr,
    body: &str,
) {
    out.clear();
    let cseq = request.cseq;
    write!(out, "SIP/2.0 {line}\r\n").expect("a string takes all");
    for via in request.via.iter().filter(|via| !via.is_empty()) {
        write!(out, "Via: {via}\r\n").expect("a string takes all");
    }
    for route in request
        .record_route
        .iter()
        .filter(|route| !route.is_empty())
    {
        write!(out, "Record-Route: {route}\r\n").expect("a string takes all");
    }
    write!(out, "From: {}\r\nTo: {}", request.from, request.to).expect("a string takes all");
    if !tag.is_empty() && !request.to.contains(";tag=") {
        write!(out, ";tag={tag}").expect("a string takes all");
    }
    write!(
        out,
        "\r\nCall-ID: {}\r\nCSeq: {cseq}\r\nContact: <sip:load@{contact}>\r\n",
        request.call_id
    )
    .expect("a string takes all");
    end(out, body);
}

/// What a request inside or outside a dialog is made of.
pub struct Request<'a> {
    /// INVITE and so on.
    pub method: &'a str,
    /// The request URI.
    pub target: &'a str,
    /// Our address.
    pub local: SocketAddr,
    /// Unique per transaction.
    pub branch: &'a str,
    /// With its tag.
    pub from: &'a str,
    /// With its tag, where there is one.
    pub to: &'a str,
    /// Call-ID.
    pub call_id: &'a str,
    /// CSeq.
    pub cseq: u32,
    /// Route lines, whole, each with its end of line.
    pub route: &'a str,
    /// Further lines, whole.
    pub more: &'a str,
    /// The user of our Contact.
    pub contact_user: &'a str,
    /// SDP, or nothing.
    pub body: &'a str,
}

/// Writes a request.
pub fn request(out: &mut String, request: &Request<'_>) {
    out.clear();
    let Request {
        method,
        target,
        local,
        branch,
        from,
        to,
        call_id,
        cseq,
        route,
        more,
        contact_user,
        body,
    } = request;
    write!(
        out,
        "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bK{branch}\r\n{route}Max-Forwards: 70\r\n\
         From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:{contact_user}@{local}>\r\n{more}"
    )
    .expect("a string takes all");
    end(out, body);
}

fn end(out: &mut String, body: &str) {
    if !body.is_empty() {
        out.push_str("Content-Type: application/sdp\r\n");
    }
    write!(out, "Content-Length: {}\r\n\r\n{body}", body.len()).expect("a string takes all");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_back_as_it_was_written() {
        let local: SocketAddr = "127.0.0.2:6060".parse().expect("an address");
        let (mut body, mut text) = (String::new(), String::new());
        sdp(&mut body, "127.0.0.2:20000".parse().expect("an address"), 7);
        let what = Request {
            method: "INVITE",
            target: "sip:bench@127.0.0.1:5060",
            local,
            branch: "b1",
            from: "<sip:7@127.0.0.2:6060>;tag=x",
            to: "<sip:bench@127.0.0.1>",
            call_id: "c1",
            cseq: 1,
            route: "",
            more: "",
            contact_user: "7",
            body: &body,
        };
        request(&mut text, &what);
        let lines = Lines::scan(text.as_bytes()).expect("a message");
        assert_eq!(lines.called(), "bench");
        assert_eq!(lines.method(), "INVITE");
        assert_eq!(uri(lines.contact), "sip:7@127.0.0.2:6060");
        assert_eq!(lines.rtp(), "127.0.0.2:20000".parse().ok());
        let mut answer = String::new();
        response(&mut answer, &lines, "200 OK", "t2", local, "");
        let lines = Lines::scan(answer.as_bytes()).expect("a message");
        assert_eq!(
            (lines.status(), lines.to),
            (Some(200), "<sip:bench@127.0.0.1>;tag=t2")
        );
        assert_eq!(
            lines.via[0],
            "SIP/2.0/UDP 127.0.0.2:6060;rport;branch=z9hG4bKb1"
        );
    }
}
