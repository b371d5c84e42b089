//! Offer and answer (RFC 3264) for one stream of G.711 sound with telephone events (RFC 4733).
//!
//! Pure functions: what we can do and what the other end says go in; a description and what was agreed come out. Other
//! media and further sound are refused line by line with port 0, so that the call comes about without them.

use crate::sdp::{Connection, Direction, Media, RtpMap, Sdp, SdpError};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

/// Milliseconds of sound in a packet where nobody says otherwise (RFC 3551 §4.5).
pub const PTIME_MS: u16 = 20;

/// The payload type of telephone events in offers of ours: the one that most peers use.
pub const TELEPHONE_EVENT: u8 = 101;

/// How sound is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Codec {
    /// The payload type that RFC 3551 fixed.
    pub const fn payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        }
    }

    /// Its encoding name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
        }
    }

    fn of(map: &RtpMap<'_>) -> Option<Codec> {
        let named = |codec: &Codec| map.encoding.eq_ignore_ascii_case(codec.as_str());
        [Codec::Pcmu, Codec::Pcma]
            .into_iter()
            .find(named)
            .filter(|_| map.clock_hz == 8000 && map.channels == 1)
    }
}

/// Our end of a session.
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    /// Where we receive RTP; RTCP on the port after it.
    pub addr: SocketAddr,
    /// The id of the session: the same as long as the leg lives.
    pub session_id: u64,
    /// The version of the description: one more with every change (RFC 3264 §8).
    pub version: u64,
    /// What we can do, best first. An answer takes the first of the *offer* that is among them.
    pub codecs: &'a [Codec],
    /// What we want: `SendRecv`, or `SendOnly` or `Inactive` to hold the other end.
    pub direction: Direction,
}

/// What was agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Where RTP goes. Unspecified (`0.0.0.0`) while the other end holds us the old way: then nothing is sent.
    pub remote: SocketAddr,
    /// Where RTCP goes.
    pub remote_rtcp: SocketAddr,
    /// How sound is coded.
    pub codec: Codec,
    /// The payload type of sound that we send.
    pub payload_type: u8,
    /// The payload type of telephone events that we send, where the other end takes them.
    pub telephone_event: Option<u8>,
    /// Which way media flows, seen from us.
    pub direction: Direction,
    /// Milliseconds of sound in the packets that we send: 10 to 60.
    pub ptime_ms: u16,
    /// Whether the other end holds us: it does not want to hear.
    pub hold: bool,
}

/// Why nothing was agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The description cannot be read.
    #[error("the description cannot be read: {0}")]
    Malformed(#[from] SdpError),
    /// There is no sound over RTP/AVP in it, or it was refused.
    #[error("no sound over RTP/AVP")]
    NoAudio,
    /// There is no codec that both ends have.
    #[error("no codec in common")]
    NoCodec,
    /// The address is missing, a name, of another family than ours, or nobody's to receive at.
    #[error("no address that media can be sent to")]
    Address,
    /// The answer does not answer the offer line by line.
    #[error("the answer does not match the offer")]
    Mismatch,
}

impl Refused {
    /// The status to refuse an offer with.
    pub fn status(self) -> u16 {
        match self {
            Refused::Malformed(_) | Refused::Mismatch => 400,
            Refused::NoAudio | Refused::NoCodec | Refused::Address => 488,
        }
    }
}

/// An offer of ours.
///
/// ```
/// use sip::offer_answer::{Codec, Local, accept_answer, answer, offer};
/// let local = |addr: &str| Local {
///     addr: addr.parse().unwrap(),
///     session_id: 1,
///     version: 1,
///     codecs: &[Codec::Pcma, Codec::Pcmu],
///     direction: Default::default(),
/// };
/// let ours = offer(&local("192.0.2.1:4000"));
/// let (theirs, _) = answer(&ours, &local("192.0.2.2:5000")).unwrap();
/// let agreed = accept_answer(&ours, &theirs).unwrap();
/// assert_eq!((agreed.codec, agreed.remote.port()), (Codec::Pcma, 5000));
/// ```
pub fn offer(local: &Local<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(320);
    session_lines(&mut out, local, "0 0");
    let formats = local
        .codecs
        .iter()
        .map(|codec| (codec.payload_type(), *codec));
    audio_lines(
        &mut out,
        local.addr.port(),
        formats,
        Some(TELEPHONE_EVENT),
        local.direction,
        PTIME_MS,
    );
    out
}

