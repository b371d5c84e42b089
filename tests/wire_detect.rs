//! What is heard on the wire: a carrier that speaks SIP by hand and plays greetings and tones by RTP, before its
//! answer and after it.

mod lab;

use lab::tools::{Sipp, Tool};
use lab::wire::Wire;
use lab::{Lab, PATIENCE, Plan};
use media::tone::{Progress, progress, silence, tone};
use media::{Codec, FRAME_SAMPLES, g711};
use model::event::{Fact, Verdict};
use model::heard::Tone;
use model::{AttemptOutcome, Event};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

const CAMPAIGN: &str = r#"
mode = "progressive"
running = false
lists = ["spring"]
trunks = ["carrier"]
caller_id = "+12125550100"
rules = ["demo"]
abandon_prompt = "abandon"
ring_timeout_ms = 15000
detect_machines = true
max_attempts = 1
"#;

const FRAME: Duration = Duration::from_millis(20);

/// A campaign to one number, an agent who waits for it, and the carrier.
fn campaign() -> (Lab, Carrier, Tool) {
    let mut lab = Plan::new()
        .file("campaigns/spring.toml", CAMPAIGN)
        .agent("anna", &["spring"], 200)
        .leads("spring", "phone\n+12125550104\n")
        .start();
    let phone = Sipp::phone(&lab, "anna", "agent_waits_for_bye.xml").start();
    lab.make_available("anna");
    let carrier = Carrier::new(&lab);
    lab.run_campaign("spring", true);
    (lab, carrier, phone)
}

/// The far end of one call.
struct Carrier {
    sip: Wire,
    rtp: UdpSocket,
    invite: String,
    to: Option<SocketAddr>,
    sequence: u16,
    timestamp: u32,
}

impl Carrier {
    fn new(lab: &Lab) -> Carrier {
        Carrier {
            sip: Wire::bound(lab.carrier, lab.sip),
            rtp: UdpSocket::bind((lab.net.carrier(), 0)).expect("an address has ports"),
            invite: String::new(),
            to: None,
            sequence: 1,
            timestamp: 0,
        }
    }

    /// Waits for our INVITE.
    fn is_called(&mut self) {
        let invite = lab::look(PATIENCE, || {
            let message = self.sip.receive(Duration::from_millis(200))?;
            message.starts_with("INVITE ").then_some(message)
        });
        self.invite = invite.expect("the campaign calls");
        let value = |key: &str| {
            let line = self.invite.lines().find_map(|line| line.strip_prefix(key));
            line.expect("an offer is whole")
                .split(' ')
                .next_back()
                .expect("a word")
        };
        let ip = value("c=IN").parse().expect("an address");
        let line = self
            .invite
            .lines()
            .find_map(|line| line.strip_prefix("m=audio "));
        let port = line.and_then(|line| line.split(' ').next()?.parse().ok());
        self.to = Some(SocketAddr::new(ip, port.expect("a port")));
    }

    /// A response to a request; with media where it has some.
    fn says(&self, request: &str, status: &str, sdp: bool) {
        let is_kept = |line: &&str| {
            ["Via:", "From:", "Call-ID:", "CSeq:"]
                .iter()
                .any(|name| line.starts_with(name))
        };
        let mut text = format!("SIP/2.0 {status}\r\n");
        for line in request.lines().filter(is_kept) {
            text += &format!("{line}\r\n");
        }
        let to = request.lines().find(|line| line.starts_with("To:"));
        let to = to.expect("a request has a To");
        let tag = if to.contains("tag=") { "" } else { ";tag=far" };
        text += &format!("{to}{tag}\r\nContact: <sip:{}>\r\n", self.sip.local());
        let rtp = self.rtp.local_addr().expect("it is bound");
        let body = format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=audio {} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n",
            rtp.port(),
            ip = rtp.ip(),
        );
        let body = if sdp { body.as_str() } else { "" };
        if sdp {
            text += "Content-Type: application/sdp\r\n";
        }
        text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        self.sip.send(text.as_bytes());
    }

    fn plays_early(&self) {
        self.says(&self.invite, "183 Session Progress", true);
    }

    fn answers(&self) {
        self.says(&self.invite, "200 OK", true);
    }

    /// Ends the call that it answered.
    fn hangs_up(&self) {
        let value = |name: &str| {
            let line = self.invite.lines().find_map(|line| line.strip_prefix(name));
            line.expect("an INVITE is whole").trim().to_owned()
        };
        let contact = value("Contact:");
        let uri = contact.split(['<', '>']).nth(1).expect("an address");
        let bye = format!(
            "BYE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK-far-bye\r\nMax-Forwards: 70\r\n\
             From: {};tag=far\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n",
            self.sip.local(),
            value("To:"),
            value("From:"),
            value("Call-ID:"),
        );
        self.sip.send(bye.as_bytes());
    }

    /// Plays at the pace of speech; the method by which we end the call, if we do meanwhile.
    fn plays(&mut self, samples: &[i16]) -> Option<&'static str> {
        let begun = Instant::now();
        for (n, frame) in (0..).zip(samples.chunks(FRAME_SAMPLES)) {
            let mut packet = vec![0x80, 0];
            packet.extend(self.sequence.to_be_bytes());
            packet.extend(self.timestamp.to_be_bytes());
            packet.extend([0, 0, 0, 7]);
            packet.extend(frame.iter().map(|s| g711::encode(Codec::Pcmu, *s)));
            let to = self.to.expect("it was called");
            self.rtp.send_to(&packet, to).expect("it can be sent");
            self.sequence += 1;
            self.timestamp += FRAME_SAMPLES as u32;
            let due = begun + FRAME * (n + 1);
            loop {
                let rest = due.saturating_duration_since(Instant::now());
                if rest < Duration::from_millis(1) {
                    break;
                }
                let Some(message) = self.sip.receive(rest) else {
                    break;
                };
                if message.starts_with("BYE ") {
                    self.says(&message, "200 OK", false);
                    return Some("BYE");
                }
                if message.starts_with("CANCEL ") {
                    self.says(&message, "200 OK", false);
                    self.says(&self.invite, "487 Request Terminated", false);
                    return Some("CANCEL");
                }
            }
        }
        None
    }
}

