//! Headers understood on demand. An accessor gives `None` where the header is missing or malformed;
//! [`Message::validate`] tells the two apart for those that matter.

use super::address::{List, NameAddr, Params, Tokens, trim, unquote};
use super::index::{Start, decimal, is_lws, is_token};
use super::{CSEQ_MAX, Message, Method, Name, Uri, Via};
use std::borrow::Cow;

/// One Reason value (RFC 3326).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReasonHeader<'a> {
    /// `Q.850` or `SIP`.
    pub protocol: &'a str,
    /// The cause: of Q.850, or a SIP status.
    pub cause: Option<u16>,
    /// Its text as written.
    pub text: Option<&'a str>,
}

/// What a PRACK acknowledges (RFC 3262 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RAck {
    /// The RSeq of the provisional response.
    pub rseq: u32,
    /// The CSeq of the request it answered.
    pub cseq: u32,
    /// The method of that request.
    pub method: Method,
}

/// A WWW-Authenticate or Proxy-Authenticate value, or an Authorization: a scheme and comma separated parameters.
#[derive(Clone, Copy, Debug)]
pub struct Credential<'a> {
    /// `Digest`, in any case.
    pub scheme: &'a str,
    list: &'a str,
}

/// A challenge has the shape of a credential.
pub type Challenge<'a> = Credential<'a>;

impl<'a> Credential<'a> {
    /// Reads one header line.
    pub fn parse(text: &'a str) -> Option<Credential<'a>> {
        let text = trim(text);
        let space = text.bytes().position(is_lws)?;
        let scheme = &text[..space];
        is_token(scheme).then_some(Credential {
            scheme,
            list: &text[space..],
        })
    }

    /// The value of a parameter, unquoted.
    pub fn value(&self, name: &str) -> Option<Cow<'a, str>> {
        self.raw(name).map(unquote)
    }

    /// The value of a parameter as written.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        List::new(self.list).find_map(|param| {
            let (key, value) = param.split_once('=')?;
            trim(key).eq_ignore_ascii_case(name).then(|| trim(value))
        })
    }

    /// Whether it is `Digest`.
    pub fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("Digest")
    }
}

fn number_u32(text: &str) -> Option<u32> {
    decimal(text.as_bytes()).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
}

/// The digits a value begins with, where white space, `;`, `(` or nothing follows them.
fn leading_number(text: &str) -> Option<u32> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let follows = text.as_bytes().get(digits).copied();
    if follows.is_some_and(|byte| !is_lws(byte) && !matches!(byte, b';' | b'(')) {
        return None;
    }
    number_u32(&text[..digits])
}

