//! A predictive campaign on SIPp: phones of agents, a carrier whose customers answer as seldom and as late
//! as people do, and a supervisor who changes it while it runs.
//!
//! `TANDEM_LIVE=20` gives it a hundred agents and twenty minutes, and holds the agents' utilisation against
//! what the simulator says of the same numbers.

mod lab;

use lab::tools::{Sipp, Tool, invites_seen};
use lab::{Lab, Plan};
use model::event::{Fact, Mode};
use model::{AgentState, AttemptOutcome, Event, Rng, Utc};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// What one run is made of; times in seconds.
struct Numbers {
    agents: usize,
    seconds: u64,
    answer_rate: f64,
    ring_s: f64,
    ring_max_s: f64,
    /// When a call is given up; the customers' answers end before.
    ring_timeout_s: f64,
    busy_s: (f64, f64),
    talk_s: f64,
    talk_cv: f64,
    wrap_up_s: f64,
    leads: usize,
}

/// Of those who do not answer, so many are busy.
const BUSY_SHARE: f64 = 0.15;
/// The spread of the time until an answer, as the judged worlds have it.
const RING_CV: f64 = 0.53;

impl Numbers {
    /// Short, for every run of the tests.
    fn short() -> Numbers {
        Numbers {
            agents: 16,
            seconds: 45,
            answer_rate: 0.4,
            ring_s: 2.0,
            ring_max_s: 6.0,
            ring_timeout_s: 15.0,
            busy_s: (0.3, 1.0),
            talk_s: 6.0,
            talk_cv: 0.6,
            wrap_up_s: 1.0,
            leads: 1_500,
        }
    }

    /// A hundred agents, one person in five answers; talk is shortened so that twenty minutes hold
    /// two and a half thousand conversations.
    fn long(minutes: u64) -> Numbers {
        Numbers {
            agents: 100,
            seconds: minutes * 60,
            answer_rate: 0.2,
            ring_s: 10.0,
            ring_max_s: 24.0,
            ring_timeout_s: 26.0,
            busy_s: (3.0, 6.0),
            talk_s: 38.0,
            talk_cv: 1.0,
            wrap_up_s: 8.0,
            leads: 900 * minutes as usize,
        }
    }

    fn campaign(&self) -> String {
        format!(
            "mode = \"predictive\"\nrunning = false\nlists = [\"spring\"]\ntrunks = [\"carrier\"]\n\
             caller_id = \"+12125550100\"\nrules = [\"demo\"]\nabandon_prompt = \"abandon\"\n\
             abandon_limit_pct = 3.0\nring_timeout_ms = {}\nmax_attempts = 1\n",
            self.ring_timeout_s * 1_000.0
        )
    }

    /// People to call; the last digit of a number says what becomes of the call.
    fn list(&self, rng: &mut Rng) -> String {
        let mut list = String::from("phone\n");
        for n in 0..self.leads {
            let digit = if rng.chance(self.answer_rate) {
                0
            } else if rng.chance(BUSY_SHARE) {
                5
            } else {
                6
            };
            let line = n % 100_000;
            writeln!(list, "+1{}{line:06}{digit}", 201 + n / 100_000).expect("memory");
        }
        list
    }

    /// How long each call of the carrier takes: until the answer, until busy, of talk.
    fn times(&self, rng: &mut Rng) -> String {
        let mut times = String::from("SEQUENTIAL\n");
        for _ in 0..self.leads {
            let answer = rng
                .log_normal(self.ring_s, RING_CV)
                .clamp(0.5, self.ring_max_s);
            let busy = self.busy_s.0 + rng.unit() * (self.busy_s.1 - self.busy_s.0);
            let talk = rng.log_normal(self.talk_s, self.talk_cv).max(0.2);
            writeln!(
                times,
                "{:.0};{:.0};{:.0}",
                answer * 1e3,
                busy * 1e3,
                talk * 1e3
            )
            .expect("memory");
        }
        times
    }