/// A sound like a voice: many lines that do not hold still.
fn voice(ms: u32) -> Vec<i16> {
    let mut x = 9u32;
    (0..ms * 8)
        .map(|_| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 16) as i16 / 8
        })
        .collect()
}

/// Words and pauses in turn, in ms, beginning with a pause.
fn speech(turns: &[u32]) -> Vec<i16> {
    let mut audio = Vec::new();
    for (n, ms) in turns.iter().enumerate() {
        audio.extend(if n % 2 == 0 { silence(*ms) } else { voice(*ms) });
    }
    audio
}

/// How the one attempt ended, once it has.
fn outcome(lab: &mut Lab) -> AttemptOutcome {
    let ended = lab.fact("the attempt ends", |fact| {
        matches!(fact, Fact::AttemptEnded { .. })
    });
    match ended.fact {
        Fact::AttemptEnded { outcome, .. } => outcome,
        other => panic!("{other:?}"),
    }
}

fn classified(lab: &mut Lab) -> Event {
    lab.fact("it is known who answered", |fact| {
        matches!(fact, Fact::CallClassified { .. })
    })
}

fn close(mut lab: Lab, mut phone: Tool) -> Vec<Event> {
    lab.fact("the call is over", |fact| {
        matches!(fact, Fact::CallEnded { .. })
    });
    phone.quits_well();
    lab.close()
}

#[test]
fn a_machine_that_greets_at_length_is_hung_up_and_no_agent_hears_of_it() {
    let (mut lab, mut carrier, phone) = campaign();
    carrier.is_called();
    carrier.answers();
    let greeting = speech(&[300, 2_600, 160, 2_400, 160, 2_400, 4_000]);
    assert_eq!(carrier.plays(&greeting), Some("BYE"));
    let Fact::CallClassified {
        verdict,
        evidence,
        greeting_began_ms,
        ..
    } = classified(&mut lab).fact
    else {
        unreachable!("it was looked for")
    };
    assert_eq!(verdict, Verdict::Machine, "{evidence:?}");
    assert!(evidence.is_some_and(|evidence| evidence.log_odds < -3.0));
    assert!(
        greeting_began_ms.is_some_and(|ms| ms <= 600),
        "{greeting_began_ms:?}"
    );
    assert_eq!(outcome(&mut lab), AttemptOutcome::Machine);
    let events = close(lab, phone);
    let offers = |event: &&Event| matches!(event.fact, Fact::OfferMade { .. });
    assert_eq!(events.iter().filter(offers).count(), 0);
}

#[test]
fn a_person_who_greets_at_length_is_with_an_agent_within_two_seconds_of_the_last_word() {
    let (mut lab, mut carrier, phone) = campaign();
    carrier.is_called();
    carrier.answers();
    // The last word ends 2.3 s after the answer.
    let greeting = speech(&[400, 700, 300, 900, 3_000]);
    assert_eq!(carrier.plays(&greeting), None);
    let leg = lab.fact("it is dialled", |fact| {
        matches!(fact, Fact::CallDialled { .. })
    });
    let Fact::CallDialled { leg: customer, .. } = leg.fact else {
        unreachable!("it was looked for")
    };
    let answered = lab.fact(
        "it is answered",
        |fact| matches!(fact, Fact::LegAnswered { leg, .. } if *leg == customer),
    );
    let known = classified(&mut lab);
    let Fact::CallClassified {
        verdict,
        greeting_ended_ms: Some(ended_ms),
        ..
    } = known.fact
    else {
        panic!("{known:?}")
    };
    assert!(verdict.is_person());
    assert!((2_000..=2_350).contains(&ended_ms), "{ended_ms}");
    let bridged = lab.fact("they talk", |fact| matches!(fact, Fact::CallBridged { .. }));
    let after = bridged.at.mono - answered.at.mono;
    let ended = Duration::from_millis(ended_ms.into());
    assert!(after > ended && after <= ended + Duration::from_secs(2));
    lab.act("anna", "hang_up");
    assert_eq!(carrier.plays(&silence(20_000)), Some("BYE"));
    assert_eq!(outcome(&mut lab), AttemptOutcome::AnsweredAgent);
    close(lab, phone);
}