impl<'a> Message<'a> {
    /// Whether it is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.index.start, Start::Request { .. })
    }

    /// The method of a request; of a response the one in its CSeq.
    pub fn method(&self) -> Method {
        match self.index.start {
            Start::Request { method, .. } => method,
            Start::Response { .. } => self.cseq().map_or(Method::Other, |(_, method)| method),
        }
    }

    /// The method of a request as it was written; of a response the one in its CSeq.
    pub fn method_text(&self) -> &'a str {
        match self.index.start {
            Start::Request { method_text, .. } => self.text(method_text),
            Start::Response { .. } => self.cseq_text().map_or("", |(_, method)| method),
        }
    }

    /// The Request-URI as it was written; empty for a response.
    pub fn request_uri_text(&self) -> &'a str {
        match self.index.start {
            Start::Request { uri, .. } => self.text(uri),
            Start::Response { .. } => "",
        }
    }

    /// The Request-URI.
    pub fn request_uri(&self) -> Option<Uri<'a>> {
        Uri::parse(self.request_uri_text())
    }

    /// The status of a response; 0 for a request.
    pub fn status(&self) -> u16 {
        match self.index.start {
            Start::Request { .. } => 0,
            Start::Response { status, .. } => status,
        }
    }

    /// The reason phrase of a response; empty for a request.
    pub fn reason(&self) -> &'a str {
        match self.index.start {
            Start::Request { .. } => "",
            Start::Response { reason, .. } => self.text(reason),
        }
    }

    /// The values of a header over all of its lines, split at commas. Only for headers that are lists.
    pub fn headers(&self, name: Name) -> impl Iterator<Item = &'a str> + '_ {
        self.header_lines(name).flat_map(List::new)
    }

    /// The addresses in a header, malformed ones as `None`.
    pub fn addresses(&self, name: Name) -> impl Iterator<Item = Option<NameAddr<'a>>> + '_ {
        self.headers(name).map(NameAddr::parse)
    }

    /// The topmost Via: who sent it last.
    pub fn top_via(&self) -> Option<Via<'a>> {
        Via::parse(List::new(self.header(Name::Via)?).next()?)
    }

    /// How many Via values there are.
    pub fn via_count(&self) -> usize {
        self.headers(Name::Via).count()
    }

    /// From.
    pub fn from(&self) -> Option<NameAddr<'a>> {
        NameAddr::parse(self.header(Name::From)?)
    }

    /// To.
    pub fn to(&self) -> Option<NameAddr<'a>> {
        NameAddr::parse(self.header(Name::To)?)
    }

    /// The tag of From.
    pub fn from_tag(&self) -> Option<&'a str> {
        self.from()?.tag()
    }

    /// The tag of To.
    pub fn to_tag(&self) -> Option<&'a str> {
        self.to()?.tag()
    }

    /// The first Contact, where it is not `*`.
    pub fn contact(&self) -> Option<NameAddr<'a>> {
        self.addresses(Name::Contact).next()?
    }

    /// All Contacts, malformed ones as `None`.
    pub fn contacts(&self) -> impl Iterator<Item = Option<NameAddr<'a>>> + '_ {
        self.addresses(Name::Contact)
    }

    /// Whether Contact is `*`: all bindings (RFC 3261 §10.2.2).
    pub fn contact_is_star(&self) -> bool {
        self.header(Name::Contact) == Some("*")
    }

    /// Call-ID.
    pub fn call_id(&self) -> Option<&'a str> {
        self.header(Name::CallId)
            .filter(|id| !id.is_empty() && !id.bytes().any(is_lws))
    }

    fn cseq_text(&self) -> Option<(u32, &'a str)> {
        let value = self.header(Name::CSeq)?;
        let space = value.bytes().position(is_lws)?;
        let number = number_u32(&value[..space]).filter(|n| *n <= CSEQ_MAX)?;
        let method = trim(&value[space..]);
        is_token(method).then_some((number, method))
    }

    /// The number and method of CSeq.
    pub fn cseq(&self) -> Option<(u32, Method)> {
        self.cseq_text()
            .map(|(number, method)| (number, Method::parse(method)))
    }

    /// Whether CSeq names the method of this request, also one this stack does not know.
    pub(super) fn cseq_names_method(&self) -> bool {
        self.cseq_text()
            .is_some_and(|(_, method)| method == self.method_text())
    }

    /// Max-Forwards, 0 to 255.
    pub fn max_forwards(&self) -> Option<u8> {
        number_u32(self.header(Name::MaxForwards)?)?.try_into().ok()
    }

    /// Expires, in seconds, saturating.
    pub fn expires(&self) -> Option<u32> {
        number_u32(self.header(Name::Expires)?)
    }

    /// Content-Type without its parameters.
    pub fn content_type(&self) -> Option<&'a str> {
        let value = self.header(Name::ContentType)?;
        Some(trim(value.split(';').next()?)).filter(|value| !value.is_empty())
    }

    /// Whether the body is SDP.
    pub fn has_sdp(&self) -> bool {
        !self.body().is_empty()
            && self
                .content_type()
                .is_some_and(|content_type| content_type.eq_ignore_ascii_case("application/sdp"))
    }

    /// Content-Length.
    pub fn content_length(&self) -> Option<u32> {
        number_u32(self.header(Name::ContentLength)?)
    }

    /// The Route set, malformed values as `None`.
    pub fn routes(&self) -> impl Iterator<Item = Option<NameAddr<'a>>> + '_ {
        self.addresses(Name::Route)
    }

    /// The Record-Route set, malformed values as `None`.
    pub fn record_routes(&self) -> impl Iterator<Item = Option<NameAddr<'a>>> + '_ {
        self.addresses(Name::RecordRoute)
    }

    /// The Digest credentials in Authorization or Proxy-Authorization, one for each realm.
    pub fn credentials(&self, name: Name) -> impl Iterator<Item = Credential<'a>> + '_ {
        self.header_lines(name).filter_map(Credential::parse)
    }

    /// The challenges in WWW-Authenticate or Proxy-Authenticate, one for each line (RFC 3261 §20.44 has no more).
    pub fn challenges(&self, name: Name) -> impl Iterator<Item = Challenge<'a>> + '_ {
        self.credentials(name)
    }

    /// The tokens of a header: Require, Supported, Unsupported, Allow…
    pub fn tokens(&self, name: Name) -> Tokens<'a> {
        self.headers(name)
            .filter(|token| !token.is_empty())
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Whether a header has that token, in any case.
    pub fn has_token(&self, name: Name, token: &str) -> bool {
        self.headers(name)
            .any(|value| value.eq_ignore_ascii_case(token))
    }

    /// The first P-Asserted-Identity (RFC 3325). Only to be believed from a peer that is trusted.
    pub fn p_asserted_identity(&self) -> Option<NameAddr<'a>> {
        self.addresses(Name::PAssertedIdentity).next()?
    }

    /// The Identity values as they came: a token with its parameters each (RFC 8224 §4). Whatever a peer
    /// wrote there.
    pub fn identities(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.headers(Name::Identity)
            .filter(|value| !value.is_empty())
    }

    /// The Reason values.
    pub fn reasons(&self) -> impl Iterator<Item = ReasonHeader<'a>> + '_ {
        self.headers(Name::Reason).filter_map(|value| {
            let end = value.find(';').unwrap_or(value.len());
            let protocol = trim(&value[..end]);
            let params = Params::parse(&value[end..])?;
            is_token(protocol).then_some(ReasonHeader {
                protocol,
                cause: params.value("cause").and_then(|cause| cause.parse().ok()),
                text: params.value("text"),
            })
        })
    }

    /// The Q.850 cause in Reason, where it is one (1 to 127).
    pub fn q850(&self) -> Option<u8> {
        self.reasons()
            .find(|reason| reason.protocol.eq_ignore_ascii_case("Q.850"))
            .and_then(|reason| u8::try_from(reason.cause?).ok())
            .filter(|cause| (1..=127).contains(cause))
    }

    /// Retry-After, in seconds, saturating.
    pub fn retry_after(&self) -> Option<u32> {
        leading_number(self.header(Name::RetryAfter)?)
    }

    /// Session-Expires: seconds, and the refresher where it is named (RFC 4028 §4).
    pub fn session_expires(&self) -> Option<(u32, Option<&'a str>)> {
        let value = self.header(Name::SessionExpires)?;
        let end = value.find(';').unwrap_or(value.len());
        Some((
            leading_number(value)?,
            Params::parse(&value[end..])?.value("refresher"),
        ))
    }

    /// Min-SE, in seconds.
    pub fn min_se(&self) -> Option<u32> {
        leading_number(self.header(Name::MinSe)?)
    }

    /// RSeq (RFC 3262 §7.1).
    pub fn rseq(&self) -> Option<u32> {
        number_u32(self.header(Name::RSeq)?)
    }

    /// RAck.
    pub fn rack(&self) -> Option<RAck> {
        let mut parts = self.header(Name::RAck)?.split_ascii_whitespace();
        let rack = RAck {
            rseq: number_u32(parts.next()?)?,
            cseq: number_u32(parts.next()?)?,
            method: Method::parse(parts.next()?),
        };
        parts.next().is_none().then_some(rack)
    }

    /// Refer-To (RFC 3515).
    pub fn refer_to(&self) -> Option<NameAddr<'a>> {
        NameAddr::parse(self.header(Name::ReferTo)?)
    }
}
