//! The names of headers and methods that this stack knows, and the usual reason phrases.

macro_rules! names {
    ($($variant:ident $text:literal $($compact:literal)?),* $(,)?) => {
        /// A header name this stack knows. Case does not matter and compact forms are equal (RFC 3261 §7.3.3).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "each is the header of that name")]
        #[repr(u8)]
        pub enum Name { $($variant),* }

        const ALL: &[Name] = &[$(Name::$variant),*];

        impl Name {
            /// The name as it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Name::$variant => $text),* }
            }

            const fn compact(byte: u8) -> Option<Name> {
                match byte.to_ascii_lowercase() {
                    $($($compact => Some(Name::$variant),)?)*
                    _ => None,
                }
            }
        }
    };
}

names! {
    Via "Via" b'v',
    From "From" b'f',
    To "To" b't',
    CallId "Call-ID" b'i',
    CSeq "CSeq",
    Contact "Contact" b'm',
    MaxForwards "Max-Forwards",
    Route "Route",
    RecordRoute "Record-Route",
    ContentType "Content-Type" b'c',
    ContentLength "Content-Length" b'l',
    ContentEncoding "Content-Encoding" b'e',
    ContentDisposition "Content-Disposition",
    ContentLanguage "Content-Language",
    Expires "Expires",
    MinExpires "Min-Expires",
    Authorization "Authorization",
    WwwAuthenticate "WWW-Authenticate",
    ProxyAuthorization "Proxy-Authorization",
    ProxyAuthenticate "Proxy-Authenticate",
    AuthenticationInfo "Authentication-Info",
    Require "Require",
    ProxyRequire "Proxy-Require",
    Supported "Supported" b'k',
    Unsupported "Unsupported",
    Allow "Allow",
    AllowEvents "Allow-Events" b'u',
    Accept "Accept",
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    AcceptContact "Accept-Contact" b'a',
    RejectContact "Reject-Contact" b'j',
    RequestDisposition "Request-Disposition" b'd',
    Subject "Subject" b's',
    UserAgent "User-Agent",
    Server "Server",
    Date "Date",
    Timestamp "Timestamp",
    RetryAfter "Retry-After",
    Warning "Warning",
    Reason "Reason",
    ReferTo "Refer-To" b'r',
    ReferredBy "Referred-By" b'b',
    ReferSub "Refer-Sub",
    Replaces "Replaces",
    Join "Join",
    TargetDialog "Target-Dialog",
    Event "Event" b'o',
    SubscriptionState "Subscription-State",
    RAck "RAck",
    RSeq "RSeq",
    SessionExpires "Session-Expires" b'x',
    MinSe "Min-SE",
    PAssertedIdentity "P-Asserted-Identity",
    PPreferredIdentity "P-Preferred-Identity",
    PEarlyMedia "P-Early-Media",
    Privacy "Privacy",
    Diversion "Diversion",
    HistoryInfo "History-Info",
    Identity "Identity" b'y',
    IdentityInfo "Identity-Info" b'n',
    Path "Path",
    ServiceRoute "Service-Route",
    Organization "Organization",
    Priority "Priority",
    InReplyTo "In-Reply-To",
    ReplyTo "Reply-To",
    ErrorInfo "Error-Info",
    AlertInfo "Alert-Info",
    CallInfo "Call-Info",
    MimeVersion "MIME-Version",
    UserToUser "User-to-User",
    SipIfMatch "SIP-If-Match",
    SipETag "SIP-ETag",
}

/// How many names there are.
pub(super) const NAMES: usize = ALL.len();

const LENGTHS: usize = 32;
const NONE: u8 = u8::MAX;

/// Names chained by their length, most frequent first: the first of each length, and each one's successor.
const CHAINS: ([u8; LENGTHS], [u8; NAMES]) = {
    let mut first = [NONE; LENGTHS];
    let mut next = [NONE; NAMES];
    let mut i = NAMES;
    while i > 0 {
        i -= 1;
        let len = ALL[i].as_str().len();
        next[i] = first[len];
        first[len] = i as u8;
    }
    (first, next)
};

impl Name {
    /// The known name that these bytes spell, in any case, long or compact.
    pub fn parse(bytes: &[u8]) -> Option<Name> {
        if let [byte] = bytes {
            return Name::compact(*byte);
        }
        let mut at = *CHAINS.0.get(bytes.len())?;
        while at != NONE {
            let name = ALL[at as usize];
            if name.as_str().as_bytes().eq_ignore_ascii_case(bytes) {
                return Some(name);
            }
            at = CHAINS.1[at as usize];
        }
        None
    }

    /// Whether a message has at most one value of it (RFC 3261 §7.3.1, §20).
    pub const fn is_single(self) -> bool {
        matches!(
            self,
            Name::From
                | Name::To
                | Name::CallId
                | Name::CSeq
                | Name::MaxForwards
                | Name::ContentType
                | Name::ContentLength
                | Name::ContentDisposition
                | Name::Expires
                | Name::MinExpires
                | Name::Date
                | Name::Timestamp
                | Name::RetryAfter
                | Name::Subject
                | Name::ReferTo
                | Name::ReferredBy
                | Name::Replaces
                | Name::Event
                | Name::SubscriptionState
                | Name::RAck
                | Name::RSeq
                | Name::SessionExpires
                | Name::MinSe
                | Name::MimeVersion
        )
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident $text:literal),* $(,)?) => {
        /// A method. Case matters (RFC 3261 §7.1).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Method {
            $($(#[$doc])* $variant,)*
            /// One this stack does not know; its text is `Message::method_text`.
            Other,
        }

        impl Method {
            /// The method as it is written; `None` for `Other`.
            pub const fn as_str(self) -> Option<&'static str> {
                match self { $(Method::$variant => Some($text),)* Method::Other => None }
            }

            /// The method these bytes spell.
            pub fn parse(text: &str) -> Method {
                match text { $($text => Method::$variant,)* _ => Method::Other }
            }
        }
    };
}

methods! {
    /// RFC 3261 §13.
    Invite "INVITE",
    /// RFC 3261 §13.2.2.4.
    Ack "ACK",
    /// RFC 3261 §15.
    Bye "BYE",
    /// RFC 3261 §9.
    Cancel "CANCEL",
    /// RFC 3261 §11.
    Options "OPTIONS",
    /// RFC 3261 §10.
    Register "REGISTER",
    /// RFC 3262.
    Prack "PRACK",
    /// RFC 3311.
    Update "UPDATE",
    /// RFC 3515.
    Refer "REFER",
    /// RFC 6665.
    Subscribe "SUBSCRIBE",
    /// RFC 6665.
    Notify "NOTIFY",
    /// RFC 6086.
    Info "INFO",
    /// RFC 3428.
    Message "MESSAGE",
    /// RFC 3903.
    Publish "PUBLISH",
}

/// The usual reason phrase of a status (RFC 3261 §21 and later RFCs); of its class where it has none of its own.
#[allow(
    clippy::match_overlapping_arm,
    reason = "a class stands behind its members"
)]
pub const fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        493 => "Undecipherable",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        100..=199 => "Session Progress",
        200..=299 => "OK",
        300..=399 => "Redirected",
        400..=499 => "Request Failed",
        500..=599 => "Server Failed",
        _ => "Declined",
    }
}
