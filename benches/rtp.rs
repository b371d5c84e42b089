//! What relaying one RTP packet costs the media worker: processor time of its thread per packet, for
//! 300 bridged calls (600 legs at 50 packets a second, phases evenly spread), against a plain relay
//! that is woken for every packet by epoll. Both relays run in turn, three times, on core 1; the
//! generator, which also takes in what was relayed, runs on core 0.
//!
//! Run: `cargo bench --bench rtp` on a quiet machine of at least two cores; where other things run,
//! start the built program under `chrt -f 5`: a plain relay that has to queue for its core gets its
//! packets in batches and looks three times cheaper than it is («sleeps per packet» tells).
#![allow(
    clippy::disallowed_methods,
    reason = "a measurement waits for time to pass"
)]

use media::Codec;
use media::rtp::rewrite;
use model::LegId;
use rustix::event::epoll;
use rustix::thread::{ClockId, CpuSet, clock_nanosleep_absolute, sched_setaffinity};
use rustix::time::{Timespec, clock_gettime};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tandem::media_io::{Media, MediaConfig, Order, Session};

const CALLS: usize = 300;
const LEGS: usize = 2 * CALLS;
const PACKETS_PER_SECOND: u64 = 50;
const SECONDS: u64 = 5;
const RUNS: usize = 3;
const PACKET_BYTES: usize = 172;

struct Run {
    sent: u64,
    relayed: u64,
    core_us: f64,
    /// Times the relay's thread slept. Other load on its core hides the wakeups of the plain relay:
    /// packets then pile up while something else runs, and it gets them in batches as we do.
    sleeps: u64,
}

fn main() {
    pin(0);
    println!(
        "{CALLS} bridged calls, {LEGS} legs, {PACKETS_PER_SECOND} packets/s each, {SECONDS} s, {RUNS} runs each"
    );
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(report("tandem media worker", &tandem()));
        theirs.push(report("epoll, woken per packet", &naive()));
    }
    let median = |v: &mut Vec<f64>| {
        v.sort_by(f64::total_cmp);
        v[v.len() / 2]
    };
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    println!(
        "median: {ours:.2} against {theirs:.2} µs per packet, {:.2} times less",
        theirs / ours
    );
}

fn report(name: &str, run: &Run) -> f64 {
    let per_packet = run.core_us / run.relayed as f64;
    let lost = 100.0 - run.relayed as f64 * 100.0 / run.sent as f64;
    // A bridged call is two legs' packets.
    let per_call = per_packet * 2.0 * PACKETS_PER_SECOND as f64 / 1e6 * 100.0;
    println!(
        "{name:>24}: {per_packet:6.2} µs per packet, {per_call:.3} % of a core per bridged call, {:.2} sleeps per packet, {lost:.2} % lost",
        run.sleeps as f64 / run.relayed as f64
    );
    per_packet
}

/// Peers' sockets, and the relay's sockets with the addresses they talk to.
fn legs() -> (Vec<UdpSocket>, Vec<UdpSocket>) {
    let bind = || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a loopback port");
        socket.set_nonblocking(true).expect("non-blocking");
        socket
    };
    let peers: Vec<UdpSocket> = (0..LEGS).map(|_| bind()).collect();
    let relay: Vec<UdpSocket> = (0..LEGS).map(|_| bind()).collect();
    for (peer, leg) in peers.iter().zip(&relay) {
        peer.connect(local(leg)).expect("loopback");
    }
    (peers, relay)
}

fn local(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().expect("a bound socket")
}

fn tandem() -> Run {
    let (peers, relay) = legs();
    let (mut media, _reports) = Media::start(MediaConfig {
        cores: vec![1],
        seed: 1,
        ..MediaConfig::default()
    })
    .expect("media");
    for (n, (socket, peer)) in relay.into_iter().zip(&peers).enumerate() {
        let session = Session {
            remote: local(peer),
            codec: Codec::Pcmu,
            payload_type: 0,
            telephone_event: Some(101),
            send: true,
            latch: false,
        };
        let leg = LegId(n as u64);
        media
            .order(
                leg,
                Order::Open {
                    leg,
                    socket,
                    session,
                },
            )
            .expect("room for orders");
    }
    for n in 0..CALLS as u64 {
        let (a, b) = (LegId(2 * n), LegId(2 * n + 1));
        media
            .order(a, Order::Bridge { a, b })
            .expect("room for orders");
    }
    let thread = thread_named("media-0");
    generate(&peers, thread)
}

