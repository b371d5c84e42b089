//! The language of the stories: one line is one input; one event or command is one line.

use call::Command;
use call::input::{AgentAction, Input, Origin};
use model::event::{AttestationLevel, Verdict};
use model::heard::{Evidence, Tone};
use model::{
    AgentId, AttemptId, Cause, Fact, Lead, LeadId, LegId, LookupId, OfferId, PhoneNumber, PlayId,
    RecordingId,
};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

/// `anna is ready` before the story begins: phone, sign-in, ready. Settings are not inputs.
pub fn given(text: &str) -> Vec<Input> {
    let Some(agent) = text.strip_suffix(" is ready") else {
        assert!(text.contains(" = "), "nothing is given by {text:?}");
        return Vec::new();
    };
    let agent: AgentId = name(agent);
    vec![
        Input::PhoneReachable {
            agent,
            reachable: true,
        },
        Input::Agent {
            agent,
            action: AgentAction::SignIn,
        },
        Input::Agent {
            agent,
            action: AgentAction::Ready,
        },
    ]
}

/// What a line says is seen; nothing for `later`.
pub fn input(text: &str) -> Option<Input> {
    let words = words(text);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Some(match words[..] {
        ["later"] => return None,
        ["leg", leg, "arrives", "from", trunk, caller, "to", called] => Input::LegArrived {
            leg: number(leg),
            from: Origin::Trunk(name(trunk)),
            caller: caller.into(),
            caller_name: None,
            called: called.into(),
        },
        ["anna's", "phone", "dials", code, "on", "leg", leg] => Input::LegArrived {
            leg: number(leg),
            from: Origin::Agent(name("anna")),
            caller: "anna".into(),
            caller_name: None,
            called: code.into(),
        },
        ["leg", leg, ref does @ ..] => leg_does(number(leg), does),
        ["agent", agent, ref does @ ..] => Input::Agent {
            agent: name(agent),
            action: action(does),
        },
        ["phone", "of", agent, "is", there] => Input::PhoneReachable {
            agent: name(agent),
            reachable: there == "there",
        },
        ["screen", "has", "offer", offer] => Input::ScreenPopped {
            offer: number(offer),
            on_socket: true,
        },
        ["no", "screen", "for", "offer", offer] => Input::ScreenPopped {
            offer: number(offer),
            on_socket: false,
        },
        ["recording", id, "is", "written"] => Input::RecordingWritten {
            recording: number(id),
            file: "rec.wav".into(),
            seconds: 1.0,
        },
        ["recording", id, "fails"] => Input::RecordingFailed {
            recording: number(id),
            why: "disk full".into(),
        },
        ["lookup", id, "finds", key, value] => Input::LookupAnswered {
            lookup: number(id),
            result: Ok(BTreeMap::from([(key.into(), value.into())])),
        },
        ["store", "supplies", ref leads @ ..] => Input::LeadsSupplied {
            campaign: name("spring"),
            leads: supplied(leads),
            exhausted: true,
        },
        ["lead", id, "is", "made", "of", who, "for", agent] => Input::LeadAdded {
            agent: name(agent),
            campaign: name("spring"),
            number: who.parse().unwrap(),
            lead: Some(Box::new(lead(id.parse().unwrap(), who))),
        },
        ["claim", attempt, "is", "stored"] => Input::ClaimStored {
            attempt: number(attempt),
        },
        ["claim", attempt, "is", "refused"] => Input::ClaimRefused {
            attempt: number(attempt),
            store_failed: false,
        },
        ["lead", lead, "is", "withdrawn"] => Input::LeadWithdrawn { lead: number(lead) },
        ["nobody", "may", "call", who] => Input::DoNotCall {
            number: who.parse().unwrap(),
        },
        [by, "sets", setting, "of", campaign, "to", value] => {
            setting_of(by, setting, campaign, value)
        }
        ["campaign", campaign, "runs"] => Input::SetCampaignRunning {
            campaign: name(campaign),
            running: true,
        },
        ["queue", queue, "closes"] => Input::SetQueueOpen {
            queue: name(queue),
            open: false,
        },
        ["trunk", trunk, "is", up] => Input::TrunkChanged {
            trunk: name(trunk),
            up: up == "up",
        },
        ["drain"] => Input::Drain,
        ["cut", "off"] => Input::CutOff,
        _ => panic!("no story says {text:?}"),
    })
}

