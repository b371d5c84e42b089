//! Workers and recorder over real sockets on the loopback interface.

use super::*;
use crossbeam_channel::Receiver;
use media::dtmf::goertzel::amplitude;
use media::rtp::{Header, Packet};
use media::{Codec, tone};

const WAIT: Duration = Duration::from_secs(10);

/// A telephone: its own socket, and the engine's port it talks to.
struct Phone {
    leg: LegId,
    socket: UdpSocket,
    engine: SocketAddr,
    sequence: u16,
    timestamp: u32,
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(WAIT)).unwrap();
    socket
}

fn session(remote: SocketAddr) -> Session {
    Session {
        remote,
        codec: Codec::Pcmu,
        payload_type: 0,
        telephone_event: Some(101),
        send: true,
        latch: false,
    }
}

impl Phone {
    fn open(media: &mut Media, leg: u64, change: impl Fn(&mut Session)) -> Phone {
        let (ours, theirs) = (socket(), UdpSocket::bind("127.0.0.1:0").unwrap());
        theirs.set_nonblocking(true).unwrap();
        let engine = theirs.local_addr().unwrap();
        let mut session = session(ours.local_addr().unwrap());
        change(&mut session);
        let leg = LegId(leg);
        media
            .order(
                leg,
                Order::Open {
                    leg,
                    socket: theirs,
                    session,
                },
            )
            .unwrap();
        Phone {
            leg,
            socket: ours,
            engine,
            sequence: 1000 * leg.0 as u16,
            timestamp: 7,
        }
    }

    fn send_from(&mut self, socket: Option<&UdpSocket>, payload_type: u8, payload: &[u8]) {
        let header = Header {
            payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.leg.0 as u32,
            ..Header::default()
        };
        let mut bytes = [0; 2000];
        let n = header.write(payload, &mut bytes).unwrap();
        socket
            .unwrap_or(&self.socket)
            .send_to(&bytes[..n], self.engine)
            .unwrap();
        self.sequence = self.sequence.wrapping_add(1);
    }

    fn say(&mut self, payload: &[u8]) {
        self.send_from(None, 0, payload);
        self.timestamp = self.timestamp.wrapping_add(payload.len() as u32);
    }

    fn hear(&self) -> Heard {
        let mut bytes = [0; 2000];
        let n = self.socket.recv(&mut bytes).unwrap();
        let p = Packet::parse(&bytes[..n]).unwrap();
        Heard {
            marker: p.marker(),
            payload_type: p.payload_type(),
            sequence: p.sequence(),
            timestamp: p.timestamp(),
            ssrc: p.ssrc(),
            payload: p.payload().to_vec(),
        }
    }
}

struct Heard {
    marker: bool,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload: Vec<u8>,
}

fn start() -> (Media, Receiver<Report>) {
    Media::start(MediaConfig {
        seed: 5,
        ..MediaConfig::default()
    })
    .unwrap()
}

fn bridge(media: &mut Media, a: &Phone, b: &Phone) {
    media
        .order(a.leg, Order::Bridge { a: a.leg, b: b.leg })
        .unwrap();
}

/// Says packets from `a` until the first is heard at `b`: orders and packets travel different ways.
fn until_heard(a: &mut Phone, b: &Phone, payload: &[u8]) -> Heard {
    b.socket
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let mut bytes = [0; 2000];
    for _ in 0..500 {
        a.say(payload);
        if let Ok(n) = b.socket.peek(&mut bytes)
            && bytes[12..n] == *payload
        {
            b.socket.set_read_timeout(Some(WAIT)).unwrap();
            return b.hear();
        }
    }
    panic!("nothing was relayed");
}

/// Ends a leg, and returns what it counted; everything said before was taken by then.
fn close(media: &mut Media, reports: &Receiver<Report>, leg: LegId) -> LegCounters {
    media.order(leg, Order::Close { leg }).unwrap();
    loop {
        if let Report::Closed {
            leg: closed,
            counters,
        } = reports.recv_timeout(WAIT).unwrap()
            && closed == leg
        {
            return counters;
        }
    }
}