/// What one would write first: sleep in epoll, then one receive and one send for what woke us.
fn naive() -> Run {
    let (peers, relay) = legs();
    for (socket, peer) in relay.iter().zip(&peers) {
        socket.connect(local(peer)).expect("loopback");
    }
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let thread = std::thread::Builder::new()
        .name("naive".into())
        .spawn(move || {
            pin(1);
            let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
            for (n, socket) in relay.iter().enumerate() {
                epoll::add(
                    &epoll,
                    socket,
                    epoll::EventData::new_u64(n as u64),
                    epoll::EventFlags::IN,
                )
                .expect("epoll");
            }
            let nothing = epoll::Event {
                flags: epoll::EventFlags::empty(),
                data: epoll::EventData::new_u64(0),
            };
            let (mut events, mut buffer) = ([nothing; 512], [0; 2048]);
            let timeout = Timespec {
                tv_sec: 0,
                tv_nsec: 100_000_000,
            };
            while !stopped.load(Ordering::Relaxed) {
                let got = epoll::wait(&epoll, &mut events[..], Some(&timeout)).expect("epoll");
                for event in &events[..got] {
                    let n = event.data.u64() as usize;
                    if let Ok(len) = relay[n].recv(&mut buffer)
                        && relay[n ^ 1].send(&buffer[..len]).is_err()
                    {
                        continue;
                    }
                }
            }
        })
        .expect("a thread");
    let task = thread_named("naive");
    let run = generate(&peers, task);
    stop.store(true, Ordering::Relaxed);
    thread.join().expect("the relay ended");
    run
}

/// Sends every leg's packet at its own phase of the 20 ms, and takes in what comes back.
fn generate(peers: &[UdpSocket], relay: u64) -> Run {
    let mut packet = [0u8; PACKET_BYTES];
    packet[0] = 0x80;
    let step_us = 1_000_000 / PACKETS_PER_SECOND / LEGS as u64;
    let (mut sent, mut relayed) = (0u64, 0u64);
    let mut buffer = [0; 2048];
    std::thread::sleep(Duration::from_millis(300));
    let (start, cpu, slept) = (now_us(), thread_cpu_us(relay), thread_sleeps(relay));
    let total = SECONDS * PACKETS_PER_SECOND * LEGS as u64;
    for k in 0..total {
        let (round, leg) = (k / LEGS as u64, (k % LEGS as u64) as usize);
        // Spread over the round in an order that does not put the two legs of a call side by side.
        let leg = (leg * 7) % LEGS;
        let due = start + k * step_us;
        let now = now_us();
        if due > now {
            sleep_until(due);
        }
        rewrite(
            &mut packet,
            false,
            0,
            round as u16,
            round as u32 * 160,
            leg as u32,
        );
        if peers[leg].send(&packet).is_ok() {
            sent += 1;
        }
        while peers[leg].recv(&mut buffer).is_ok() {
            relayed += 1;
        }
    }
    std::thread::sleep(Duration::from_millis(100));
    let (core_us, sleeps) = (thread_cpu_us(relay) - cpu, thread_sleeps(relay) - slept);
    for peer in peers {
        while peer.recv(&mut buffer).is_ok() {
            relayed += 1;
        }
    }
    Run {
        sent,
        relayed,
        core_us,
        sleeps,
    }
}

fn pin(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    if sched_setaffinity(None, &cores).is_err() {
        println!("core {core} cannot be had: the figures are of wherever the system ran us");
    }
}

fn now_us() -> u64 {
    let now = clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000
}

fn sleep_until(us: u64) {
    let until = Timespec {
        tv_sec: (us / 1_000_000) as i64,
        tv_nsec: (us % 1_000_000 * 1000) as _,
    };
    while clock_nanosleep_absolute(ClockId::Monotonic, &until).is_err() {}
}

/// The system's number of this process's thread of that name.
fn thread_named(name: &str) -> u64 {
    loop {
        for entry in std::fs::read_dir("/proc/self/task")
            .expect("Linux")
            .flatten()
        {
            let comm = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            if comm.trim() == name {
                return entry
                    .file_name()
                    .to_string_lossy()
                    .parse()
                    .expect("a number");
            }
        }
        std::thread::yield_now();
    }
}

/// Processor time of a thread in µs, kernel included, to the nanosecond (`schedstat`).
fn thread_cpu_us(thread: u64) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"))
        .expect("a living thread");
    let nanoseconds: f64 = text
        .split_whitespace()
        .next()
        .and_then(|n| n.parse().ok())
        .expect("three numbers");
    nanoseconds / 1000.0
}

/// How often a thread gave up its core of itself.
fn thread_sleeps(thread: u64) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/status"))
        .expect("a living thread");
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"))
        .expect("a line of it");
    line.trim().parse().expect("a number")
}