/// `+12125550101 day=7 +12125550102`: numbers, each with the fields of its lead behind it.
fn supplied(words: &[&str]) -> Vec<Lead> {
    let mut leads: Vec<Lead> = Vec::new();
    for word in words {
        match word.split_once('=') {
            Some((name, value)) => {
                let lead = leads.last_mut().expect("fields follow a number");
                lead.fields.insert(name.into(), value.into());
            }
            None => leads.push(lead(leads.len() as u64 + 1, word)),
        }
    }
    leads
}

fn setting_of(by: &str, setting: &str, campaign: &str, value: &str) -> Input {
    let (campaign, by) = (name(campaign), by.to_string());
    match setting {
        "limit" => Input::SetCampaignAbandonLimit {
            campaign,
            limit_pct: value.parse().unwrap(),
            by,
        },
        "level" => Input::SetCampaignPowerLevel {
            campaign,
            power_level: value.parse().unwrap(),
            by,
        },
        "in-flight" => Input::SetCampaignMaxInFlight {
            campaign,
            max_in_flight: value.parse().unwrap(),
            by,
        },
        _ => panic!("nobody sets {setting}"),
    }
}

fn leg_does(leg: LegId, does: &[&str]) -> Input {
    match does {
        ["rings"] => Input::LegRinging { leg },
        ["answers"] => Input::LegAnswered { leg },
        ["hangs", "up"] => Input::LegEnded {
            leg,
            cause: Cause::Normal,
        },
        ["ends", why] => Input::LegEnded {
            leg,
            cause: cause(why),
        },
        ["fails", why] => Input::LegFailed {
            leg,
            cause: cause(why),
        },
        ["holds"] => Input::LegHeld { leg, held: true },
        ["resumes"] => Input::LegHeld { leg, held: false },
        ["loses", "media"] => Input::MediaLost { leg },
        ["presses", digit] => Input::DigitPressed {
            leg,
            digit: digit.parse().unwrap(),
        },
        ["heard", play] => Input::PromptFinished {
            leg,
            play: number(play),
        },
        ["has", "beeped"] => Input::BeepEnded { leg },
        ["claims", "attestation", level] => Input::LegAttested {
            leg,
            level: match *level {
                "A" => AttestationLevel::A,
                "B" => AttestationLevel::B,
                "C" => AttestationLevel::C,
                other => panic!("no level is called {other}"),
            },
        },
        ["is", "a", who, odds @ ..] => Input::LegClassified {
            leg,
            verdict: match *who {
                "machine" => Verdict::Machine,
                "person" => Verdict::Person,
                _ => panic!("nobody is a {who}"),
            },
            evidence: match odds {
                ["by", log_odds] => Some(Box::new(Evidence {
                    log_odds: log_odds.parse().unwrap(),
                    ..Evidence::default()
                })),
                _ => None,
            },
        },
        ["is", "suspected", "by", log_odds] => Input::LegSuspected {
            leg,
            evidence: Some(Box::new(Evidence {
                log_odds: log_odds.parse().unwrap(),
                ..Evidence::default()
            })),
        },
        ["is", "not", "suspected"] => Input::LegSuspected {
            leg,
            evidence: None,
        },
        ["speaks", "since", began_ms] => Input::GreetingHeard {
            leg,
            began_ms: began_ms.parse().ok(),
            ended_ms: None,
        },
        ["spoke", "from", began_ms, "to", ended_ms] => Input::GreetingHeard {
            leg,
            began_ms: began_ms.parse().ok(),
            ended_ms: ended_ms.parse().ok(),
        },
        ["has", "said", "nothing"] => Input::GreetingHeard {
            leg,
            began_ms: None,
            ended_ms: None,
        },
        ["plays", tone] => Input::ToneHeard {
            leg,
            tone: tone_of(tone),
        },
        _ => panic!("no leg does {does:?}"),
    }
}

fn action(does: &[&str]) -> AgentAction {
    match does {
        ["signs", "in"] => AgentAction::SignIn,
        ["signs", "out"] => AgentAction::SignOut,
        ["is", "ready"] => AgentAction::Ready,
        ["is", "not", "ready", reason] => AgentAction::NotReady {
            reason: name(reason),
        },
        ["hangs", "up"] => AgentAction::HangUp,
        ["holds"] => AgentAction::Hold { held: true },
        ["resumes"] => AgentAction::Hold { held: false },
        ["declines"] => AgentAction::Decline,
        ["dials"] => AgentAction::Preview { accept: true },
        ["skips"] => AgentAction::Preview { accept: false },
        ["dials", number] => AgentAction::Dial {
            number: number.parse().unwrap(),
            campaign: None,
        },
        ["is", "done"] => AgentAction::WrapUpDone,
        ["needs", s, "s", "more"] => AgentAction::ExtendWrapUp {
            by: Duration::from_secs(s.parse().unwrap()),
        },
        ["disposes", disposition, rest @ ..] => AgentAction::Dispose {
            disposition: name(disposition),
            note: None,
            callback_at: None,
            do_not_call: *rest == ["never", "again"],
        },
        _ => panic!("no agent does {does:?}"),
    }
}