#[test]
fn a_bridge_relays_both_ways_bit_exact_and_in_one_sequence() {
    let (mut media, reports) = start();
    let (mut a, mut b) = (
        Phone::open(&mut media, 1, |_| {}),
        Phone::open(&mut media, 2, |_| {}),
    );
    bridge(&mut media, &a, &b);
    let mut last = until_heard(&mut a, &b, &[1; 160]);
    assert!(last.marker);
    // The repetitions until it was heard.
    b.socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let mut bytes = [0; 2000];
    while b.socket.peek(&mut bytes).is_ok() {
        last = b.hear();
    }
    b.socket.set_read_timeout(Some(WAIT)).unwrap();
    for n in 0..50u8 {
        let payload: Vec<u8> = (0..160).map(|i| i ^ n).collect();
        a.say(&payload);
        let heard = b.hear();
        assert_eq!(heard.payload, payload);
        assert_eq!(heard.sequence, last.sequence.wrapping_add(1));
        assert_eq!(heard.timestamp, last.timestamp.wrapping_add(160));
        assert_eq!((heard.ssrc, heard.marker), (last.ssrc, false));
        assert_ne!(heard.ssrc, 1, "our own SSRC");
        last = heard;
        b.say(&payload);
        assert_eq!(a.hear().payload, payload);
    }
    let counters = close(&mut media, &reports, a.leg);
    assert_eq!(counters.sent, 50);
    assert!(counters.received > 50 && counters.lost == 0, "{counters:?}");
}

#[test]
fn a_source_that_begins_its_numbers_anew_is_still_one_stream() {
    let (mut media, _reports) = start();
    let (mut a, b) = (
        Phone::open(&mut media, 1, |_| {}),
        Phone::open(&mut media, 2, |_| {}),
    );
    bridge(&mut media, &a, &b);
    let mut last = until_heard(&mut a, &b, &[1; 160]);
    a.sequence = a.sequence.wrapping_sub(500);
    a.timestamp = a.timestamp.wrapping_add(0x5555_5555);
    // The first is not believed yet.
    for _ in 0..10 {
        a.say(&[2; 160]);
    }
    let mut anew = 0;
    while anew < 9 {
        let heard = b.hear();
        assert_eq!(heard.sequence, last.sequence.wrapping_add(1));
        let step = heard.timestamp.wrapping_sub(last.timestamp);
        assert!(step > 0 && step < 8000, "{step}");
        anew += usize::from(heard.payload[0] == 2);
        last = heard;
    }
}

#[test]
fn different_laws_and_payload_types_are_mapped() {
    let (mut media, _reports) = start();
    let mut a = Phone::open(&mut media, 1, |_| {});
    let b = Phone::open(&mut media, 2, |s| {
        (s.codec, s.payload_type, s.telephone_event) = (Codec::Pcma, 8, Some(96));
    });
    bridge(&mut media, &a, &b);
    b.socket.set_read_timeout(Some(WAIT)).unwrap();
    // Silence in one law is silence in the other.
    let heard = loop {
        a.say(&[0xff; 160]);
        b.socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let mut bytes = [0; 2000];
        if b.socket.peek(&mut bytes).is_ok() {
            break b.hear();
        }
    };
    assert_eq!((heard.payload_type, heard.payload), (8, vec![0xd5; 160]));
    a.send_from(None, 101, &[1, 0, 0, 160]);
    b.socket.set_read_timeout(Some(WAIT)).unwrap();
    let event = loop {
        let heard = b.hear();
        if heard.payload.len() == 4 {
            break heard;
        }
    };
    assert_eq!(
        (event.payload_type, event.payload),
        (96, vec![1, 0, 0, 160])
    );
}

#[test]
fn events_a_leg_did_not_negotiate_leave_no_gap_in_its_stream() {
    let (mut media, _reports) = start();
    let mut a = Phone::open(&mut media, 1, |_| {});
    let b = Phone::open(&mut media, 2, |s| s.telephone_event = None);
    bridge(&mut media, &a, &b);
    let mut last = until_heard(&mut a, &b, &[1; 160]).sequence;
    for _ in 0..3 {
        a.send_from(None, 101, &[1, 0, 0, 160]);
    }
    a.say(&[2; 160]);
    loop {
        let heard = b.hear();
        assert_eq!(heard.sequence, last.wrapping_add(1));
        assert_eq!(heard.payload_type, 0);
        last = heard.sequence;
        if heard.payload[0] == 2 {
            break;
        }
    }
}

