//! Session descriptions (RFC 8866), as much of them as a telephone call has.
//!
//! Reads what RFC 3264 needs of any description and passes over what it does not know; keeps nothing but slices of
//! the text. Line ends may be CR LF or LF alone, as RFC 8866 §5 asks of a parser.

use std::net::IpAddr;

/// Most media lines: more than any phone, conference or browser sends.
pub const MEDIA_MAX: usize = 32;

/// Most formats of one media line that are looked at: a payload type has seven bits, so no more are of use.
pub const FORMATS_MAX: usize = 128;

/// Longest line, in bytes. As for a SIP header.
pub const LINE_BYTES_MAX: usize = 8 * 1024;

/// Where media goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection<'a> {
    /// An address; of a multicast address without its TTL.
    Ip(IpAddr),
    /// A name, which nobody looks up here.
    Name(&'a str),
}

/// Which way media flows, seen from who says it (RFC 3264 §5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// Only from who says it.
    SendOnly,
    /// Only to who says it.
    RecvOnly,
    /// Neither way.
    Inactive,
}

impl Direction {
    /// From whether it sends and whether it receives.
    pub const fn new(sends: bool, receives: bool) -> Direction {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// Whether who says it sends.
    pub const fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether who says it receives.
    pub const fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// The same, seen from the other end.
    pub const fn reversed(self) -> Direction {
        Direction::new(self.receives(), self.sends())
    }

    /// What both allow.
    pub const fn and(self, other: Direction) -> Direction {
        Direction::new(
            self.sends() && other.sends(),
            self.receives() && other.receives(),
        )
    }

    /// The attribute.
    pub const fn as_str(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    fn parse(attribute: &str) -> Option<Direction> {
        match attribute {
            "sendrecv" => Some(Direction::SendRecv),
            "sendonly" => Some(Direction::SendOnly),
            "recvonly" => Some(Direction::RecvOnly),
            "inactive" => Some(Direction::Inactive),
            _ => None,
        }
    }
}

/// What a payload type means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpMap<'a> {
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// The encoding; case does not matter.
    pub encoding: &'a str,
    /// The clock, in Hz.
    pub clock_hz: u32,
    /// The channels; 1 where it says nothing.
    pub channels: u8,
}

/// One media line with what belongs to it.
#[derive(Clone, Debug)]
pub struct Media<'a> {
    /// `audio`, `video`…
    pub kind: &'a str,
    /// The port; 0 refuses or disables it.
    pub port: u16,
    /// `RTP/AVP`…
    pub protocol: &'a str,
    /// The formats as they stand.
    pub formats: Vec<&'a str>,
    /// Its own address, where it has one.
    pub connection: Option<Connection<'a>>,
    /// Its direction, where it says one.
    pub direction: Option<Direction>,
    /// What payload types mean.
    pub rtpmaps: Vec<RtpMap<'a>>,
    /// Parameters of formats, by payload type.
    pub fmtps: Vec<(u8, &'a str)>,
    /// Milliseconds of sound in a packet, as is wished for.
    pub ptime_ms: Option<u32>,
    /// Where RTCP goes (RFC 3605), where that is not the port above.
    pub rtcp: Option<(u16, Option<Connection<'a>>)>,
    /// Whether RTCP may share the port (RFC 5761).
    pub rtcp_mux: bool,
}

/// A session description.
#[derive(Clone, Debug)]
pub struct Sdp<'a> {
    /// The id of the session in `o=`.
    pub session_id: &'a str,
    /// The version in `o=`; grows with each change.
    pub version: &'a str,
    /// The address of all media that have none of their own.
    pub connection: Option<Connection<'a>>,
    /// `t=`.
    pub timing: &'a str,
    /// The direction of all media that say none.
    pub direction: Option<Direction>,
    /// The media lines in their order.
    pub media: Vec<Media<'a>>,
}

/// What is wrong, and in which line (from 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct SdpError {
    /// The line.
    pub line: usize,
    /// What is wrong there.
    pub what: SdpFault,
}

/// What can be wrong with a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpFault {
    /// It does not begin with `v=0`.
    #[error("a description begins with v=0")]
    Version,
    /// The line is not `letter=value`, is too long or is not text.
    #[error("not a line of a description")]
    Line,
    /// `o=` is missing or has not six parts.
    #[error("o= is missing or broken")]
    Origin,
    /// `c=` or `a=rtcp` is broken.
    #[error("a broken address")]
    Connection,
    /// `m=` is broken.
    #[error("a broken media line")]
    Media,
    /// More than [`MEDIA_MAX`] media lines.
    #[error("too many media lines")]
    TooManyMedia,
}