fn lead(id: u64, number: &str) -> Lead {
    let number: PhoneNumber = number.parse().unwrap();
    Lead {
        name: Some(format!("Person {id}")),
        ..Lead::new(LeadId(id), name("spring"), vec![number])
    }
}

/// An event in one line, its fields in the order of the vocabulary. Pacing has its own tests.
pub fn event_line(fact: &Fact) -> Option<String> {
    match fact {
        Fact::PacingDecided { .. } => None,
        // What the law was asked about is the lead, which the story has just told.
        Fact::AttemptClaimed { basis: Some(_), .. } => {
            let mut fact = fact.clone();
            if let Fact::AttemptClaimed { basis, .. } = &mut fact {
                *basis = None;
            }
            event_line(&fact)
        }
        Fact::CallClassified {
            evidence: Some(odds),
            ..
        } => {
            let log_odds = odds.log_odds;
            let mut fact = fact.clone();
            if let Fact::CallClassified { evidence, .. } = &mut fact {
                *evidence = None;
            }
            Some(format!("{} log_odds={log_odds}", event_line(&fact)?))
        }
        _ => Some(format!("{}{}", fact.kind(), fields(&format!("{fact:?}")))),
    }
}

/// A command in one line.
pub fn command_line(command: &Command) -> String {
    match command {
        Command::PopScreen(pop) => {
            let of = match (pop.queue, pop.campaign) {
                (Some(queue), _) => format!("queue={queue}"),
                (None, campaign) => format!("campaign={campaign:?}"),
            };
            let about: Vec<String> = pop
                .variables
                .iter()
                .map(|(name, value)| format!(" {name}={value:?}"))
                .collect();
            format!(
                "PopScreen {:?} {} agent={} {} caller={:?} {of} path={:?}{}",
                pop.phase,
                pop.offer,
                pop.agent,
                pop.call,
                pop.caller,
                pop.ivr_path,
                about.concat()
            )
        }
        // Hundreds of numbers; the dialer's tests look at them.
        Command::SaveLearned { campaign, .. } => format!("SaveLearned campaign={campaign}"),
        other => {
            let text = format!("{other:?}");
            let name = text.split([' ', '(']).next().unwrap().to_string();
            format!("{name}{}", fields(&text))
        }
    }
}

/// ` a=1 b=2` out of `Name { a: 1, b: Some(2), c: None }`.
fn fields(debug: &str) -> String {
    let Some((_, inside)) = debug.split_once(" { ") else {
        return String::new();
    };
    let inside = inside.strip_suffix(" }").unwrap_or(inside);
    inside
        .split(", ")
        .filter(|field| !field.ends_with(": None"))
        .map(|field| {
            let (name, value) = field.split_once(": ").unwrap_or((field, ""));
            let value = value
                .strip_prefix("Some(")
                .and_then(|v| v.strip_suffix(')'))
                .unwrap_or(value);
            format!(" {name}={value}")
        })
        .collect()
}

fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words
}

fn name<T: FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

/// Numbered ids of boot 0.
fn number<T: Numbered>(text: &str) -> T {
    T::of(text.parse().unwrap())
}

trait Numbered {
    fn of(n: u64) -> Self;
}
macro_rules! numbered {
    ($($name:ident),*) => { $(impl Numbered for $name { fn of(n: u64) -> Self { $name(n) } })* };
}
numbered!(
    LegId,
    PlayId,
    OfferId,
    RecordingId,
    LookupId,
    AttemptId,
    LeadId
);

/// `sit_vacant_code` for `SitVacantCode`.
fn tone_of(text: &str) -> Tone {
    let table: toml::Table = toml::from_str(&format!("t = \"{text}\"")).unwrap();
    table["t"].clone().try_into().unwrap()
}

fn cause(text: &str) -> Cause {
    let table: toml::Table = toml::from_str(&format!("c = \"{text}\"")).unwrap();
    table["c"].clone().try_into().unwrap()
}