#[test]
fn a_prompt_plays_its_packets_and_then_is_finished() {
    let (mut media, reports) = start();
    let a = Phone::open(&mut media, 1, |_| {});
    // 1000 samples in two clips: six packets and a quarter.
    let clips = vec![
        Arc::new(Clip::from_samples(&[1000; 700])),
        Arc::new(Clip::from_samples(&[-1000; 300])),
    ];
    let play = PlayId(9);
    media
        .order(
            a.leg,
            Order::Play {
                leg: a.leg,
                play,
                clips,
                repeat: false,
            },
        )
        .unwrap();
    let mut all = Vec::new();
    let mut last: Option<Heard> = None;
    for _ in 0..7 {
        let heard = a.hear();
        if let Some(last) = &last {
            assert_eq!(heard.sequence, last.sequence.wrapping_add(1));
            assert_eq!(heard.timestamp, last.timestamp.wrapping_add(160));
        }
        assert_eq!(heard.marker, last.is_none());
        all.extend_from_slice(&heard.payload);
        last = Some(heard);
    }
    assert!(all[..700].iter().all(|b| *b == 0xce) && all[700..1000].iter().all(|b| *b == 0x4e));
    assert!(all[1000..].iter().all(|b| *b == 0xff));
    let finished = reports.recv_timeout(WAIT).unwrap();
    assert!(matches!(
        finished,
        Report::PromptFinished {
            leg: LegId(1),
            play: PlayId(9)
        }
    ));
    assert_eq!(close(&mut media, &reports, a.leg).sent, 7);
}

#[test]
fn a_stopped_prompt_is_silent_and_a_repeating_one_goes_on() {
    let (mut media, reports) = start();
    let a = Phone::open(&mut media, 1, |_| {});
    let clips = vec![Arc::new(Clip::from_samples(&[1000; 100]))];
    media
        .order(
            a.leg,
            Order::Play {
                leg: a.leg,
                play: PlayId(1),
                clips,
                repeat: true,
            },
        )
        .unwrap();
    for _ in 0..5 {
        assert!(a.hear().payload.iter().all(|b| *b == 0xce));
    }
    media
        .order(
            a.leg,
            Order::StopPlay {
                leg: a.leg,
                play: PlayId(2),
            },
        )
        .unwrap();
    assert_eq!(a.hear().payload.len(), 160, "another play's stop");
    media
        .order(
            a.leg,
            Order::StopPlay {
                leg: a.leg,
                play: PlayId(1),
            },
        )
        .unwrap();
    let counters = close(&mut media, &reports, a.leg);
    assert!(counters.sent >= 6);
    assert!(reports.try_recv().is_err(), "nothing finished");
}

#[test]
fn a_digit_is_told_once_however_often_it_is_sent_and_while_a_prompt_plays() {
    let (mut media, reports) = start();
    let mut a = Phone::open(&mut media, 1, |_| {});
    let clips = vec![Arc::new(Clip::from_samples(&[1000; 8000]))];
    media
        .order(
            a.leg,
            Order::Play {
                leg: a.leg,
                play: PlayId(1),
                clips,
                repeat: true,
            },
        )
        .unwrap();
    a.hear();
    for _ in 0..6 {
        a.send_from(None, 101, &[5, 0x80, 3, 32]);
    }
    a.timestamp += 1600;
    a.send_from(None, 101, &[11, 0x80, 3, 32]);
    let mut digits = String::new();
    while digits.len() < 2 {
        if let Report::Digit {
            leg: LegId(1),
            digit,
        } = reports.recv_timeout(WAIT).unwrap()
        {
            digits.push(digit);
        }
    }
    assert_eq!(digits, "5#");
    close(&mut media, &reports, a.leg);
    assert!(reports.try_recv().is_err());
}

#[test]
fn a_strict_source_refuses_a_stranger() {
    let (mut media, reports) = start();
    let mut a = Phone::open(&mut media, 1, |_| {});
    let b = Phone::open(&mut media, 2, |_| {});
    bridge(&mut media, &a, &b);
    until_heard(&mut a, &b, &[1; 160]);
    let stranger = socket();
    let sequence = a.sequence;
    for _ in 0..20 {
        a.send_from(Some(&stranger), 0, &[66; 160]);
    }
    a.sequence = sequence;
    a.say(&[2; 160]);
    loop {
        let heard = b.hear();
        assert_ne!(heard.payload[0], 66, "the stranger was heard");
        if heard.payload[0] == 2 {
            break;
        }
    }
    assert_eq!(close(&mut media, &reports, a.leg).lost, 0);
}

