//! The peer relation of a leg: tags, route set, remote target and sequence numbers (RFC 3261 §12).
//!
//! It writes the requests of a dialog and judges the order of the peer's. Packets stay on the hop
//! the dialog lives on: behind a NAT the contact's address is unreachable, and a Route header must
//! not make us send to an address nobody configured.

use crate::endpoint::Hop;
use crate::message::{Message, Method, Name, NameAddr};
use crate::siphash::Keyed;
use crate::transaction::Wire;
use crate::transaction::timer::ClientKey;
use crate::write::{self, Head};

/// Routes in one route set; a request with more is refused by its number of Vias first.
const ROUTES_MAX: usize = 32;

/// One dialog, at first without the peer's half.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub hop: Hop,
    pub call_id: String,
    /// Our address with our tag, as it stands in our From.
    pub local: String,
    /// The peer's address with its tag, as it stands in our To.
    pub remote: String,
    pub local_tag: String,
    /// Empty until the peer has answered.
    pub remote_tag: String,
    /// Where the peer wants its requests: their Request-URI.
    pub target: String,
    /// In the order we send them.
    pub routes: Vec<String>,
    pub local_cseq: u32,
    pub remote_cseq: Option<u32>,
}

/// Names a dialog by Call-ID and tags, ours first.
pub(crate) fn key(keyed: &Keyed, call_id: &str, local_tag: &str, remote_tag: &str) -> u128 {
    keyed.hash128(&[
        call_id.as_bytes(),
        local_tag.as_bytes(),
        remote_tag.as_bytes(),
    ])
}

/// The Record-Route values in the order they stand; the text stays as it is (RFC 3261 §12.1.1).
fn record_routes(message: &Message<'_>) -> Vec<String> {
    message
        .headers(Name::RecordRoute)
        .take(ROUTES_MAX)
        .map(write::cleaned)
        .collect()
}

/// The Request-URI a Contact asks for; a URI that is not SIP cannot be called.
fn contact(message: &Message<'_>) -> Option<String> {
    message
        .contact()
        .filter(|c| c.uri.is_sip())
        .map(|c| write::cleaned(c.uri.text))
}

impl Dialog {
    /// The dialog of an INVITE that arrived; `tag` is ours (RFC 3261 §12.1.1), or the one To has already.
    pub fn from_invite(invite: &Message<'_>, hop: Hop, tag: &str) -> Dialog {
        let from = invite.header(Name::From).unwrap_or_default();
        let to = invite.header(Name::To).unwrap_or_default();
        let sender = invite.from().map_or("", |from| from.uri.text);
        Dialog {
            hop,
            call_id: invite.call_id().unwrap_or_default().to_owned(),
            local: match invite.to_tag() {
                Some(_) => write::cleaned(to),
                None => format!("{};tag={tag}", write::cleaned(to)),
            },
            remote: write::cleaned(from),
            local_tag: tag.to_owned(),
            remote_tag: invite.from_tag().unwrap_or_default().to_owned(),
            // RFC 2543 had no mandatory Contact: then From is where the peer is.
            target: contact(invite).unwrap_or_else(|| write::cleaned(sender)),
            routes: record_routes(invite),
            local_cseq: 0,
            remote_cseq: invite.cseq().map(|(number, _)| number),
        }
    }

    /// Takes the peer's half from a response to our INVITE (RFC 3261 §12.1.2).
    pub fn take_response(&mut self, response: &Message<'_>) {
        self.remote = write::cleaned(response.header(Name::To).unwrap_or_default());
        self.remote_tag = response.to_tag().unwrap_or_default().to_owned();
        self.routes = record_routes(response);
        self.routes.reverse();
        self.refresh_target(response);
    }

    /// Takes a new remote target, where the message has one (RFC 3261 §12.2).
    pub fn refresh_target(&mut self, message: &Message<'_>) {
        if let Some(target) = contact(message) {
            self.target = target;
        }
    }