    /// The same world for the simulator.
    fn scenario(&self) -> String {
        format!(
            "agents = {}\nanswer_rate = {:.2}\nhours = {:.4}\nshifts = 24\ncontroller = \"predictive\"\n\
             ring = {{ mean_s = {:.1}, cv = {RING_CV}, min_s = 0.5, max_s = {:.1} }}\nquick_fail_share = {BUSY_SHARE}\n\
             ring_timeout_s = {:.1}\ntalk = {{ mean_s = {:.1}, cv = {:.2}, min_s = 0.2 }}\n\
             wrap_up = {{ mean_s = {:.1}, cv = 0.0 }}\nlines = 500\ncalls_per_second = 50.0\n",
            self.agents,
            self.answer_rate,
            self.seconds as f64 / 3_600.0,
            self.ring_s,
            self.ring_max_s,
            self.ring_timeout_s,
            self.talk_s,
            self.talk_cv,
            self.wrap_up_s,
        )
    }
}

/// What the event log says of a stretch of time.
struct Seen {
    utilisation: f64,
    dialled: usize,
    connected: usize,
    abandoned: usize,
}

fn seen(events: &[Event], from: Utc, until: Utc) -> Seen {
    let is_inside = |at: Utc| from <= at && at < until;
    let mut since: BTreeMap<model::AgentId, (AgentState, Utc)> = BTreeMap::new();
    let (mut busy_us, mut signed_in_us) = (0i64, 0i64);
    let mut count = |state: AgentState, begin: Utc, end: Utc| {
        let us = end.min(until).as_micros() - begin.max(from).as_micros();
        if us > 0 && state != AgentState::SignedOut {
            signed_in_us += us;
            if matches!(state, AgentState::OnCall(_) | AgentState::WrapUp(_)) {
                busy_us += us;
            }
        }
    };
    let (mut dialled, mut connected, mut abandoned) = (0, 0, 0);
    for event in events {
        let at = event.at.utc;
        match &event.fact {
            Fact::AgentStateChanged { agent, is, .. } => {
                if let Some((was, begin)) = since.insert(*agent, (*is, at)) {
                    count(was, begin, at);
                }
            }
            Fact::CallDialled { .. } if is_inside(at) => dialled += 1,
            Fact::AttemptEnded { outcome, .. } if is_inside(at) => {
                connected += usize::from(*outcome == AttemptOutcome::AnsweredAgent);
                abandoned += usize::from(*outcome == AttemptOutcome::Abandoned);
            }
            _ => {}
        }
    }
    since
        .into_values()
        .for_each(|(state, begin)| count(state, begin, until));
    Seen {
        utilisation: busy_us as f64 / signed_in_us.max(1) as f64,
        dialled,
        connected,
        abandoned,
    }
}

fn set(lab: &Lab, change: &str) {
    let (status, answer) = lab.http("POST", "/v1/campaigns/spring", change);
    assert_eq!(status, 202, "{change}: {answer}");
}

fn now() -> Utc {
    tandem::clock::Clock::new().now().utc
}