/// Our answer to an offer, and what is agreed by it.
pub fn answer(offer: &[u8], local: &Local<'_>) -> Result<(Vec<u8>, Negotiated), Refused> {
    let sdp = Sdp::parse(offer)?;
    let mut refused = Refused::NoAudio;
    let mut chosen = None;
    for (i, media) in sdp.media.iter().enumerate() {
        if !is_sound(media) || media.port == 0 {
            continue;
        }
        match agree(&sdp, media, local.addr.ip(), local.codecs, local.direction) {
            Ok(negotiated) => {
                chosen = Some((i, negotiated));
                break;
            }
            Err(why) => refused = why,
        }
    }
    let (index, negotiated) = chosen.ok_or(refused)?;
    let mut out = Vec::with_capacity(320);
    let timing_is_plain = sdp
        .timing
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b' ');
    // An answer repeats the offer's timing (RFC 3264 §6).
    session_lines(
        &mut out,
        local,
        if timing_is_plain { sdp.timing } else { "0 0" },
    );
    for (i, media) in sdp.media.iter().enumerate() {
        if i == index {
            let sound = std::iter::once((negotiated.payload_type, negotiated.codec));
            let Negotiated {
                telephone_event,
                direction,
                ptime_ms,
                ..
            } = negotiated;
            audio_lines(
                &mut out,
                local.addr.port(),
                sound,
                telephone_event,
                direction,
                ptime_ms,
            );
        } else {
            line(
                &mut out,
                format_args!("m={} 0 {} {}", media.kind, media.protocol, media.formats[0]),
            );
        }
    }
    Ok((out, negotiated))
}

/// What is agreed when `answer` answers our `offer`.
pub fn accept_answer(offer: &[u8], answer: &[u8]) -> Result<Negotiated, Refused> {
    let ours = Sdp::parse(offer)?;
    let theirs = Sdp::parse(answer)?;
    let (Some(mine), Some(media)) = (ours.media.first(), theirs.media.first()) else {
        return Err(Refused::Mismatch);
    };
    if ours.media.len() != theirs.media.len() {
        return Err(Refused::Mismatch);
    }
    if !is_sound(media) || media.port == 0 {
        return Err(Refused::NoAudio);
    }
    let Some(Connection::Ip(local_ip)) = ours.connection_of(mine) else {
        return Err(Refused::Address);
    };
    let offered: Vec<Codec> = codecs(mine).map(|(_, codec)| codec).collect();
    let mut negotiated = agree(&theirs, media, local_ip, &offered, ours.direction_of(mine))?;
    if !mine
        .formats
        .iter()
        .any(|format| is_telephone_event(mine, format))
    {
        negotiated.telephone_event = None;
    }
    Ok(negotiated)
}

fn is_sound(media: &Media<'_>) -> bool {
    media.kind == "audio" && media.protocol == "RTP/AVP"
}

fn codecs<'m>(media: &'m Media<'_>) -> impl Iterator<Item = (u8, Codec)> + 'm {
    media.formats.iter().filter_map(|format| {
        let map = media.codec_of(format)?;
        Some((map.payload_type, Codec::of(&map)?))
    })
}

fn is_telephone_event(media: &Media<'_>, format: &str) -> bool {
    media.codec_of(format).is_some_and(|map| {
        map.encoding.eq_ignore_ascii_case("telephone-event") && map.clock_hz == 8000
    })
}

/// What their media line and our abilities come to.
fn agree(
    sdp: &Sdp<'_>,
    media: &Media<'_>,
    local_ip: IpAddr,
    ours: &[Codec],
    wanted: Direction,
) -> Result<Negotiated, Refused> {
    let (payload_type, codec) = codecs(media)
        .find(|(_, codec)| ours.contains(codec))
        .ok_or(Refused::NoCodec)?;
    let ip = match sdp.connection_of(media) {
        Some(Connection::Ip(ip)) => ip,
        Some(Connection::Name(_)) | None => return Err(Refused::Address),
    };
    let is_nobody = match ip {
        IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_multicast(),
    };
    if is_nobody || ip.is_ipv4() != local_ip.is_ipv4() {
        return Err(Refused::Address);
    }
    let said = sdp.direction_of(media);
    // RFC 3264 §8.4: an address of 0.0.0.0 is how hold was said before there was a direction.
    let theirs = Direction::new(said.sends(), said.receives() && !ip.is_unspecified());
    let remote = SocketAddr::new(ip, media.port);
    let remote_rtcp = match media.rtcp {
        Some((port, Some(Connection::Ip(rtcp_ip)))) if rtcp_ip.is_ipv4() == ip.is_ipv4() => {
            SocketAddr::new(rtcp_ip, port)
        }
        Some((port, _)) => SocketAddr::new(ip, port),
        None => SocketAddr::new(ip, media.port.saturating_add(1)),
    };
    let telephone_event = media
        .formats
        .iter()
        .find(|format| is_telephone_event(media, format))
        .and_then(|format| Some(media.codec_of(format)?.payload_type));
    let ptime_ms = media.ptime_ms.and_then(|ms| u16::try_from(ms).ok());
    Ok(Negotiated {
        remote,
        remote_rtcp,
        codec,
        payload_type,
        telephone_event,
        direction: wanted.and(theirs.reversed()),
        ptime_ms: ptime_ms
            .filter(|ms| (10..=60).contains(ms) && ms % 10 == 0)
            .unwrap_or(PTIME_MS),
        hold: !theirs.receives(),
    })
}

