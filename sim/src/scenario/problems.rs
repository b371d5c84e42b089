//! Everything that can be wrong with a scenario beyond its syntax, all of it at once.

use super::{Controller, Profile, Scenario, Spread};
use model::CampaignId;
use std::collections::BTreeSet;
use std::fmt;

/// Most agents of a scenario: names and tables are made for each.
pub const AGENTS_MAX: usize = 20_000;
/// Longest shift. A day is what one calling window allows.
pub const HOURS_MAX: f64 = 24.0;
/// Most runs, and most days of one: a year of shifts is more than any law looks back.
const SHIFTS_MAX: u32 = 100_000;
const DAYS_MAX: u32 = 366;
/// Longest delay or spread that is one, in seconds.
const SECONDS_MAX: f64 = 3_600.0;
/// SIP waits no longer: 64·T1 (RFC 3261 §9.1).
const CANCEL_DELAY_S_MAX: f64 = 32.0;

/// Something in a scenario that cannot stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `leave[1].share`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.path, self.message, self.remedy)
    }
}

#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn say(&mut self, path: impl Into<String>, message: impl Into<String>, remedy: &str) {
        self.0.push(Problem {
            path: path.into(),
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    /// A number that must lie in a range, its ends included.
    fn within(&mut self, path: impl Into<String>, x: f64, low: f64, high: f64) {
        if !(low..=high).contains(&x) {
            self.say(
                path,
                format!("{x} is not from {low} to {high}"),
                "correct the number",
            );
        }
    }

    /// A number that must be above 0.
    fn above_zero(&mut self, path: impl Into<String>, x: f64, high: f64) {
        if !(x > 0.0 && x <= high) {
            self.say(
                path,
                format!("{x} is not above 0 and at most {high}"),
                "correct the number",
            );
        }
    }

    fn spread(&mut self, path: impl Into<String>, spread: &Spread) {
        if let Some((message, remedy)) = spread.problem() {
            self.say(path, message, remedy);
        }
    }

    fn profile(&mut self, path: impl Into<String>, profile: &Profile, high: f64) {
        if let Some((message, remedy)) = profile.problem(0.0..=high) {
            self.say(path, message, remedy);
        }
    }
}

impl Scenario {
    /// Everything that is wrong with it, empty where nothing is.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Found::default();
        found.within("agents", self.agents as f64, 1.0, AGENTS_MAX as f64);
        found.within("start_spread_s", self.start_spread_s, 0.0, SECONDS_MAX);
        found.within(
            "cancel_delay_s",
            self.cancel_delay_s,
            0.0,
            CANCEL_DELAY_S_MAX,
        );
        found.profile("answer_rate", &self.answer_rate, 1.0);
        found.profile("answer_delay_s", &self.answer_delay_s, SECONDS_MAX);
        for (path, spread) in [
            ("ring", Some(&self.ring)),
            ("no_answer", self.no_answer.as_ref()),
            ("talk", Some(&self.talk)),
            ("wrap_up", Some(&self.wrap_up)),
            ("greeting", self.greeting.as_ref()),
            ("verdict", Some(&self.verdict)),
            ("machine_talk", Some(&self.machine_talk)),
            ("inbound_talk", self.inbound_talk.as_ref()),
            ("voice.press_after", Some(&self.voice.press_after)),
        ] {
            if let Some(spread) = spread {
                found.spread(path, spread);
            }
        }
        if let Some(other) = &self.other_talk {
            found.within("other_talk.share", other.share, 0.0, 1.0);
            found.spread("other_talk.talk", &other.talk);
        }
        for (path, share) in [
            ("quick_fail_share", self.quick_fail_share),
            ("machine_share", self.machine_share),
            ("false_positive_share", self.false_positive_share),
            ("false_negative_share", self.false_negative_share),
            ("slow_share", self.slow_share),
            ("voice.press_share", self.voice.press_share),
            ("voice.opt_out_share", self.voice.opt_out_share),
            ("voice.hang_up_share", self.voice.hang_up_share),
        ] {
            found.within(path, share, 0.0, 1.0);
        }
        let voice = &self.voice;
        let of_voice = voice.press_share + voice.opt_out_share + voice.hang_up_share;
        if of_voice > 1.0 + 1e-9 {
            found.say(
                "voice",
                format!("press_share, opt_out_share and hang_up_share add up to {of_voice}"),
                "let them be no more than 1 together",
            );
        }
        found.within("voice.message_s", voice.message_s, 0.0, SECONDS_MAX);
        if !self.detect_machines && self.false_positive_share + self.false_negative_share > 0.0 {
            found.say(
                "detect_machines",
                "the detector has errors, and no campaign uses it",
                "set detect_machines = true, or take its errors away",
            );
        }
        if !self.detect_machines && self.greeting.is_some() {
            found.say(
                "greeting",
                "nobody listens to what people say",
                "set detect_machines = true, or take the greeting away",
            );
        }
        found.within("slow_factor", self.slow_factor, 0.1, 100.0);
        found.within("ring_timeout_s", self.ring_timeout_s, 15.0, 59.0);
        found.within("patience_s", self.patience_s, 0.0, SECONDS_MAX);
        if let Some(drop_timer_s) = self.drop_timer_s {
            found.within("drop_timer_s", drop_timer_s, 0.0, SECONDS_MAX);
        }
        for (n, leave) in self.leave.iter().enumerate() {
            found.within(format!("leave[{n}].share"), leave.share, 0.0, 1.0);
            found.within(format!("leave[{n}].at_h"), leave.at_h, 0.0, HOURS_MAX);
            found.within(format!("leave[{n}].for_h"), leave.for_h, 0.0, HOURS_MAX);
        }
        found.within("inbound_per_hour", self.inbound_per_hour, 0.0, 1e6);
        found.above_zero(
            "inbound_patience_s",
            self.inbound_patience_s,
            24.0 * SECONDS_MAX,
        );
        found.within("lines", f64::from(self.lines), 1.0, 1e6);
        found.above_zero("calls_per_second", self.calls_per_second, 10_000.0);
        found.above_zero("hours", self.hours, HOURS_MAX);
        found.within("days", f64::from(self.days), 1.0, f64::from(DAYS_MAX));
        if self.settle_days >= self.days {
            found.say(
                "settle_days",
                format!("{} of {} days leave none", self.settle_days, self.days),
                "use fewer than days",
            );
        }
        for (n, agents) in self.table_agents.iter().enumerate() {
            let path = format!("table_agents[{n}]");
            found.within(path, *agents as f64, 1.0, AGENTS_MAX as f64);
        }
        found.within("shifts", f64::from(self.shifts), 1.0, f64::from(SHIFTS_MAX));
        if let Some(controller) = &self.controller
            && let Err(error) = controller.parse::<Controller>()
        {
            found.say("controller", error.to_string(), "use one of those");
        }
        self.leads(&mut found);
        self.campaigns(&mut found);
        found.0
    }

    fn leads(&self, found: &mut Found) {
        found.within("lead_spread", self.lead_spread, 1.0, 100.0);
        if let Some(chance) = &self.lead_chance {
            found.above_zero("lead_chance.concentration", chance.concentration, 1_000.0);
            found.within("lead_chance.known_within", chance.known_within, 1.0, 100.0);
            let rates = self.answer_rate.rates();
            if !rates
                .first()
                .is_some_and(|rate| (0.001..=0.99).contains(rate))
            {
                found.say(
                    "answer_rate",
                    "leads with chances of their own need a mean between 0.001 and 0.99",
                    "correct the number",
                );
            }
        }
        if let Some(leads) = self.leads {
            found.within("leads", f64::from(leads), 1.0, 1e6);
        }
        for (n, class) in self.lead_class.iter().enumerate() {
            found.within(format!("lead_class[{n}].share"), class.share, 0.0, 1.0);
            found.profile(format!("lead_class[{n}].factor"), &class.factor, 100.0);
        }
        let shares: f64 = self.lead_class.iter().map(|class| class.share).sum();
        if shares > 1.0 + 1e-9 {
            found.say(
                "lead_class",
                format!("the shares add up to {shares}"),
                "let them be no more than 1 together",
            );
        }
    }

    fn campaigns(&self, found: &mut Found) {
        let mut names = BTreeSet::new();
        for (n, campaign) in self.campaign.iter().enumerate() {
            let at = |field: &str| format!("campaign[{n}].{field}");
            match campaign.name.parse::<CampaignId>() {
                Err(_) => found.say(
                    at("name"),
                    format!("\"{}\" is no name", campaign.name),
                    "use letters, digits, - and _",
                ),
                Ok(_) if campaign.name == super::build::HOTLINE => found.say(
                    at("name"),
                    "the hotline is where customers call",
                    "choose another name",
                ),
                Ok(name) => {
                    if !names.insert(name) {
                        found.say(
                            at("name"),
                            format!("there are two campaigns \"{name}\""),
                            "choose another name for one",
                        );
                    }
                }
            }
            if let Some(controller) = &campaign.controller {
                match controller.parse::<Controller>() {
                    Err(error) => found.say(
                        at("controller"),
                        error.to_string(),
                        "use predictive, progressive, power:X or agentless",
                    ),
                    Ok(
                        controller @ (Controller::Ratio(_)
                        | Controller::Adapt(_)
                        | Controller::Informed),
                    ) => found.say(
                        at("controller"),
                        format!("{controller} paces all campaigns of a run or none"),
                        "use predictive, progressive, power:X or agentless",
                    ),
                    Ok(
                        Controller::Predictive
                        | Controller::Progressive
                        | Controller::Power(_)
                        | Controller::Agentless,
                    ) => {}
                }
            }
            if let Some(rate) = &campaign.answer_rate {
                found.profile(at("answer_rate"), rate, 1.0);
            }
            if let Some(talk) = &campaign.talk {
                found.spread(at("talk"), talk);
            }
            found.within(at("agent_from"), campaign.agent_from, 0.0, 1.0);
            found.above_zero(at("agent_share"), campaign.agent_share, 1.0);
            if campaign.agent_from + campaign.agent_share > 1.0 + 1e-9 {
                found.say(
                    at("agent_share"),
                    "agent_from and agent_share go beyond all agents",
                    "let them be no more than 1 together",
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_judges_world_stands() {
        assert_eq!(Scenario::default().problems(), []);
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let scenario: Scenario = toml::from_str(
            "agents = 0\nanswer_rate = 1.5\nfalse_positive_share = 0.1\ngreeting = { mean_s = 1.0, cv = 0.5 }\n\
             leave = [{ at_h = 1.0, share = 2.0, for_h = 1.0 }]\n\
             [[campaign]]\nname = \"hotline\"\ncontroller = \"adapt-hard\"\n\
             [[lead_class]]\nname = \"a\"\nshare = 0.7\nfactor = 2.0\n\
             [[lead_class]]\nname = \"b\"\nshare = 0.7\nfactor = [{ from_h = 1.0, factor = 2.0 }]\n",
        )
        .unwrap();
        let paths: Vec<String> = scenario
            .problems()
            .into_iter()
            .map(|problem| problem.path)
            .collect();
        assert_eq!(
            paths,
            [
                "agents",
                "answer_rate",
                "detect_machines",
                "greeting",
                "leave[0].share",
                "lead_class[1].factor",
                "lead_class",
                "campaign[0].name",
                "campaign[0].controller"
            ]
        );
    }
}
