//! Signalling of the load: legs of callers and callees, their retransmissions, and agents.
//!
//! ```text
//! caller: Inviting ─180─► Proceeding ─200/ACK─► Up ─BYE─► Ending ─200─► Free
//! callee: Ringing ─200─► Answered ─ACK─► Up ─BYE─► Ending ─200─► Free
//! ```

use super::text::{self, Lines, Request};
use super::{CALLEE, CALLER, LEGS_MAX, Load};
use anyhow::Context;
use sip::digest::{DigestChallenge, Use};
use sip::message::{Message, Method, Name};
use std::cmp::Reverse;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// RFC 3261 T1, and T2 as a power of two of it.
const T1_NS: u64 = 500_000_000;
const T2_DOUBLINGS: u32 = 3;
/// Sent so often, then it has failed (64·T1).
const RESENDS_MAX: u32 = 9;
/// Registrations under way at once.
const REGISTERING_MAX: usize = 16;
/// All agents are registered by then, or the run cannot begin.
const REGISTER_PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Free,
    Inviting,
    Proceeding,
    Ringing,
    Answered,
    Up,
    Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// When to send again what was not answered.
    Resend,
    /// When this side hangs up.
    HangUp,
    /// When the callee answers.
    Answer,
}

/// One phone of an agent.
#[derive(Debug, Default)]
pub(super) struct Agent {
    pub is_busy: bool,
    /// When it became free while a caller waited.
    pub free_at: Option<u64>,
}

/// One side of one call.
#[derive(Debug, Default)]
pub(super) struct Leg {
    pub side: usize,
    pub state: State,
    /// How often this place was used: timers and packets of an earlier leg are no longer ours.
    pub generation: u32,
    cseq: u32,
    resends: u32,
    agent: Option<usize>,
    call_id: String,
    from: String,
    to: String,
    target: String,
    route: String,
    tag: String,
    /// What is sent again; while ringing, the INVITE.
    last: String,
    invited_at: u64,
    ended_at: u64,
    pub voice: super::voice::Voice,
}

impl Load {
    fn new_leg(&mut self, side: usize) -> Option<usize> {
        let n = match self.free.pop() {
            Some(n) => n,
            None if self.legs.len() < LEGS_MAX => {
                self.legs.push(Leg::default());
                self.legs.len() - 1
            }
            None => return None,
        };
        let seed = self.seed;
        let leg = &mut self.legs[n];
        leg.generation += 1;
        leg.side = side;
        (leg.cseq, leg.resends, leg.agent) = (1, 0, None);
        (leg.invited_at, leg.ended_at) = (0, 0);
        for text in [
            &mut leg.call_id,
            &mut leg.from,
            &mut leg.to,
            &mut leg.target,
            &mut leg.route,
            &mut leg.tag,
        ] {
            text.clear();
        }
        write!(leg.tag, "{seed:x}.{n}.{}", leg.generation).expect("a string takes all");
        leg.voice = super::voice::Voice::new(n, side);
        Some(n)
    }

    fn free_leg(&mut self, n: usize, now: u64) {
        self.stop_voice(n);
        self.fold_loss(n);
        self.free_agent(n, now);
        let leg = &mut self.legs[n];
        assert!(leg.state != State::Free, "a leg ends once");
        leg.state = State::Free;
        leg.generation += 1;
        if leg.side == CALLEE {
            self.callee_legs.remove(&leg.call_id);
        }
        self.free.push(n);
    }

    /// The agent of a leg can be called again. That a caller waits shows in there being more callers
    /// with an answer than busy agents: true once the run is in its steady window and callers outnumber agents.
    fn free_agent(&mut self, n: usize, now: u64) {
        let Some(agent) = self.legs[n].agent.take() else {
            return;
        };
        let busy = self.agents.iter().filter(|agent| agent.is_busy).count();
        let callers = self
            .legs
            .iter()
            .filter(|leg| leg.side == CALLER && leg.state == State::Up)
            .count();
        self.agents[agent].is_busy = false;
        self.agents[agent].free_at = (self.in_window && callers > busy).then_some(now);
    }