    /// Its name.
    pub fn key(&self, keyed: &Keyed) -> u128 {
        key(keyed, &self.call_id, &self.local_tag, &self.remote_tag)
    }

    /// Whether a request of the peer comes in order; then it is the newest (RFC 3261 §12.2.2).
    pub fn take_cseq(&mut self, number: u32) -> bool {
        if self.remote_cseq.is_some_and(|newest| number <= newest) {
            return false;
        }
        self.remote_cseq = Some(number);
        true
    }

    /// The next number for a request of ours.
    pub fn next_cseq(&mut self) -> u32 {
        self.local_cseq += 1;
        self.local_cseq
    }

    /// A request within the dialog (RFC 3261 §12.2.1.1). ACK has the number of its INVITE, all
    /// others have the next.
    pub fn request(
        &self,
        wire: &mut Wire,
        method: Method,
        cseq: u32,
        lines: &str,
        body: &[u8],
    ) -> (ClientKey, Vec<u8>) {
        let key = ClientKey {
            branch: wire.tokens.next(),
            cancel: false,
        };
        let mut head = Head {
            method,
            uri: &self.target,
            hop: self.hop,
            branch: key.branch,
            routes: &self.routes,
            from: &self.local,
            to: &self.remote,
            call_id: &self.call_id,
            cseq,
        };
        let first = self.routes.first().and_then(|route| NameAddr::parse(route));
        let bytes = match first {
            // A strict router stands in the Request-URI, and the target at the end of the set.
            Some(strict) if !strict.uri.params.has("lr") => {
                let mut routes = self.routes[1..].to_vec();
                routes.push(format!("<{}>", self.target));
                head.uri = strict.uri.text;
                head.routes = &routes;
                write::request(&head, &wire.product, lines, body)
            }
            Some(_) | None => write::request(&head, &wire.product, lines, body),
        };
        (key, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Transport;
    use crate::transaction::timer::Times;
    use std::time::Duration;

    fn invite(record_routes: &str) -> String {
        format!(
            "INVITE sip:b@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\n{record_routes}\
             From: <sip:a@a>;tag=ta\r\nTo: <sip:b@b>\r\nCall-ID: c\r\nCSeq: 5 INVITE\r\n\
             Contact: <sip:a@10.0.0.1>\r\nContent-Length: 0\r\n\r\n"
        )
    }

    fn bye(record_routes: &str) -> String {
        let hop = Hop {
            transport: Transport::Udp,
            local: ([127, 0, 0, 1], 5060).into(),
            remote: ([127, 0, 0, 2], 5060).into(),
        };
        let text = invite(record_routes);
        let message = Message::parse(text.as_bytes()).unwrap();
        let dialog = Dialog::from_invite(&message, hop, "tb");
        let times = Times {
            t1: Duration::from_millis(500),
        };
        let mut wire = Wire::new(Keyed::new(&[0; 32]), times, "p".to_owned());
        String::from_utf8(dialog.request(&mut wire, Method::Bye, 1, "", &[]).1).unwrap()
    }

    #[test]
    fn a_loose_route_set_stands_before_the_target() {
        let bye = bye("Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\n");
        assert!(bye.starts_with("BYE sip:a@10.0.0.1 SIP/2.0\r\n"), "{bye}");
        assert!(
            bye.contains("Route: <sip:p1;lr>\r\nRoute: <sip:p2;lr>\r\n"),
            "{bye}"
        );
        assert!(
            bye.contains("From: <sip:b@b>;tag=tb\r\nTo: <sip:a@a>;tag=ta\r\n"),
            "{bye}"
        );
    }

    #[test]
    fn a_strict_router_takes_the_request_uri() {
        let bye = bye("Record-Route: <sip:p1>\r\nRecord-Route: <sip:p2;lr>\r\n");
        assert!(bye.starts_with("BYE sip:p1 SIP/2.0\r\n"), "{bye}");
        assert!(
            bye.contains("Route: <sip:p2;lr>\r\nRoute: <sip:a@10.0.0.1>\r\n"),
            "{bye}"
        );
    }
}
