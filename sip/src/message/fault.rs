//! What can be wrong with a message: so wrong that nothing can be answered, or wrong in a way that has an answer.

use super::Name;

/// The bytes are no SIP message that could be answered. A datagram is dropped, a stream closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No bytes, or line ends only (a keep-alive, RFC 5626 §3.5.1).
    #[error("the message is empty")]
    Empty,
    /// More than [`super::MESSAGE_BYTES_MAX`].
    #[error("the message has more than 64 KiB")]
    TooLong,
    /// Neither a request line nor a status line.
    #[error("the first line is neither a request line nor a status line")]
    StartLine,
    /// A status outside 100 to 699, or not of three digits.
    #[error("the status is not a number from 100 to 699")]
    Status,
    /// More than [`super::HEADERS_MAX`] header lines.
    #[error("the message has more than 128 header lines")]
    TooManyHeaders,
}

/// What is wrong with a message that could be read well enough to be answered. A request is answered with
/// [`Fault::status`]; a response, and an ACK, is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request line is not `method SP uri SP version` with single spaces.
    RequestLine,
    /// The Request-URI is malformed, in `<>`, or carries headers.
    RequestUri,
    /// The Request-URI is of a scheme that is neither sip, sips nor tel.
    Scheme,
    /// Not SIP/2.0.
    Version,
    /// A header line without a colon or with a malformed name, or a line of more than [`super::LINE_BYTES_MAX`].
    HeaderLine,
    /// A line that ends in LF alone, or a control character outside a quoted pair.
    ControlCharacter,
    /// The head is not UTF-8.
    NotUtf8,
    /// The head does not end with an empty line.
    Truncated,
    /// A mandatory header is missing.
    Missing(Name),
    /// A header that occurs once at most occurs more than once.
    Repeated(Name),
    /// A header that cannot be understood, or whose number is too great.
    Malformed(Name),
    /// The method of CSeq is not the method of the request.
    MethodMismatch,
    /// Content-Length says more than there is.
    BodyTruncated,
    /// More than [`super::VIAS_MAX`] Via values.
    TooManyVias,
}

impl Fault {
    /// The status to answer with.
    pub fn status(self) -> u16 {
        match self {
            Fault::Scheme => 416,
            Fault::Version => 505,
            Fault::TooManyVias => 482,
            Fault::RequestLine
            | Fault::RequestUri
            | Fault::HeaderLine
            | Fault::ControlCharacter
            | Fault::NotUtf8
            | Fault::Truncated
            | Fault::Missing(_)
            | Fault::Repeated(_)
            | Fault::Malformed(_)
            | Fault::MethodMismatch
            | Fault::BodyTruncated => 400,
        }
    }

    /// The reason phrase to answer with: says what is wrong, as RFC 3261 §21.4.1 wants of a 400.
    pub fn reason(self) -> &'static str {
        match self {
            Fault::RequestLine => "Malformed Request-Line",
            Fault::RequestUri => "Malformed Request-URI",
            Fault::Scheme => "Unsupported URI Scheme",
            Fault::Version => "Version Not Supported",
            Fault::HeaderLine => "Malformed Header Line",
            Fault::ControlCharacter => "Control Character In Header",
            Fault::NotUtf8 => "Header Is Not UTF-8",
            Fault::Truncated => "Header Block Not Terminated",
            Fault::Missing(Name::Via) => "Missing Via",
            Fault::Missing(Name::From) => "Missing From",
            Fault::Missing(Name::To) => "Missing To",
            Fault::Missing(Name::CallId) => "Missing Call-ID",
            Fault::Missing(Name::CSeq) => "Missing CSeq",
            Fault::Missing(Name::Contact) => "Missing Contact",
            Fault::Missing(_) => "Missing Header",
            Fault::Repeated(Name::ContentLength) => "Repeated Content-Length",
            Fault::Repeated(Name::CSeq) => "Repeated CSeq",
            Fault::Repeated(_) => "Repeated Header",
            Fault::Malformed(Name::Via) => "Malformed Via",
            Fault::Malformed(Name::From) => "Malformed From",
            Fault::Malformed(Name::To) => "Malformed To",
            Fault::Malformed(Name::CallId) => "Malformed Call-ID",
            Fault::Malformed(Name::CSeq) => "Malformed CSeq",
            Fault::Malformed(Name::Contact) => "Malformed Contact",
            Fault::Malformed(Name::MaxForwards) => "Malformed Max-Forwards",
            Fault::Malformed(Name::ContentLength) => "Malformed Content-Length",
            Fault::Malformed(_) => "Malformed Header",
            Fault::MethodMismatch => "CSeq Method Does Not Match",
            Fault::BodyTruncated => "Body Shorter Than Content-Length",
            Fault::TooManyVias => "Too Many Via Values",
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Missing(name) => write!(f, "missing {}", name.as_str()),
            Fault::Repeated(name) => write!(f, "repeated {}", name.as_str()),
            Fault::Malformed(name) => write!(f, "malformed {}", name.as_str()),
            fault => f.write_str(fault.reason()),
        }
    }
}

impl std::error::Error for Fault {}