    fn arm(&mut self, at: u64, n: usize, timer: Timer) {
        self.timers
            .push(Reverse((at, n, self.legs[n].generation, timer)));
    }

    fn transmit(&mut self, side: usize, text: &str) {
        if self.sides[side]
            .sip
            .send_to(text.as_bytes(), self.plan.engine)
            .is_err()
        {
            self.counts.not_sent += 1;
        }
    }

    /// Sends `self.text`, and keeps it for sending again where `n` is a leg.
    fn transmit_text(&mut self, side: usize, keep: Option<usize>) {
        let text = std::mem::take(&mut self.text);
        self.transmit(side, &text);
        if let Some(n) = keep {
            self.legs[n].last.clone_from(&text);
        }
        self.text = text;
    }

    /// A caller calls.
    pub(super) fn invite(&mut self, now: u64) {
        let Some(n) = self.new_leg(CALLER) else {
            return;
        };
        let (local, engine) = (self.sides[CALLER].local, self.plan.engine);
        self.body.clear();
        text::sdp(&mut self.body, self.sides[CALLER].rtp_at, n + 1);
        let leg = &mut self.legs[n];
        leg.state = State::Inviting;
        leg.invited_at = now;
        write!(leg.call_id, "{:x}-{n}-{}", self.seed, leg.generation).expect("a string takes all");
        write!(leg.from, "<sip:{n}@{local}>;tag={}", leg.tag).expect("a string takes all");
        write!(leg.target, "sip:{}@{engine}", self.plan.to).expect("a string takes all");
        write!(leg.to, "<{}>", leg.target).expect("a string takes all");
        self.counts.begun += 1;
        let body = std::mem::take(&mut self.body);
        self.request(n, "INVITE", &body, true);
        self.body = body;
        self.arm(now + T1_NS, n, Timer::Resend);
    }

    /// A request of this leg, with its current CSeq.
    fn request(&mut self, n: usize, method: &str, body: &str, keep: bool) {
        self.request_with(n, method, "", body, keep);
    }

    fn request_with(&mut self, n: usize, method: &str, more: &str, body: &str, keep: bool) {
        let leg = &self.legs[n];
        let user = if leg.side == CALLER {
            n.to_string()
        } else {
            "load".to_string()
        };
        // An ACK for a 200 is a transaction of its own; its branch differs by the method.
        let branch = format!(
            "{:x}.{n}.{}.{}.{method}",
            self.seed, leg.generation, leg.cseq
        );
        text::request(
            &mut self.text,
            &Request {
                method,
                target: &leg.target,
                local: self.sides[leg.side].local,
                branch: &branch,
                from: &leg.from,
                to: &leg.to,
                call_id: &leg.call_id,
                cseq: leg.cseq,
                route: &leg.route,
                more,
                contact_user: &user,
                body,
            },
        );
        let side = leg.side;
        self.transmit_text(side, keep.then_some(n));
    }

    pub(super) fn bye(&mut self, n: usize, now: u64) {
        self.stop_voice(n);
        self.free_agent(n, now);
        let leg = &mut self.legs[n];
        leg.state = State::Ending;
        leg.cseq += 1;
        leg.resends = 0;
        leg.ended_at = now;
        self.request(n, "BYE", "", true);
        self.arm(now + T1_NS, n, Timer::Resend);
    }

    pub(super) fn timers(&mut self, now: u64) {
        while let Some(Reverse((at, n, generation, timer))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            let leg = &self.legs[n];
            if leg.generation != generation {
                continue;
            }
            match (timer, leg.state) {
                (Timer::Resend, State::Inviting | State::Answered | State::Ending) => {
                    self.resend(n, now)
                }
                (Timer::HangUp, State::Up) => self.bye(n, now),
                (Timer::Answer, State::Ringing) => {
                    let invite = std::mem::take(&mut self.legs[n].last);
                    if let Some(lines) = Lines::scan(invite.as_bytes()) {
                        self.accept(n, &lines, now);
                    }
                }
                (Timer::Resend | Timer::HangUp | Timer::Answer, _) => {}
            }
        }
    }