#[test]
fn who_hangs_up_on_an_agent_behind_a_short_greeting_and_silence_is_told_to_have_been_a_machine() {
    let (mut lab, mut carrier, phone) = campaign();
    carrier.is_called();
    carrier.answers();
    let greeting = speech(&[600, 300, 320, 480, 320, 900, 9_000]);
    assert_eq!(carrier.plays(&greeting), None);
    let first = classified(&mut lab).fact;
    assert!(
        matches!(&first, Fact::CallClassified { verdict, .. } if verdict.is_person()),
        "{first:?}"
    );
    carrier.hangs_up();
    let told = lab.fact("it was a machine", |fact| {
        matches!(
            fact,
            Fact::CallClassified {
                verdict: Verdict::Machine,
                ..
            }
        )
    });
    let Fact::CallClassified {
        agent, evidence, ..
    } = &told.fact
    else {
        unreachable!("it was looked for")
    };
    assert!(agent.is_some());
    assert!(evidence.as_ref().is_some_and(|why| why.log_odds < -1.0));
    assert_eq!(outcome(&mut lab), AttemptOutcome::AnsweredAgent);
    let events = close(lab, phone);
    let ended = events
        .iter()
        .find(|event| matches!(event.fact, Fact::CallEnded { .. }));
    assert!(ended.is_some_and(|ended| ended.seq > told.seq));
}

#[test]
fn what_the_network_plays_before_the_answer_names_the_outcome_and_frees_the_line() {
    let (mut lab, mut carrier, phone) = campaign();
    carrier.is_called();
    carrier.plays_early();
    let mut audio = silence(300);
    for (hz, ms) in [(985.2, 380), (1_370.6, 274), (1_776.7, 380)] {
        audio.extend(tone(&[(hz, 8_000.0)], ms));
    }
    audio.extend(speech(&[200, 1_500, 200, 1_500, 8_000]));
    assert_eq!(carrier.plays(&audio), Some("CANCEL"));
    let Fact::CallClassified { verdict, tone, .. } = classified(&mut lab).fact else {
        unreachable!("it was looked for")
    };
    assert_eq!((verdict, tone), (Verdict::Sit, Some(Tone::SitVacantCode)));
    assert_eq!(outcome(&mut lab), AttemptOutcome::DisconnectedNumber);
    close(lab, phone);
}

#[test]
fn a_status_that_names_the_reason_goes_before_the_tone_and_closes_the_media() {
    let (mut lab, mut carrier, phone) = campaign();
    carrier.is_called();
    carrier.plays_early();
    let busy: Vec<i16> = (0..5).flat_map(|_| progress(Progress::Busy)).collect();
    let packets = 120;
    assert_eq!(carrier.plays(&busy[..packets * FRAME_SAMPLES]), None);
    carrier.says(&carrier.invite, "404 Not Found", false);
    assert_eq!(outcome(&mut lab), AttemptOutcome::DisconnectedNumber);
    assert_eq!(
        lab.count(|fact| matches!(fact, Fact::CallClassified { .. })),
        0
    );
    // Packets are counted when a leg's media has closed.
    let closed = lab::look(PATIENCE, || {
        let (_, text) = lab.http("GET", "/metrics", "");
        let line = text.lines().find_map(|line| {
            line.strip_prefix("tandem_rtp_packets_total{kind=\"received\"} ")?
                .parse::<usize>()
                .ok()
        });
        line.filter(|received| *received >= packets - 5)
    });
    assert!(closed.is_some(), "what was heard early is in the books");
    close(lab, phone);
}

#[test]
fn an_answer_behind_early_media_is_judged_by_what_follows_it() {
    let (mut lab, mut carrier, phone) = campaign();
    carrier.is_called();
    carrier.plays_early();
    assert_eq!(carrier.plays(&tone(&[(425.0, 5_000.0)], 1_000)), None);
    carrier.answers();
    let mut audio = silence(500);
    audio.extend(tone(&[(2_100.0, 5_000.0)], 3_000));
    assert_eq!(carrier.plays(&audio), Some("BYE"));
    let Fact::CallClassified { verdict, tone, .. } = classified(&mut lab).fact else {
        unreachable!("it was looked for")
    };
    assert_eq!((verdict, tone), (Verdict::Fax, Some(Tone::FaxAnswering)));
    assert_eq!(outcome(&mut lab), AttemptOutcome::Fax);
    close(lab, phone);
}