fn line(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a buffer takes all");
    out.extend_from_slice(b"\r\n");
}

fn session_lines(out: &mut Vec<u8>, local: &Local<'_>, timing: &str) {
    let ip = local.addr.ip();
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    line(out, format_args!("v=0"));
    line(
        out,
        format_args!(
            "o=- {} {} IN {family} {ip}",
            local.session_id, local.version
        ),
    );
    line(out, format_args!("s=-"));
    line(out, format_args!("c=IN {family} {ip}"));
    line(out, format_args!("t={timing}"));
}

fn audio_lines(
    out: &mut Vec<u8>,
    port: u16,
    sound: impl Iterator<Item = (u8, Codec)> + Clone,
    telephone_event: Option<u8>,
    direction: Direction,
    ptime_ms: u16,
) {
    out.write_fmt(format_args!("m=audio {port} RTP/AVP"))
        .expect("a buffer takes all");
    for payload_type in sound
        .clone()
        .map(|(payload_type, _)| payload_type)
        .chain(telephone_event)
    {
        out.write_fmt(format_args!(" {payload_type}"))
            .expect("a buffer takes all");
    }
    out.extend_from_slice(b"\r\n");
    for (payload_type, codec) in sound {
        line(
            out,
            format_args!("a=rtpmap:{payload_type} {}/8000", codec.as_str()),
        );
    }
    if let Some(payload_type) = telephone_event {
        line(
            out,
            format_args!("a=rtpmap:{payload_type} telephone-event/8000"),
        );
        line(out, format_args!("a=fmtp:{payload_type} 0-15"));
    }
    line(out, format_args!("a=ptime:{ptime_ms}"));
    line(out, format_args!("a={}", direction.as_str()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(direction: Direction) -> Local<'static> {
        Local {
            addr: SocketAddr::from(([192, 0, 2, 1], 4000)),
            session_id: 7,
            version: 2,
            codecs: &[Codec::Pcmu, Codec::Pcma],
            direction,
        }
    }

    fn theirs(address: &str, rest: &str) -> Vec<u8> {
        format!("v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN {address}\r\nt=5 6\r\n{rest}").into_bytes()
    }

    const IP4: &str = "IP4 192.0.2.9";

    #[test]
    fn the_first_codec_of_the_offer_that_we_have_is_taken() {
        let offer = theirs(
            IP4,
            "m=audio 5000 RTP/AVP 18 8 0 97\r\na=rtpmap:97 TELEPHONE-event/8000\r\na=ptime:30\r\na=rtcp:5009\r\n",
        );
        let (answer, agreed) = answer(&offer, &local(Direction::SendRecv)).expect("agreed");
        assert_eq!(
            (agreed.codec, agreed.payload_type, agreed.telephone_event),
            (Codec::Pcma, 8, Some(97))
        );
        assert_eq!(
            (agreed.remote.to_string(), agreed.remote_rtcp.port()),
            ("192.0.2.9:5000".into(), 5009)
        );
        assert_eq!(
            (agreed.ptime_ms, agreed.hold, agreed.direction),
            (30, false, Direction::SendRecv)
        );
        let text = String::from_utf8(answer).expect("text");
        assert!(
            text.contains("m=audio 4000 RTP/AVP 8 97\r\n") && text.contains("t=5 6\r\n"),
            "{text}"
        );
    }

    #[test]
    fn an_answer_without_a_description_is_refused() {
        let offer = offer(&local(Direction::SendRecv));
        assert!(accept_answer(&offer, b"").is_err());
    }

    #[test]
    fn a_static_payload_type_means_what_its_rtpmap_says() {
        let offer = theirs(
            IP4,
            "m=audio 5000 RTP/AVP 0 96\r\na=rtpmap:0 OPUS/48000/2\r\na=rtpmap:96 pcma/8000\r\n",
        );
        let (_, agreed) = answer(&offer, &local(Direction::SendRecv)).expect("agreed");
        assert_eq!((agreed.codec, agreed.payload_type), (Codec::Pcma, 96));
    }

    #[test]
    fn other_media_are_refused_in_their_place_with_port_0() {
        let offer = theirs(
            IP4,
            "m=video 6000 RTP/AVP 31 32\r\nm=audio 7000 RTP/SAVP 0\r\nm=audio 5000 RTP/AVP 0\r\nm=audio 5002 RTP/AVP 0\r\n",
        );
        let (answer, agreed) = answer(&offer, &local(Direction::SendRecv)).expect("agreed");
        let sdp = Sdp::parse(&answer).expect("ours is valid");
        let lines: Vec<(&str, u16, &str)> = sdp
            .media
            .iter()
            .map(|m| (m.kind, m.port, m.protocol))
            .collect();
        assert_eq!(
            lines,
            [
                ("video", 0, "RTP/AVP"),
                ("audio", 0, "RTP/SAVP"),
                ("audio", 4000, "RTP/AVP"),
                ("audio", 0, "RTP/AVP")
            ]
        );
        assert_eq!(agreed.remote.port(), 5000);
    }

    #[test]
    fn a_held_session_is_answered_recvonly_and_a_resumed_one_sendrecv() {
        for (address, attribute, direction, hold) in [
            (IP4, "a=sendonly\r\n", Direction::RecvOnly, true),
            (IP4, "a=inactive\r\n", Direction::Inactive, true),
            ("IP4 0.0.0.0", "", Direction::RecvOnly, true),
            ("IP4 0.0.0.0", "a=inactive\r\n", Direction::Inactive, true),
            (IP4, "a=recvonly\r\n", Direction::SendOnly, false),
            (IP4, "a=sendrecv\r\n", Direction::SendRecv, false),
            (IP4, "", Direction::SendRecv, false),
        ] {
            let offer = theirs(address, &format!("m=audio 5000 RTP/AVP 0\r\n{attribute}"));
            let (answer, agreed) = answer(&offer, &local(Direction::SendRecv)).expect("agreed");
            assert_eq!(
                (agreed.direction, agreed.hold),
                (direction, hold),
                "{address} {attribute}"
            );
            let answer = Sdp::parse(&answer).expect("ours is valid");
            assert_eq!(answer.direction_of(&answer.media[0]), direction);
        }
    }

    #[test]
    fn who_is_held_by_us_answers_recvonly_and_does_not_hold_us() {
        let ours = offer(&local(Direction::SendOnly));
        let mut far = local(Direction::SendRecv);
        far.addr = SocketAddr::from(([192, 0, 2, 2], 6000));
        let (answer, at_far) = answer(&ours, &far).expect("agreed");
        assert!(at_far.hold);
        let agreed = accept_answer(&ours, &answer).expect("agreed");
        assert_eq!(
            (agreed.direction, agreed.hold, agreed.remote.port()),
            (Direction::SendOnly, false, 6000)
        );
        assert_eq!(agreed.telephone_event, Some(TELEPHONE_EVENT));
    }

    #[test]
    fn what_cannot_be_agreed_says_why() {
        let with = |offer: &[u8]| {
            answer(offer, &local(Direction::SendRecv))
                .map(|_| ())
                .expect_err("refused")
        };
        let audio = "m=audio 5000 RTP/AVP 0\r\n";
        assert_eq!(
            with(&theirs(IP4, "m=video 1 RTP/AVP 31\r\n")),
            Refused::NoAudio
        );
        assert_eq!(
            with(&theirs(IP4, "m=audio 0 RTP/AVP 0\r\n")),
            Refused::NoAudio
        );
        assert_eq!(
            with(&theirs(IP4, "m=audio 5000 RTP/AVP 18\r\n")),
            Refused::NoCodec
        );
        for address in [
            "IP6 ::1",
            "IP4 phone.example",
            "IP4 255.255.255.255",
            "IP4 224.0.0.1/3",
        ] {
            assert_eq!(with(&theirs(address, audio)), Refused::Address, "{address}");
        }
        assert!(matches!(with(b"nonsense"), Refused::Malformed(_)));
        let ours = offer(&local(Direction::SendRecv));
        let accept = |answer: &[u8]| accept_answer(&ours, answer).expect_err("refused");
        assert_eq!(
            accept(&theirs(IP4, &format!("{audio}{audio}"))),
            Refused::Mismatch
        );
        assert_eq!(accept(&theirs(IP4, "")), Refused::Mismatch);
        assert_eq!(
            accept(&theirs(IP4, "m=audio 0 RTP/AVP 0\r\n")),
            Refused::NoAudio
        );
        assert_eq!(
            accept(&theirs(IP4, "m=audio 5000 RTP/AVP 9\r\n")),
            Refused::NoCodec
        );
    }

    #[test]
    fn an_ipv6_session_is_described_and_agreed_as_one() {
        let mut ours = local(Direction::SendRecv);
        ours.addr = "[2001:db8::1]:4000".parse().expect("an address");
        let mut far = ours;
        far.addr = "[2001:db8::2]:5000".parse().expect("an address");
        let offered = offer(&ours);
        let (answered, _) = answer(&offered, &far).expect("agreed");
        assert_eq!(
            accept_answer(&offered, &answered).expect("agreed").remote,
            far.addr
        );
    }
}