    fn resend(&mut self, n: usize, now: u64) {
        if self.legs[n].resends >= RESENDS_MAX {
            self.fail(n, 0, now);
            return;
        }
        self.legs[n].resends += 1;
        self.counts.resent += 1;
        let (side, last) = (self.legs[n].side, std::mem::take(&mut self.legs[n].last));
        self.transmit(side, &last);
        self.legs[n].last = last;
        self.arm(
            now + (T1_NS << self.legs[n].resends.min(T2_DOUBLINGS)),
            n,
            Timer::Resend,
        );
    }

    fn fail(&mut self, n: usize, code: u16, now: u64) {
        self.counts.failed += 1;
        *self.codes.entry(code).or_default() += 1;
        self.free_leg(n, now);
    }

    /// A datagram on the SIP socket of a side.
    pub(super) fn message(&mut self, side: usize, datagram: &[u8]) {
        let Some(lines) = Lines::scan(datagram) else {
            return;
        };
        let now = self.now();
        let leg = match side {
            CALLER => self.caller_leg(lines.call_id),
            _ => self.callee_legs.get(lines.call_id).copied(),
        };
        match (lines.status(), leg) {
            (Some(401), Some(n)) if side == CALLEE && self.plan.password.is_some() => {
                self.challenged(n, datagram, &lines, now)
            }
            (Some(code), Some(n)) => self.on_response(n, code, &lines, now),
            // A response to something that is over.
            (Some(_), None) => {}
            (None, leg) => self.on_request(side, leg, datagram, &lines, now),
        }
    }

    /// Call-IDs of callers say where their leg is.
    fn caller_leg(&self, call_id: &str) -> Option<usize> {
        let mut parts = call_id.split('-');
        let seed = u32::from_str_radix(parts.next()?, 16).ok()?;
        let n: usize = parts.next()?.parse().ok()?;
        let generation: u32 = parts.next()?.parse().ok()?;
        let leg = self.legs.get(n)?;
        (seed == self.seed && leg.generation == generation).then_some(n)
    }

    fn on_response(&mut self, n: usize, code: u16, lines: &Lines<'_>, now: u64) {
        let state = self.legs[n].state;
        match (lines.method(), code, state) {
            ("INVITE", 100..200, State::Inviting) => self.legs[n].state = State::Proceeding,
            ("INVITE", 200..300, State::Inviting | State::Proceeding) => {
                let leg = &mut self.legs[n];
                leg.to.clear();
                leg.to.push_str(lines.to);
                leg.target.clear();
                leg.target.push_str(text::uri(lines.contact));
                leg.route.clear();
                for route in lines
                    .record_route
                    .iter()
                    .rev()
                    .filter(|route| !route.is_empty())
                {
                    write!(leg.route, "Route: {route}\r\n").expect("a string takes all");
                }
                leg.state = State::Up;
                self.counts.answered += 1;
                let ms = (now - leg.invited_at) as f64 / 1e6;
                self.invite_to_answer.add(ms);
                self.request(n, "ACK", "", false);
                self.start_voice(n, lines.rtp());
                if self.plan.hold_ms > 0 {
                    self.arm(now + self.plan.hold_ms * 1_000_000, n, Timer::HangUp);
                }
            }
            ("INVITE", 200..300, State::Up | State::Ending) => {
                self.counts.engine_resent += 1;
                let cseq = std::mem::replace(&mut self.legs[n].cseq, 1);
                self.request(n, "ACK", "", false);
                self.legs[n].cseq = cseq;
            }
            ("INVITE", 300.., State::Inviting | State::Proceeding) => {
                self.refused(n, lines);
                self.fail(n, code, now);
            }
            ("BYE", 200..300, State::Ending) => {
                self.bye_to_answer
                    .add((now - self.legs[n].ended_at) as f64 / 1e6);
                self.ended(n, now);
            }
            ("BYE", 300.., State::Ending) => self.fail(n, code, now),
            _ => {}
        }
    }

