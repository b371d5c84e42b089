//! What a message must have before anything acts on it (RFC 3261 §8.1.1, §8.2, §18.3).

use super::index::Start;
use super::name::NAMES;
use super::{Fault, List, Message, Method, Name, NameAddr, Scheme, Uri, VIAS_MAX, Via};

impl Message<'_> {
    /// Whether the message may be acted upon, or what is wrong with it. A request that is at fault is answered
    /// with the fault's status (never an ACK), a response that is at fault is dropped.
    pub fn validate(&self) -> Result<(), Fault> {
        if let Some(fault) = self.index.fault {
            return Err(fault);
        }
        let mut seen = [false; NAMES];
        for name in self.names() {
            if name.is_single() && seen[name as usize] {
                return Err(Fault::Repeated(name));
            }
            seen[name as usize] = true;
        }
        for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
            if !seen[name as usize] {
                return Err(Fault::Missing(name));
            }
        }
        self.validate_vias()?;
        if self.from().is_none() {
            return Err(Fault::Malformed(Name::From));
        }
        if self.to().is_none() {
            return Err(Fault::Malformed(Name::To));
        }
        if self.call_id().is_none() {
            return Err(Fault::Malformed(Name::CallId));
        }
        if self.cseq().is_none() {
            return Err(Fault::Malformed(Name::CSeq));
        }
        if self.header(Name::MaxForwards).is_some() && self.max_forwards().is_none() {
            return Err(Fault::Malformed(Name::MaxForwards));
        }
        if !self.contact_is_star() && self.contacts().any(|contact| contact.is_none()) {
            return Err(Fault::Malformed(Name::Contact));
        }
        for name in [Name::Route, Name::RecordRoute] {
            if self.addresses(name).any(|address| address.is_none()) {
                return Err(Fault::Malformed(name));
            }
        }
        match self.index.start {
            Start::Response { .. } => Ok(()),
            Start::Request { method, .. } => self.validate_request(method),
        }
    }

    fn validate_vias(&self) -> Result<(), Fault> {
        let mut vias = 0;
        for line in self.header_lines(Name::Via) {
            // An empty line has no elements, and is not a Via either.
            if line.is_empty() {
                return Err(Fault::Malformed(Name::Via));
            }
            for value in List::new(line) {
                vias += 1;
                if vias > VIAS_MAX {
                    return Err(Fault::TooManyVias);
                }
                if Via::parse(value).is_none() {
                    return Err(Fault::Malformed(Name::Via));
                }
            }
        }
        Ok(())
    }

    fn validate_request(&self, method: Method) -> Result<(), Fault> {
        if !self.cseq_names_method() {
            return Err(Fault::MethodMismatch);
        }
        let uri = Uri::parse(self.request_uri_text()).ok_or(Fault::RequestUri)?;
        match uri.scheme {
            // RFC 3261 §19.1.1, table 1: no headers in a Request-URI.
            Scheme::Sip | Scheme::Sips if uri.headers.is_some() => return Err(Fault::RequestUri),
            Scheme::Sip | Scheme::Sips | Scheme::Tel => {}
            Scheme::Other => return Err(Fault::Scheme),
        }
        match method {
            Method::Refer if self.header(Name::ReferTo).is_none() => {
                Err(Fault::Missing(Name::ReferTo))
            }
            Method::Refer
                if self
                    .header(Name::ReferTo)
                    .and_then(NameAddr::parse)
                    .is_none() =>
            {
                Err(Fault::Malformed(Name::ReferTo))
            }
            Method::Prack if self.rack().is_none() => Err(Fault::Malformed(Name::RAck)),
            Method::Invite
            | Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Options
            | Method::Register
            | Method::Prack
            | Method::Update
            | Method::Refer
            | Method::Subscribe
            | Method::Notify
            | Method::Info
            | Method::Message
            | Method::Publish
            | Method::Other => Ok(()),
        }
    }
}