impl<'a> Sdp<'a> {
    /// Reads a description.
    pub fn parse(bytes: &'a [u8]) -> Result<Sdp<'a>, SdpError> {
        let mut sdp = Sdp {
            session_id: "",
            version: "",
            connection: None,
            timing: "0 0",
            direction: None,
            media: Vec::new(),
        };
        let (mut has_version, mut has_origin, mut last) = (false, false, 0);
        for (i, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            last = i + 1;
            let fail = |what| SdpError { line: i + 1, what };
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            if line.len() > LINE_BYTES_MAX || line.contains(&0) || line.get(1) != Some(&b'=') {
                return Err(fail(SdpFault::Line));
            }
            let letter = line[0];
            if !has_version && (letter != b'v' || line != b"v=0") {
                return Err(fail(SdpFault::Version));
            }
            // A subject may be in any character set, so only what is used has to be text.
            if !matches!(letter, b'v' | b'o' | b'c' | b't' | b'm' | b'a') {
                continue;
            }
            let value = std::str::from_utf8(&line[2..]).map_err(|_| fail(SdpFault::Line))?;
            match letter {
                b'v' => has_version = true,
                b'o' => {
                    let parts: Vec<&str> = value.split_ascii_whitespace().collect();
                    let [_, session_id, version, "IN", _, _] = parts[..] else {
                        return Err(fail(SdpFault::Origin));
                    };
                    has_origin = true;
                    (sdp.session_id, sdp.version) = (session_id, version);
                }
                b'c' => {
                    let connection = connection(value).ok_or(fail(SdpFault::Connection))?;
                    match sdp.media.last_mut() {
                        Some(media) => media.connection = Some(connection),
                        None => sdp.connection = Some(connection),
                    }
                }
                b't' => sdp.timing = value,
                b'm' => {
                    if sdp.media.len() == MEDIA_MAX {
                        return Err(fail(SdpFault::TooManyMedia));
                    }
                    sdp.media
                        .push(Media::parse(value).ok_or(fail(SdpFault::Media))?);
                }
                _ => match sdp.media.last_mut() {
                    Some(media) => media.attribute(value).map_err(fail)?,
                    None => sdp.direction = Direction::parse(value).or(sdp.direction),
                },
            }
        }
        if !has_version {
            return Err(SdpError {
                line: last,
                what: SdpFault::Version,
            });
        }
        if !has_origin {
            return Err(SdpError {
                line: last,
                what: SdpFault::Origin,
            });
        }
        Ok(sdp)
    }

    /// The address of a media line: its own, or the session's.
    pub fn connection_of(&self, media: &Media<'a>) -> Option<Connection<'a>> {
        media.connection.or(self.connection)
    }

    /// The direction of a media line: its own, or the session's, or both ways.
    pub fn direction_of(&self, media: &Media<'a>) -> Direction {
        media.direction.or(self.direction).unwrap_or_default()
    }
}

impl<'a> Media<'a> {
    fn parse(value: &'a str) -> Option<Media<'a>> {
        let mut parts = value.split_ascii_whitespace();
        let kind = parts.next()?;
        let port = parts.next()?;
        // `49170/2` is a range of ports; the first is meant.
        let port = decimal(port.split('/').next()?).and_then(|port| u16::try_from(port).ok())?;
        let protocol = parts.next()?;
        let formats: Vec<&str> = parts.take(FORMATS_MAX).collect();
        if formats.is_empty() {
            return None;
        }
        Some(Media {
            kind,
            port,
            protocol,
            formats,
            connection: None,
            direction: None,
            rtpmaps: Vec::new(),
            fmtps: Vec::new(),
            ptime_ms: None,
            rtcp: None,
            rtcp_mux: false,
        })
    }

    fn attribute(&mut self, text: &'a str) -> Result<(), SdpFault> {
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        match name {
            // An attribute about a payload type that cannot be understood makes that payload type unknown, not
            // the call impossible.
            "rtpmap" if self.rtpmaps.len() < FORMATS_MAX => self.rtpmaps.extend(rtpmap(value)),
            "fmtp" if self.fmtps.len() < FORMATS_MAX => {
                if let Some((format, parameters)) = value.trim().split_once(' ')
                    && let Some(payload_type) = payload_type(format)
                {
                    self.fmtps.push((payload_type, parameters.trim()));
                }
            }
            // Some write `20.0`.
            "ptime" => self.ptime_ms = value.trim().split('.').next().and_then(decimal),
            "rtcp" => {
                let (port, rest) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
                let port = decimal(port)
                    .and_then(|port| u16::try_from(port).ok())
                    .ok_or(SdpFault::Connection)?;
                let address = match rest.trim() {
                    "" => None,
                    rest => Some(connection(rest).ok_or(SdpFault::Connection)?),
                };
                self.rtcp = Some((port, address));
            }
            "rtcp-mux" => self.rtcp_mux = true,
            name => self.direction = Direction::parse(name).or(self.direction),
        }
        Ok(())
    }

    /// What a format of this line means: as its rtpmap says, or as RFC 3551 fixed it for G.711.
    pub fn codec_of(&self, format: &str) -> Option<RtpMap<'a>> {
        let payload_type = payload_type(format)?;
        let fixed = |encoding| RtpMap {
            payload_type,
            encoding,
            clock_hz: 8000,
            channels: 1,
        };
        self.rtpmaps
            .iter()
            .find(|map| map.payload_type == payload_type)
            .copied()
            .or(match payload_type {
                0 => Some(fixed("PCMU")),
                8 => Some(fixed("PCMA")),
                _ => None,
            })
    }
}

/// Digits only, and not too many.
fn decimal(text: &str) -> Option<u32> {
    text.parse()
        .ok()
        .filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn payload_type(text: &str) -> Option<u8> {
    decimal(text)
        .and_then(|n| u8::try_from(n).ok())
        .filter(|n| *n < 128)
}

/// `IN IP4 192.0.2.1/127`
fn connection(value: &str) -> Option<Connection<'_>> {
    let mut parts = value.split_ascii_whitespace();
    if !parts.next()?.eq_ignore_ascii_case("IN") {
        return None;
    }
    let family = parts.next()?;
    let address = parts.next()?.split('/').next()?;
    if parts.next().is_some() || address.is_empty() {
        return None;
    }
    match address.parse::<IpAddr>() {
        Ok(ip) if family == if ip.is_ipv4() { "IP4" } else { "IP6" } => Some(Connection::Ip(ip)),
        Ok(_) => None,
        Err(_) if matches!(family, "IP4" | "IP6") => Some(Connection::Name(address)),
        Err(_) => None,
    }
}

/// `101 telephone-event/8000`
fn rtpmap(value: &str) -> Option<RtpMap<'_>> {
    let (format, map) = value.trim().split_once(' ')?;
    let mut parts = map.trim().split('/');
    Some(RtpMap {
        payload_type: payload_type(format)?,
        encoding: parts.next()?,
        clock_hz: decimal(parts.next()?)?,
        channels: match parts.next() {
            None => 1,
            Some(channels) => decimal(channels).and_then(|n| u8::try_from(n).ok())?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_lines_own_address_and_direction_come_before_the_sessions() {
        let text = b"v=0\no=- 1 2 IN IP4 h\ns=\xff\nc=IN IP4 192.0.2.1\nt=0 0\na=sendonly\nm=audio 4000 RTP/AVP 0 96\n\
            a=rtpmap:96 telephone-event/8000\na=fmtp:96 0-15\na=ptime:20\na=rtcp:4010 IN IP6 ::1\n\
            m=video 6/2 RTP/AVP 31\nc=IN IP6 2001:db8::1\na=inactive\n";
        let sdp = Sdp::parse(text).expect("valid");
        let [audio, video] = &sdp.media[..] else {
            panic!("two media lines")
        };
        assert_eq!(
            sdp.connection_of(audio),
            Some(Connection::Ip([192, 0, 2, 1].into()))
        );
        assert_eq!(sdp.direction_of(audio), Direction::SendOnly);
        assert_eq!(
            audio.codec_of("96").map(|map| map.encoding),
            Some("telephone-event")
        );
        assert_eq!(audio.codec_of("0").map(|map| map.encoding), Some("PCMU"));
        assert_eq!(
            (
                audio.ptime_ms,
                audio.fmtps[0],
                audio.rtcp.map(|rtcp| rtcp.0)
            ),
            (Some(20), (96, "0-15"), Some(4010))
        );
        assert_eq!(
            (video.port, sdp.direction_of(video)),
            (6, Direction::Inactive)
        );
        assert_eq!(
            sdp.connection_of(video),
            Some(Connection::Ip("2001:db8::1".parse().expect("an address")))
        );
    }

    #[test]
    fn a_broken_description_says_which_line_is_broken() {
        let head = "v=0\r\no=- 1 1 IN IP4 h\r\n";
        for (rest, line, what) in [
            ("c=IN IP4 ::1\r\n", 3, SdpFault::Connection),
            ("c=IN IP9 x\r\n", 3, SdpFault::Connection),
            ("s=-\r\nm=audio\r\n", 4, SdpFault::Media),
            ("m=audio 70000 RTP/AVP 0\r\n", 3, SdpFault::Media),
            ("m=audio +5 RTP/AVP 0\r\n", 3, SdpFault::Media),
            ("m=audio 5 RTP/AVP\r\n", 3, SdpFault::Media),
            ("nonsense\r\n", 3, SdpFault::Line),
            ("s=a\0b\r\n", 3, SdpFault::Line),
            (
                "m=audio 1 RTP/AVP 0\r\na=rtcp:x\r\n",
                4,
                SdpFault::Connection,
            ),
        ] {
            let text = format!("{head}{rest}");
            assert_eq!(
                Sdp::parse(text.as_bytes()).err(),
                Some(SdpError { line, what }),
                "{rest:?}"
            );
        }
        let many = format!("{head}{}", "m=audio 1 RTP/AVP 0\r\n".repeat(MEDIA_MAX + 1));
        assert_eq!(
            Sdp::parse(many.as_bytes()).err().map(|e| e.what),
            Some(SdpFault::TooManyMedia)
        );
        assert_eq!(
            Sdp::parse(b"").err().map(|e| e.what),
            Some(SdpFault::Version)
        );
        assert_eq!(
            Sdp::parse(b"v=0\r\n").err().map(|e| e.what),
            Some(SdpFault::Origin)
        );
    }
}