    /// An engine may want to know that it is the agent's phone who hangs up.
    fn challenged(&mut self, n: usize, datagram: &[u8], lines: &Lines<'_>, now: u64) {
        let leg = &self.legs[n];
        let is_first = leg.state == State::Ending && leg.cseq == 2;
        let challenge = Message::parse(datagram)
            .ok()
            .filter(|_| is_first && lines.method() == "BYE")
            .and_then(|message| DigestChallenge::choose(&message, Name::WwwAuthenticate));
        let (Some(challenge), Some(password)) = (challenge, &self.plan.password) else {
            return self.on_response(n, 401, lines, now);
        };
        let usage = Use {
            nc: 1,
            cnonce: "0a4f113b",
        };
        let user = text::user(text::uri(&leg.from));
        let answer = challenge.authorize(user, password, Method::Bye, &leg.target, usage);
        self.legs[n].cseq += 1;
        self.legs[n].resends = 0;
        self.request_with(n, "BYE", &format!("Authorization: {answer}\r\n"), "", true);
    }

    /// The ACK for a refusal belongs to the INVITE's transaction (RFC 3261 §17.1.1.3).
    fn refused(&mut self, n: usize, lines: &Lines<'_>) {
        let leg = &self.legs[n];
        let branch = format!("{:x}.{n}.{}.1.INVITE", self.seed, leg.generation);
        text::request(
            &mut self.text,
            &Request {
                method: "ACK",
                target: &leg.target,
                local: self.sides[CALLER].local,
                branch: &branch,
                from: &leg.from,
                to: lines.to,
                call_id: &leg.call_id,
                cseq: 1,
                route: "",
                more: "",
                contact_user: "load",
                body: "",
            },
        );
        self.transmit_text(CALLER, None);
    }

    fn ended(&mut self, n: usize, now: u64) {
        match self.legs[n].side {
            CALLER => self.counts.ended += 1,
            _ => self.counts.callee_ended += 1,
        }
        self.free_leg(n, now);
    }

    fn respond(&mut self, side: usize, lines: &Lines<'_>, line: &str, tag: &str, body: &str) {
        text::response(
            &mut self.text,
            lines,
            line,
            tag,
            self.sides[side].local,
            body,
        );
        self.transmit_text(side, None);
    }

    fn on_request(
        &mut self,
        side: usize,
        leg: Option<usize>,
        datagram: &[u8],
        lines: &Lines<'_>,
        now: u64,
    ) {
        match (lines.first.split(' ').next().unwrap_or_default(), leg) {
            ("INVITE", Some(n)) => self.again_or_reinvite(n, lines),
            ("INVITE", None) if side == CALLEE => self.called(datagram, lines, now),
            ("INVITE", None) => self.respond(side, lines, "404 Not Found", "x", ""),
            ("ACK", Some(n)) if self.legs[n].state == State::Answered => {
                self.legs[n].state = State::Up;
                self.counts.callee_answered += 1;
                if self.plan.talk_ms > 0 {
                    let talk = self.plan.talk_ms * 1_000_000;
                    // Uniform in 0.5 to 1.5, so that nothing falls into step with an engine's own clock.
                    let talk = if self.agents.is_empty() {
                        talk
                    } else {
                        talk / 2 + self.rng.next_u64() % talk
                    };
                    self.arm(now + talk, n, Timer::HangUp);
                }
                self.start_voice(n, None);
            }
            ("ACK", _) => {}
            ("BYE", leg) => {
                self.respond(side, lines, "200 OK", "", "");
                if let Some(n) = leg {
                    self.ended(n, now);
                }
            }
            ("CANCEL", leg) => {
                self.respond(side, lines, "200 OK", "", "");
                if let Some(n) =
                    leg.filter(|n| matches!(self.legs[*n].state, State::Ringing | State::Answered))
                {
                    let tag = std::mem::take(&mut self.legs[n].tag);
                    let cseq = lines.cseq.replace("CANCEL", "INVITE");
                    let invite = Lines {
                        cseq: &cseq,
                        first: "",
                        from: lines.from,
                        to: lines.to,
                        call_id: lines.call_id,
                        contact: "",
                        body: "",
                        via: lines.via,
                        record_route: lines.record_route,
                    };
                    self.respond(side, &invite, "487 Request Terminated", &tag, "");
                    self.ended(n, now);
                }
            }
            (_, _) => self.respond(side, lines, "200 OK", "o", ""),
        }
    }