#[test]
fn what_a_stranger_sent_before_the_leg_began_is_refused() {
    let (mut media, reports) = start();
    let (ours, theirs, stranger) = (socket(), UdpSocket::bind("127.0.0.1:0").unwrap(), socket());
    theirs.set_nonblocking(true).unwrap();
    let engine = theirs.local_addr().unwrap();
    let leg = LegId(1);
    let mut a = Phone {
        leg,
        socket: ours,
        engine,
        sequence: 0,
        timestamp: 0,
    };
    for _ in 0..30 {
        a.send_from(Some(&stranger), 0, &[66; 160]);
    }
    a.send_from(None, 101, &[5, 0x80, 3, 32]);
    let session = session(a.socket.local_addr().unwrap());
    media
        .order(
            leg,
            Order::Open {
                leg,
                socket: theirs,
                session,
            },
        )
        .unwrap();
    assert!(matches!(
        reports.recv_timeout(WAIT).unwrap(),
        Report::Digit { digit: '5', .. }
    ));
    let counters = close(&mut media, &reports, leg);
    assert_eq!((counters.refused, counters.received), (30, 1));
}

#[test]
fn a_latching_leg_moves_to_who_sends_in_sequence_and_then_stays() {
    let (mut media, reports) = start();
    let mut a = Phone::open(&mut media, 1, |s| {
        s.latch = true;
        s.remote = "127.0.0.1:9".parse().unwrap();
    });
    let clips = vec![Arc::new(Clip::from_samples(&[1000; 800]))];
    media
        .order(
            a.leg,
            Order::Play {
                leg: a.leg,
                play: PlayId(1),
                clips,
                repeat: true,
            },
        )
        .unwrap();
    for _ in 0..6 {
        a.say(&[1; 160]);
    }
    assert_eq!(a.hear().payload[0], 0xce, "we send to where it latched");
    let stranger = socket();
    for _ in 0..6 {
        a.send_from(Some(&stranger), 0, &[66; 160]);
    }
    assert_eq!(a.hear().payload[0], 0xce);
    let counters = close(&mut media, &reports, a.leg);
    assert_eq!((counters.refused, counters.received), (3, 3));
}

#[test]
fn closing_a_leg_closes_its_port() {
    let (mut media, reports) = start();
    let a = Phone::open(&mut media, 1, |_| {});
    assert!(UdpSocket::bind(a.engine).is_err());
    close(&mut media, &reports, a.leg);
    // The report follows the closing of the socket within the same order.
    for _ in 0..100_000 {
        if UdpSocket::bind(a.engine).is_ok() {
            assert!(matches!(
                media.order(a.leg, Order::Close { leg: a.leg }),
                Err(OrderError::NoLeg(_))
            ));
            return;
        }
        std::thread::yield_now();
    }
    panic!("the port stays bound");
}

#[test]
fn a_recording_has_each_leg_in_its_channel() {
    let folder = tempfile::tempdir().unwrap();
    let (mut media, reports) = start();
    let (mut a, mut b) = (
        Phone::open(&mut media, 1, |_| {}),
        Phone::open(&mut media, 2, |_| {}),
    );
    bridge(&mut media, &a, &b);
    let (recording, file) = (RecordingId(3), folder.path().join("day/call.wav"));
    let order = Order::Record {
        recording,
        left: a.leg,
        right: b.leg,
        file: file.clone(),
    };
    media.order(a.leg, order).unwrap();
    let left = Clip::from_samples(&tone::tone(&[(600.0, 8000.0)], 1000));
    let right = Clip::from_samples(&tone::tone(&[(1400.0, 8000.0)], 1000));
    let start = std::time::Instant::now();
    for (n, (l, r)) in left
        .ulaw
        .chunks(160)
        .zip(right.ulaw.chunks(160))
        .enumerate()
    {
        // Paced by the wall clock without sleeping: a read that times out.
        let due = start + Duration::from_millis(20 * n as u64);
        while let Some(rest) = due
            .checked_duration_since(std::time::Instant::now())
            .filter(|r| !r.is_zero())
        {
            a.socket.set_read_timeout(Some(rest)).unwrap();
            let _heard = a.socket.recv(&mut [0; 2000]);
        }
        a.say(l);
        b.say(r);
    }
    media.order(a.leg, Order::StopRecord { recording }).unwrap();
    let Report::Recorded {
        file: written,
        seconds,
        ..
    } = reports.recv_timeout(WAIT).unwrap()
    else {
        panic!("not recorded");
    };
    assert_eq!(written, file);
    assert!((0.9..2.0).contains(&seconds), "{seconds}");
    let samples: Vec<i16> = hound::WavReader::open(&file)
        .unwrap()
        .into_samples()
        .map(Result::unwrap)
        .collect();
    let channel = |n: usize| {
        samples
            .iter()
            .skip(n)
            .step_by(2)
            .copied()
            .collect::<Vec<i16>>()
    };
    let (l, r) = (channel(0), channel(1));
    let middle = 1600..6400;
    let measure = |c: &[i16], hz| amplitude(&c[middle.clone()], hz);
    assert!(measure(&l, 600.0) > 6000.0 && measure(&l, 1400.0) < 60.0);
    assert!(measure(&r, 1400.0) > 6000.0 && measure(&r, 600.0) < 60.0);
    let onset = |c: &[i16]| c.iter().position(|s| s.abs() > 1000).unwrap() as i64;
    assert!((onset(&l) - onset(&r)).abs() <= 160, "aligned within 20 ms");
}