#[test]
fn a_predictive_campaign_on_sipp_stays_within_the_law_and_follows_its_supervisor() {
    let minutes = std::env::var("TANDEM_LIVE")
        .ok()
        .map(|minutes| minutes.parse().expect("TANDEM_LIVE is a number of minutes"));
    let numbers = minutes.map_or_else(Numbers::short, Numbers::long);
    let mut rng = Rng::new(1);
    let names: Vec<String> = (1..=numbers.agents)
        .map(|n| format!("agent-{n:03}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut plan = Plan::new()
        .file("campaigns/spring.toml", &numbers.campaign())
        .leads("spring", &numbers.list(&mut rng));
    for name in &names {
        plan = plan.agent(name, &["spring"], (numbers.wrap_up_s * 1e3) as u64);
    }
    let mut lab = plan.start();
    let times = lab.folder.join("times.csv");
    std::fs::write(&times, numbers.times(&mut rng)).expect("files can be written");
    let carrier = Sipp::carrier(&lab, "carrier_of_campaign.xml").with(&[
        "-inf",
        times.to_str().expect("a path of ours"),
        "-l",
        "2000",
    ]);
    let carrier: Tool = carrier.start();
    let mut phones: Tool = Sipp::phones(&lab, &names, "agent_waits_for_bye.xml").start();
    for name in &names {
        lab.make_available(name);
    }

    // The campaign by itself.
    let began = now();
    lab.run_campaign("spring", true);
    let end = began + Duration::from_secs(numbers.seconds);
    lab.within(
        Duration::from_secs(numbers.seconds + 60),
        "its time passes",
        |_| (now() >= end).then_some(()),
    );
    let seen = seen(lab.events(), began, end);
    let cpu = lab.cpu();

    // The supervisor, while calls are up: a tighter limit, one that the law forbids, another mode, a pause.
    set(&lab, r#"{"abandon_limit_pct":2.0}"#);
    lab.fact("the limit changes", |fact| {
        matches!(fact, Fact::CampaignChanged { abandon_limit_pct: Some(limit), .. } if *limit == 2.0)
    });
    set(&lab, r#"{"abandon_limit_pct":4.5}"#);
    lab.fact("the law is asked", |fact| {
        matches!(fact, Fact::CampaignChangeRefused { .. })
    });
    set(&lab, r#"{"mode":"progressive"}"#);
    lab.fact("the mode changes", |fact| {
        matches!(
            fact,
            Fact::CampaignChanged {
                mode: Mode::Progressive,
                ..
            }
        )
    });
    set(&lab, r#"{"running":false}"#);
    let paused = lab.fact("it pauses", |fact| {
        matches!(
            fact,
            Fact::CampaignChanged {
                running: false,
                mode: Mode::Progressive,
                ..
            }
        )
    });
    lab.within(Duration::from_secs(600), "every call is over", |events| {
        let count = |is_it: fn(&Fact) -> bool| events.iter().filter(|e| is_it(&e.fact)).count();
        let begun = count(|fact| matches!(fact, Fact::CallDialled { .. }));
        (begun == count(|fact| matches!(fact, Fact::CallEnded { .. }))).then_some(())
    });
    let late = lab
        .events()
        .iter()
        .filter(|event| event.seq > paused.seq && matches!(event.fact, Fact::AttemptClaimed { .. }))
        .count();
    assert_eq!(late, 0, "nobody is dialled after the pause");

    // Both books, the carrier's and ours.
    drop(carrier);
    phones.quits_well();
    let invites = invites_seen(&lab);
    let dialled = lab.count(|fact| matches!(fact, Fact::CallDialled { .. }));
    assert_eq!(invites.len(), dialled, "INVITEs the carrier saw");
    let failed = lab.count(|fact| {
        matches!(fact, Fact::AttemptEnded { outcome, .. } if *outcome == AttemptOutcome::Failed)
    });
    assert_eq!(failed, 0, "attempts failed, which this carrier never lets");
    let answers = seen.connected + seen.abandoned;
    println!(
        "{} agents, {} s: {} dialled, {answers} answered, {} abandoned ({:.2} %), utilisation {:.2} %, {cpu:?} of processor time",
        numbers.agents,
        numbers.seconds,
        seen.dialled,
        seen.abandoned,
        100.0 * seen.abandoned as f64 / answers.max(1) as f64,
        100.0 * seen.utilisation,
    );
    // A campaign may owe one abandonment until it has answers enough.
    let allowed = (answers as f64 * 0.03).max(1.0);
    assert!(
        seen.abandoned as f64 <= allowed,
        "{} of {answers}",
        seen.abandoned
    );
    assert!(
        seen.connected > numbers.agents,
        "{} conversations",
        seen.connected
    );
    if minutes.is_some() {
        assert!(seen.abandoned as f64 <= answers as f64 * 0.03);
        let simulated = simulated(&lab, &numbers);
        println!("simulated utilisation {simulated:.2} %");
        assert!(
            (100.0 * seen.utilisation - simulated).abs() <= 2.0,
            "{:.2} % live, {simulated:.2} % simulated",
            100.0 * seen.utilisation
        );
    }
    lab.close();
}

/// What `tandem simulate` says of the same numbers, in per cent.
fn simulated(lab: &Lab, numbers: &Numbers) -> f64 {
    let file = lab.folder.join("scenario.toml");
    std::fs::write(&file, numbers.scenario()).expect("files can be written");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["simulate", "--json", "--scenario"])
        .arg(&file)
        .output()
        .expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    });
    report["utilisation_pct"].as_f64().expect("a number")
}