    /// The same INVITE again, or a new one within the dialog.
    fn again_or_reinvite(&mut self, n: usize, lines: &Lines<'_>) {
        let side = self.legs[n].side;
        match self.legs[n].state {
            State::Up => {
                let rtp_at = self.sides[side].rtp_at;
                let mut body = String::new();
                text::sdp(&mut body, rtp_at, n + 1);
                if let Some(rtp) = lines.rtp() {
                    self.legs[n].voice.to = Some(rtp);
                }
                let tag = self.legs[n].tag.clone();
                self.respond(side, lines, "200 OK", &tag, &body);
            }
            State::Answered => {
                self.counts.engine_resent += 1;
                let last = std::mem::take(&mut self.legs[n].last);
                self.transmit(side, &last);
                self.legs[n].last = last;
            }
            State::Ringing => self.counts.engine_resent += 1,
            State::Free | State::Inviting | State::Proceeding | State::Ending => {}
        }
    }

    /// The engine calls somebody on the callee side.
    fn called(&mut self, datagram: &[u8], lines: &Lines<'_>, now: u64) {
        self.counts.callee_invites += 1;
        let agent = lines
            .called()
            .strip_prefix('a')
            .and_then(|number| number.parse::<usize>().ok())
            .filter(|agent| *agent < self.agents.len());
        if let Some(agent) = agent {
            if self.agents[agent].is_busy {
                self.counts.busy += 1;
                return self.respond(CALLEE, lines, "486 Busy Here", "b", "");
            }
            self.agents[agent].is_busy = true;
            if let Some(free_at) = self.agents[agent].free_at.take() {
                self.free_to_invite.add((now - free_at) as f64 / 1e6);
            }
        }
        let Some(n) = self.new_leg(CALLEE) else {
            return;
        };
        let caller = text::user(text::uri(lines.from))
            .parse::<usize>()
            .ok()
            .and_then(|n| self.legs.get(n));
        if let Some(caller) = caller.filter(|leg| leg.side == CALLER && leg.state != State::Free) {
            self.invite_to_callee
                .add((now - caller.invited_at) as f64 / 1e6);
        }
        let leg = &mut self.legs[n];
        leg.state = State::Ringing;
        leg.agent = agent;
        leg.invited_at = now;
        leg.call_id.push_str(lines.call_id);
        leg.to.push_str(lines.from);
        write!(leg.from, "{};tag={}", lines.to, leg.tag).expect("a string takes all");
        leg.target.push_str(text::uri(lines.contact));
        for route in lines.record_route.iter().filter(|route| !route.is_empty()) {
            write!(leg.route, "Route: {route}\r\n").expect("a string takes all");
        }
        leg.voice.to = lines.rtp();
        let tag = leg.tag.clone();
        self.callee_legs.insert(lines.call_id.to_string(), n);
        self.respond(CALLEE, lines, "180 Ringing", &tag, "");
        if self.plan.answer_ms == 0 {
            self.accept(n, lines, now);
        } else {
            self.legs[n].last = String::from_utf8_lossy(datagram).into_owned();
            self.arm(now + self.plan.answer_ms * 1_000_000, n, Timer::Answer);
        }
    }