#[test]
fn a_recording_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (mut media, reports) = start();
    let a = Phone::open(&mut media, 1, |_| {});
    let file = folder.path().join("there.wav");
    std::fs::write(&file, "an older recording").unwrap();
    let recording = RecordingId(4);
    media
        .order(
            a.leg,
            Order::Record {
                recording,
                left: a.leg,
                right: LegId(7),
                file: file.clone(),
            },
        )
        .unwrap();
    let Report::RecordFailed { why, .. } = reports.recv_timeout(WAIT).unwrap() else {
        panic!("no failure")
    };
    assert!(why.contains("there.wav"), "{why}");
    assert_eq!(std::fs::read(&file).unwrap(), b"an older recording");
}

#[test]
fn a_leg_that_falls_silent_is_lost_once_and_one_on_hold_is_not() {
    let config = MediaConfig {
        rtp_timeout: Duration::from_millis(300),
        ..MediaConfig::default()
    };
    let (mut media, reports) = Media::start(config).unwrap();
    let a = Phone::open(&mut media, 1, |_| {});
    let held = Phone::open(&mut media, 2, |s| s.send = false);
    bridge(&mut media, &a, &held);
    assert!(matches!(
        reports.recv_timeout(WAIT).unwrap(),
        Report::MediaLost { leg: LegId(1) }
    ));
    assert!(
        reports.recv_timeout(Duration::from_millis(800)).is_err(),
        "once, and not the held one"
    );
}

#[test]
fn broken_and_huge_packets_are_counted_and_survived() {
    let (mut media, reports) = start();
    let mut a = Phone::open(&mut media, 1, |_| {});
    for len in [0, 1, 11, 12, 172, 2048, 9000, 65_507] {
        a.socket.send_to(&vec![0xbf; len], a.engine).unwrap();
    }
    // One that is taken follows; a worker takes one packet a tick and leg.
    a.send_from(None, 101, &[7, 0x80, 3, 32]);
    assert!(matches!(
        reports.recv_timeout(WAIT).unwrap(),
        Report::Digit { digit: '7', .. }
    ));
    let counters = close(&mut media, &reports, a.leg);
    assert_eq!((counters.malformed, counters.received), (8, 1));
}

#[test]
fn legs_on_different_workers_cannot_be_bridged_and_near_ones_can() {
    let (mut media, _reports) = Media::start(MediaConfig {
        workers: 2,
        ..MediaConfig::default()
    })
    .unwrap();
    let a = Phone::open(&mut media, 1, |_| {});
    let far = Phone::open(&mut media, 2, |_| {});
    media.place(LegId(3), Some(a.leg));
    let near = Phone::open(&mut media, 3, |_| {});
    let apart = media.order(
        a.leg,
        Order::Bridge {
            a: a.leg,
            b: far.leg,
        },
    );
    assert!(matches!(apart, Err(OrderError::Apart(_))));
    bridge(&mut media, &a, &near);
}

#[test]
fn the_waker_is_called_for_reports_and_stopping_closes_all() {
    let (woken, wakes) = crossbeam_channel::bounded(100);
    let waker: Waker = Arc::new(move || woken.try_send(()).expect("few reports"));
    let (mut media, reports) = Media::start(MediaConfig {
        waker,
        ..MediaConfig::default()
    })
    .unwrap();
    let a = Phone::open(&mut media, 1, |_| {});
    let (play, nothing) = (PlayId(1), Vec::new());
    let order = Order::Play {
        leg: a.leg,
        play,
        clips: nothing,
        repeat: false,
    };
    media.order(a.leg, order).unwrap();
    assert!(wakes.recv_timeout(WAIT).is_ok());
    assert!(matches!(
        reports.try_recv().unwrap(),
        Report::PromptFinished { .. }
    ));
    media.stop();
    assert!(wakes.try_recv().is_err(), "counters are not worth a wake");
    assert!(matches!(
        reports.try_recv().unwrap(),
        Report::Closed { leg: LegId(1), .. }
    ));
}