    fn accept(&mut self, n: usize, lines: &Lines<'_>, now: u64) {
        let (local, rtp_at) = (self.sides[CALLEE].local, self.sides[CALLEE].rtp_at);
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        text::sdp(&mut body, rtp_at, n + 1);
        text::response(
            &mut self.text,
            lines,
            "200 OK",
            &self.legs[n].tag,
            local,
            &body,
        );
        self.body = body;
        self.legs[n].state = State::Answered;
        self.transmit_text(CALLEE, Some(n));
        self.arm(now + T1_NS, n, Timer::Resend);
    }

    /// Registers every agent with digest, some at a time, and waits for all.
    pub(super) fn register_agents(&mut self) -> anyhow::Result<()> {
        let password = self.plan.password.clone().unwrap_or_default();
        let begin = Instant::now();
        let mut buffer = vec![0u8; 65_536];
        let mut begun = 0;
        while self.counts.registered + self.counts.refused < self.agents.len() {
            anyhow::ensure!(
                begin.elapsed() < REGISTER_PATIENCE,
                "{} of {} agents are registered",
                self.counts.registered,
                self.agents.len()
            );
            while begun < self.agents.len()
                && begun < self.counts.registered + self.counts.refused + REGISTERING_MAX
            {
                self.register(begun, 1, "");
                begun += 1;
            }
            let socket = &self.sides[CALLEE].sip;
            let mut fds = [rustix::event::PollFd::new(
                socket,
                rustix::event::PollFlags::IN,
            )];
            let timeout = rustix::event::Timespec {
                tv_sec: 0,
                tv_nsec: 100_000_000,
            };
            rustix::event::poll(&mut fds, Some(&timeout))?;
            while let Ok((len, _)) = self.sides[CALLEE].sip.recv_from(&mut buffer) {
                self.on_registered(&buffer[..len], &password)
                    .context("a registration")?;
            }
        }
        anyhow::ensure!(
            self.counts.refused == 0,
            "{} agents were refused",
            self.counts.refused
        );
        Ok(())
    }

    fn register(&mut self, agent: usize, cseq: u32, more: &str) {
        let (local, engine, seed) = (self.sides[CALLEE].local, self.plan.engine, self.seed);
        let (user, aor) = (
            format!("a{agent:03}"),
            format!("<sip:a{agent:03}@{engine}>"),
        );
        text::request(
            &mut self.text,
            &Request {
                method: "REGISTER",
                target: &format!("sip:{engine}"),
                local,
                branch: &format!("{seed:x}.r{agent}.{cseq}"),
                from: &format!("{aor};tag=r{seed:x}{agent}"),
                to: &aor,
                call_id: &format!("{seed:x}r{agent}"),
                cseq,
                route: "",
                more: &format!("Expires: 3600\r\n{more}"),
                contact_user: &user,
                body: "",
            },
        );
        self.transmit_text(CALLEE, None);
    }

    fn on_registered(&mut self, datagram: &[u8], password: &str) -> anyhow::Result<()> {
        let Ok(message) = Message::parse(datagram) else {
            return Ok(());
        };
        let Some(lines) = Lines::scan(datagram) else {
            return Ok(());
        };
        let (Some(status), "REGISTER") = (lines.status(), lines.method()) else {
            return Ok(());
        };
        let agent: usize = text::user(text::uri(lines.to))
            .trim_start_matches('a')
            .parse()
            .context("an answer for nobody")?;
        match status {
            100..200 => {}
            200..300 => self.counts.registered += 1,
            401 if lines.cseq.starts_with("1 ") => {
                let challenge = DigestChallenge::choose(&message, Name::WwwAuthenticate)
                    .context("a challenge without a question")?;
                let usage = Use {
                    nc: 1,
                    cnonce: "0a4f113b",
                };
                let (user, uri) = (format!("a{agent:03}"), format!("sip:{}", self.plan.engine));
                let answer = challenge.authorize(&user, password, Method::Register, &uri, usage);
                self.register(agent, 2, &format!("Authorization: {answer}\r\n"));
            }
            _ => self.counts.refused += 1,
        }
        Ok(())
    }
}
