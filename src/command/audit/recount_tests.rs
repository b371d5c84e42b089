//! Logs in which each rule is kept to the last microsecond, and the same logs with the rule broken.

use super::*;
use model::event::Verdict;
use model::screen_pop::Direction;
use model::{Now, OfferId};
use std::time::Duration;

pub(crate) const NEW_YORK: &str = "+12125550100";
const MIAMI: &str = "+13055550100";
pub(crate) const LONDON: &str = "+442079460100";

/// Writes a log.
pub(crate) struct Log {
    pub(crate) now: Now,
    pub(crate) seq: u64,
    id: u64,
    sets: &'static str,
    pub(crate) recount: Recount,
}

/// What a dial is, beside its number.
#[derive(Clone, Default)]
pub(crate) struct Lead {
    pub(crate) id: u64,
    pub(crate) person: &'static str,
    pub(crate) zone: Option<&'static str>,
    pub(crate) columns: &'static [(&'static str, &'static str)],
    pub(crate) reserved: bool,
    pub(crate) prerecorded: bool,
    /// What the campaign assumes: persons taken for machines, machines among the abandoned.
    pub(crate) mistakes: (f64, f64),
}

pub(crate) fn utc(text: &str) -> Utc {
    Utc::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

fn campaign() -> CampaignId {
    "spring".parse().unwrap()
}

impl Log {
    pub(crate) fn at(sets: &'static str, at: &str) -> Log {
        Log {
            now: Now {
                mono: Mono::from_micros(1),
                utc: utc(at),
            },
            seq: 0,
            id: 0,
            sets,
            recount: Recount::new(dialer::rules::embedded().clone()),
        }
    }

    pub(crate) fn wait_us(&mut self, us: u64) -> &mut Log {
        self.now = self.now.plus(Duration::from_micros(us));
        self
    }

    fn wait_h(&mut self, hours: u64) -> &mut Log {
        self.wait_us(hours * 3_600 * SECOND_US)
    }

    /// Sets the wall clock; the other one goes on with it.
    fn until(&mut self, at: &str) -> &mut Log {
        let us = utc(at).as_micros() - self.now.utc.as_micros();
        self.wait_us(u64::try_from(us).unwrap())
    }

    pub(crate) fn say(&mut self, fact: Fact) {
        self.seq += 1;
        let (seq, at) = (self.seq, self.now);
        self.recount.apply(&Event { seq, at, fact });
    }

    /// The process is killed, and another one starts.
    pub(crate) fn restart(&mut self) {
        self.seq = 0;
        self.recount.bind(dialer::rules::embedded().clone());
    }

    fn next(&mut self) -> u64 {
        self.id += 1;
        self.id
    }

    pub(crate) fn claim(&mut self, number: &str, lead: &Lead) -> AttemptId {
        let attempt = AttemptId(self.next());
        let id = if lead.id > 0 { lead.id } else { attempt.0 };
        let person = match lead.person {
            "" => LeadId(id).to_string(),
            person => person.to_string(),
        };
        self.say(Fact::AttemptClaimed {
            attempt,
            campaign: campaign(),
            lead: LeadId(id),
            list: "l".parse().unwrap(),
            number: number.parse().unwrap(),
            basis: Some(Box::new(DialBasis {
                rules: self.sets.split(' ').map(str::to_string).collect(),
                person,
                time_zone: lead.zone.map(str::to_string),
                columns: lead
                    .columns
                    .iter()
                    .map(|(name, value)| (name.to_string(), value.to_string()))
                    .collect(),
                agent_reserved: lead.reserved,
                prerecorded: lead.prerecorded,
                false_positive_pct: lead.mistakes.0,
                abandoned_machines_pct: lead.mistakes.1,
            })),
        });
        attempt
    }

    pub(crate) fn dial(&mut self, attempt: AttemptId, number: &str) {
        self.say(Fact::CallDialled {
            call: CallId(attempt.0),
            leg: LegId(attempt.0),
            trunk: "carrier".parse().unwrap(),
            campaign: campaign(),
            attempt,
            lead: LeadId(attempt.0),
            number: number.parse().unwrap(),
            caller_id: "+12125559999".into(),
        });
    }

    pub(crate) fn answered(&mut self, attempt: AttemptId) {
        let (leg, call) = (LegId(attempt.0), CallId(attempt.0));
        self.say(Fact::LegAnswered { leg, call });
    }

    pub(crate) fn ended(&mut self, attempt: AttemptId, outcome: AttemptOutcome) {
        self.say(Fact::AttemptEnded {
            attempt,
            campaign: campaign(),
            lead: LeadId(attempt.0),
            outcome,
            cause: None,
            rang_us: 0,
            next_at: None,
        });
    }

    pub(crate) fn over(&mut self, attempt: AttemptId, by: Party, cause: Cause) {
        self.say(Fact::CallEnded {
            call: CallId(attempt.0),
            direction: Direction::Outbound,
            by,
            cause,
        });
    }

    pub(crate) fn bridged(&mut self, attempt: AttemptId) {
        self.say(Fact::CallBridged {
            call: CallId(attempt.0),
            agent: "anna".parse().unwrap(),
            customer_leg: LegId(attempt.0),
            agent_leg: LegId(OfferId(attempt.0).0 + 1_000_000),
        });
    }

    /// Dials, and the phone is busy.
    pub(crate) fn busy(&mut self, number: &str, lead: &Lead) -> &mut Log {
        let attempt = self.claim(number, lead);
        self.dial(attempt, number);
        self.ended(attempt, AttemptOutcome::Busy);
        self.over(attempt, Party::Customer, Cause::Busy);
        self
    }

    /// Dials, and an agent talks; after `waited_us`.
    pub(crate) fn talk(&mut self, number: &str, lead: &Lead, waited_us: u64) -> &mut Log {
        let attempt = self.claim(number, lead);
        self.dial(attempt, number);
        self.answered(attempt);
        self.wait_us(waited_us);
        self.bridged(attempt);
        self.ended(attempt, AttemptOutcome::AnsweredAgent);
        self.over(attempt, Party::Agent, Cause::Normal);
        self
    }

    /// Dials, and nobody is there; the message begins after `message_us`.
    pub(crate) fn abandon(
        &mut self,
        number: &str,
        lead: &Lead,
        message_us: Option<u64>,
    ) -> &mut Log {
        let attempt = self.claim(number, lead);
        self.dial(attempt, number);
        self.answered(attempt);
        self.wait_us(message_us.unwrap_or(2 * SECOND_US));
        self.ended(attempt, AttemptOutcome::Abandoned);
        if message_us.is_some() {
            self.say(Fact::CallMessageStarted {
                call: CallId(attempt.0),
                prompt: "abandon".into(),
            });
        }
        self.wait_us(5 * SECOND_US);
        self.over(attempt, Party::System, Cause::Normal);
        self
    }

    /// The rules that were broken so far, in order; forgets them.
    pub(crate) fn broken(&mut self) -> Vec<String> {
        self.recount
            .breaches
            .drain(..)
            .map(|breach| breach.rule)
            .collect()
    }

    pub(crate) fn broken_at_the_end(&mut self) -> Vec<String> {
        self.recount.close();
        self.broken()
    }
}

/// What one dial at that instant breaks.
fn one(sets: &'static str, number: &str, lead: &Lead, at: &str) -> Vec<String> {
    let mut log = Log::at(sets, at);
    log.busy(number, lead).broken()
}

pub(crate) const ANYONE: Lead = Lead {
    id: 0,
    person: "",
    zone: None,
    columns: &[],
    reserved: false,
    prerecorded: false,
    mistakes: (0.0, 0.0),
};

#[test]
fn a_dial_outside_the_hours_of_the_place_is_found() {
    let us = |number: &str, at: &str| one("us", number, &ANYONE, at);
    assert_eq!(us(NEW_YORK, "2026-07-02T00:59:59.999999Z"), [""; 0]);
    assert_eq!(us(NEW_YORK, "2026-07-02T01:00:00Z"), ["US-5"]);
    assert_eq!(us(NEW_YORK, "2026-07-01T11:59:59.999999Z"), ["US-5"]);
    assert_eq!(us(NEW_YORK, "2026-07-01T12:00:00Z"), [""; 0]);
    // Winter time begins on 1 November 2026.
    assert_eq!(us(NEW_YORK, "2026-11-01T12:59:59Z"), ["US-5"]);
    assert_eq!(us(MIAMI, "2026-07-02T00:00:00Z"), ["FL-1"]);
    assert_eq!(us(MIAMI, "2026-07-01T23:59:59.999999Z"), [""; 0]);
    // Two zones, a Sunday, a holiday.
    assert_eq!(us("+18505550100", "2026-07-01T12:30:00Z"), ["US-5", "FL-1"]);
    assert_eq!(us("+12055550100", "2026-06-28T17:00:00Z"), ["ST-AL"]);
    assert_eq!(us("+12155550100", "2026-07-03T17:00:00Z"), ["ST-PA"]);
    assert_eq!(us("+12155550100", "2026-07-06T17:00:00Z"), [""; 0]);
    // Toll-free: Honolulu, then Rhode Island.
    assert!(us("+18005550100", "2026-06-30T17:59:59Z").contains(&"US-5".to_string()));
    assert_eq!(us("+18005550100", "2026-06-30T18:00:00Z"), [""; 0]);
    assert_eq!(us("+18005550100", "2026-06-30T22:00:00Z"), ["ST-RI"]);
    assert_eq!(
        us("+999555010001", "2026-06-30T18:00:00Z"),
        ["ZONE-UNKNOWN"]
    );
    let canadian = |at: &str| one("ca", "+14165550100", &ANYONE, at);
    assert_eq!(canadian("2026-06-27T21:59:59Z"), [""; 0]);
    assert_eq!(canadian("2026-06-27T22:00:00Z"), ["CA-1"]);
}

#[test]
fn an_address_moves_the_hours() {
    let at = "2026-07-02T00:30:00Z";
    let with = |zone, columns| {
        let lead = Lead {
            zone,
            columns,
            ..ANYONE
        };
        one("us", "+14045550100", &lead, at)
    };
    assert_eq!(with(None, &[]), [""; 0]);
    for columns in [
        &[("state", "FL")][..],
        &[("state", "Florida")][..],
        &[("postal_code", "33101")][..],
    ] {
        assert_eq!(with(None, columns), ["FL-1"], "{columns:?}");
    }
    assert_eq!(with(Some("America/Halifax"), &[]), ["US-5"]);
    assert_eq!(with(None, &[("postal_code", "02139")]), ["ST-MA"]);
}

#[test]
fn the_dialer_and_the_recount_agree_on_every_number_and_hour() {
    // Two reckonings that share the tables only, at every hour of days with a clock change.
    use dialer::calling_window::check_calls;
    use dialer::zone::ZoneBook;
    let (book, atlas) = (ZoneBook::default(), Atlas::read());
    let sets = [dialer::rules::embedded()["us"].clone()];
    let mut asked = 0;
    let rows = dialer::zone::AREAS
        .lines()
        .filter(|line| !line.starts_with('#'));
    for (n, code) in rows.flat_map(|row| row.split(' ').skip(2)).enumerate() {
        let number: PhoneNumber = format!("+1{code}5550100").parse().unwrap();
        for hour in 0..24 {
            let days = [
                "2026-03-08T00:30:00Z",
                "2026-11-01T00:30:00Z",
                "2026-11-26T00:30:00Z",
            ];
            let at = utc(days[n % 3]).plus_micros(hour * HOUR_US);
            let lead = model::Lead::new(LeadId(1), "l".parse().unwrap(), vec![number]);
            let dialler = check_calls(&sets, &book.place(&lead, number), false, at).is_ok();
            let there = atlas.whereabouts(number, &DialBasis::default());
            let recount = sets[0]
                .rules
                .iter()
                .filter(|rule| rule.calls == Calls::All)
                .all(|rule| {
                    let mut zones = atlas.bound(rule, &there).into_iter();
                    zones.all(|zone| closed(rule, atlas.clock(&zone, at).unwrap()).is_none())
                });
            assert_eq!(dialler, recount, "{code} at {at}");
            asked += 1;
        }
    }
    assert!(asked > 10_000, "{asked}");
}

#[test]
fn a_fourth_call_on_the_subject_and_an_eighth_about_the_debt_are_found() {
    let roof = Lead {
        person: "ann",
        columns: &[("subject", "roof")],
        ..ANYONE
    };
    let mut log = Log::at("us", "2026-06-01T16:00:00Z");
    for number in ["+13055550101", "+13055550102", "+13055550103"] {
        log.busy(number, &roof);
    }
    assert_eq!(log.broken(), [""; 0]);
    let car = Lead {
        columns: &[("subject", "car")],
        ..roof.clone()
    };
    assert_eq!(log.busy("+13055550104", &car).broken(), [""; 0]);
    assert_eq!(log.wait_h(1).busy("+13055550104", &roof).broken(), ["FL-1"]);
    assert_eq!(log.wait_h(23).busy("+13055550105", &roof).broken(), [""; 0]);

    let debtor = Lead {
        columns: &[("debt", "d-1")],
        ..ANYONE
    };
    let mut log = Log::at("us regf", "2026-06-01T16:00:00Z");
    (0..7).for_each(|_| {
        log.busy(NEW_YORK, &debtor);
    });
    assert_eq!(log.broken(), [""; 0]);
    assert_eq!(
        log.busy("+12125550101", &debtor).broken(),
        ["REGF-1", "REGF-1"],
        "in both sets"
    );
    assert_eq!(
        log.busy("+12125550101", &ANYONE).broken(),
        ["REGF-1"],
        "no debt"
    );
}

#[test]
fn a_call_after_a_conversation_about_the_debt_is_found() {
    let debtor = Lead {
        columns: &[("debt", "d-1")],
        ..ANYONE
    };
    let mut log = Log::at("us", "2026-06-01T16:00:00Z");
    log.talk(NEW_YORK, &debtor, SECOND_US);
    assert_eq!(
        log.until("2026-06-08T15:59:59Z")
            .busy(NEW_YORK, &debtor)
            .broken(),
        ["REGF-1"]
    );
    let agreed = Lead {
        columns: &[
            ("debt", "d-1"),
            ("consent", "direct"),
            ("consent_at", "2026-06-07"),
        ],
        ..ANYONE
    };
    assert_eq!(log.busy(NEW_YORK, &agreed).broken(), [""; 0]);
    assert_eq!(
        log.until("2026-06-08T16:00:02Z")
            .busy(NEW_YORK, &debtor)
            .broken(),
        [""; 0]
    );
}

#[test]
fn a_number_that_should_rest_is_found_unless_an_agent_was_held() {
    let held = Lead {
        reserved: true,
        ..ANYONE
    };
    let mut log = Log::at("uk", "2026-06-01T12:00:00Z");
    log.abandon(LONDON, &ANYONE, Some(SECOND_US));
    assert_eq!(log.wait_h(1).busy(LONDON, &held).broken(), [""; 0]);
    assert_eq!(log.wait_h(70).busy(LONDON, &ANYONE).broken(), ["UK-2a"]);
    assert_eq!(log.wait_h(1).busy(LONDON, &ANYONE).broken(), [""; 0]);
}

#[test]
fn a_dial_after_the_objection_is_found() {
    let mut log = Log::at("us", "2026-06-01T16:00:00Z");
    log.busy(NEW_YORK, &ANYONE);
    log.say(Fact::DoNotCallAdded {
        number: NEW_YORK.parse().unwrap(),
    });
    assert_eq!(log.busy(MIAMI, &ANYONE).broken(), [""; 0]);
    assert_eq!(log.wait_us(1).busy(NEW_YORK, &ANYONE).broken(), ["DNC"]);
}

#[test]
fn an_old_national_list_is_found() {
    let mut log = Log::at("us", "2026-06-01T16:00:00Z");
    log.say(Fact::DoNotCallLoaded {
        list: "us".parse().unwrap(),
        kind: DoNotCallKind::National,
        as_of: Some(utc("2026-05-02T00:00:00Z")),
        numbers: 1,
    });
    assert_eq!(log.busy(NEW_YORK, &ANYONE).broken(), [""; 0]);
    assert_eq!(log.wait_h(24).busy(NEW_YORK, &ANYONE).broken(), ["US-6"]);
}

#[test]
fn a_recording_without_consent_is_found() {
    let at = "2026-06-15T16:00:00Z";
    let recorded = |columns| {
        let lead = Lead {
            prerecorded: true,
            columns,
            ..ANYONE
        };
        one("us", NEW_YORK, &lead, at)
    };
    assert_eq!(recorded(&[]), ["US-7", "US-8"]);
    assert_eq!(
        recorded(&[
            ("consent", "written"),
            ("consent_at", "2026-06-01"),
            ("rnd_answer", "no"),
            ("rnd_at", "2026-06-10"),
        ]),
        [""; 0]
    );
    assert_eq!(
        recorded(&[
            ("consent", "written"),
            ("consent_at", "2026-06-16"),
            ("rnd_answer", "yes"),
            ("rnd_at", "2026-06-10"),
        ]),
        ["US-7", "US-8"]
    );
    let opted = Lead {
        prerecorded: true,
        columns: &[("consent", "opt_in"), ("consent_at", "2026-01-01")],
        ..ANYONE
    };
    assert_eq!(
        one("de eu", "+493055550100", &opted, "2026-06-15T12:00:00Z"),
        [""; 0]
    );
    let nobody = Lead {
        prerecorded: true,
        ..ANYONE
    };
    assert_eq!(
        one("de eu", "+493055550100", &nobody, "2026-06-15T12:00:00Z"),
        ["EU-1"]
    );
}

#[test]
fn a_call_given_up_too_early_is_found_and_one_that_was_refused_is_not() {
    let given_up = |ring_us: Option<u64>, total_us: u64, by, cause| {
        let mut log = Log::at("us", "2026-06-01T16:00:00Z");
        let attempt = log.claim(NEW_YORK, &ANYONE);
        log.dial(attempt, NEW_YORK);
        if let Some(ring_us) = ring_us {
            log.wait_us(total_us - ring_us);
            let (leg, call) = (LegId(attempt.0), CallId(attempt.0));
            log.say(Fact::LegRinging { leg, call });
            log.wait_us(ring_us);
        } else {
            log.wait_us(total_us);
        }
        log.over(attempt, by, cause);
        log.ended(attempt, AttemptOutcome::NoAnswer);
        log.broken()
    };
    let (s, us) = (SECOND_US, 1);
    assert_eq!(
        given_up(Some(15 * s), 18 * s, Party::System, Cause::NoAnswer),
        [""; 0]
    );
    assert_eq!(
        given_up(Some(15 * s - us), 26 * s, Party::System, Cause::NoAnswer),
        ["US-2"]
    );
    assert_eq!(
        given_up(Some(3 * s), 9 * s, Party::System, Cause::Cancelled),
        ["US-2"]
    );
    assert_eq!(
        given_up(None, 14 * s, Party::System, Cause::NoAnswer),
        ["US-2"]
    );
    assert_eq!(
        given_up(Some(3 * s), 9 * s, Party::Customer, Cause::NoAnswer),
        [""; 0]
    );
}

#[test]
fn the_time_until_a_call_that_is_given_up_is_over_is_no_ringing() {
    let given_up_after = |ring_us| {
        let mut log = Log::at("us", "2026-06-01T16:00:00Z");
        let attempt = log.claim(NEW_YORK, &ANYONE);
        log.dial(attempt, NEW_YORK);
        let (leg, call) = (LegId(attempt.0), CallId(attempt.0));
        log.say(Fact::LegRinging { leg, call });
        log.wait_us(ring_us);
        let cause = Cause::Cancelled;
        log.say(Fact::LegGivenUp { leg, call, cause });
        log.wait_us(3 * SECOND_US);
        log.over(attempt, Party::System, cause);
        log.ended(attempt, AttemptOutcome::Cancelled);
        log.broken()
    };
    assert_eq!(given_up_after(15 * SECOND_US), [""; 0]);
    assert_eq!(given_up_after(15 * SECOND_US - 1), ["US-2"]);
}

#[test]
fn a_late_or_missing_message_is_found_and_an_early_hang_up_is_none() {
    let message = |message_us| {
        let mut log = Log::at("us", "2026-06-01T16:00:00Z");
        log.abandon(NEW_YORK, &ANYONE, message_us).broken()
    };
    assert_eq!(message(Some(2 * SECOND_US)), [""; 0]);
    assert_eq!(message(Some(2 * SECOND_US + 1)), ["US-3"]);
    assert_eq!(message(None), ["US-3"]);
    // The person is gone before the two seconds are over.
    let mut log = Log::at("us", "2026-06-01T16:00:00Z");
    let attempt = log.claim(NEW_YORK, &ANYONE);
    log.dial(attempt, NEW_YORK);
    log.answered(attempt);
    log.wait_us(2 * SECOND_US);
    log.over(attempt, Party::Customer, Cause::Normal);
    log.ended(attempt, AttemptOutcome::Abandoned);
    assert_eq!(log.broken(), [""; 0]);
}

#[test]
fn somebody_connected_too_late_is_found_and_counts_as_abandoned() {
    let mut log = Log::at("us", "2026-06-01T16:00:00Z");
    assert_eq!(log.talk(NEW_YORK, &ANYONE, 2 * SECOND_US).broken(), [""; 0]);
    assert_eq!(
        log.talk(NEW_YORK, &ANYONE, 2 * SECOND_US + 1).broken(),
        ["US-1"]
    );
    assert_eq!(log.broken_at_the_end(), ["US-1"], "one of two in 30 days");
}

#[test]
fn a_lead_that_is_live_twice_and_an_attempt_that_is_dialled_twice_are_found() {
    let ann = Lead { id: 7, ..ANYONE };
    let mut log = Log::at("us", "2026-06-01T16:00:00Z");
    log.claim(NEW_YORK, &ann);
    log.claim(NEW_YORK, &ann);
    assert_eq!(log.broken(), ["ONE-ATTEMPT"]);
    let attempt = log.claim(NEW_YORK, &ANYONE);
    log.dial(attempt, NEW_YORK);
    assert_eq!(log.broken(), [""; 0]);
    log.dial(attempt, NEW_YORK);
    assert_eq!(log.broken(), ["ONE-DIAL"]);
    let other = log.claim(NEW_YORK, &ANYONE);
    log.dial(other, MIAMI);
    assert_eq!(
        log.broken(),
        ["ONE-DIAL"],
        "another number than was claimed"
    );
}

#[test]
fn a_breach_names_rule_campaign_call_time_and_text() {
    let mut log = Log::at("us", "2026-07-02T01:00:00Z");
    log.busy(NEW_YORK, &ANYONE);
    let breach = log.recount.breaches.remove(0);
    assert_eq!(breach.campaign, Some(campaign()));
    assert_eq!(breach.call, Some(CallId(1)));
    assert_eq!(breach.at, utc("2026-07-02T01:00:00Z"));
    assert!(breach.text.starts_with("47 CFR 64.1200(c)(1)"));
    assert_eq!(
        breach.about,
        "+1212***00 is dialled on Wednesday 21:00:00 in America/New_York"
    );
}

/// Somebody is classified so long after the answer, and has an agent or the message later.
fn greeted(ended_ms: &[Option<u32>], waited_us: u64, is_there: bool) -> Vec<String> {
    let mut log = Log::at("us", "2026-06-01T16:00:00Z");
    let attempt = log.claim(NEW_YORK, &ANYONE);
    let call = CallId(attempt.0);
    log.dial(attempt, NEW_YORK);
    // A tone before the answer says nothing about a greeting.
    let classified = |greeting_ended_ms| Fact::CallClassified {
        call,
        verdict: Verdict::Person,
        agent: None,
        tone: None,
        greeting_began_ms: Some(300),
        greeting_ended_ms,
        evidence: None,
    };
    log.say(classified(Some(9_000)));
    log.wait_us(8 * SECOND_US);
    log.answered(attempt);
    log.wait_us(waited_us);
    for ended_ms in ended_ms {
        log.say(classified(*ended_ms));
    }
    if is_there {
        log.bridged(attempt);
        log.ended(attempt, AttemptOutcome::AnsweredAgent);
    } else {
        log.ended(attempt, AttemptOutcome::Abandoned);
        log.say(Fact::CallMessageStarted {
            call,
            prompt: "sorry".into(),
        });
    }
    log.over(attempt, Party::Agent, Cause::Normal);
    log.broken_at_the_end()
}

#[test]
fn the_two_seconds_begin_where_the_detector_placed_the_end_of_the_greeting() {
    let (s, tenth) = (SECOND_US, SECOND_US / 10);
    // The greeting ends 2.1 s after the answer.
    assert_eq!(greeted(&[Some(2_100)], 4 * s, true), [""; 0]);
    assert_eq!(greeted(&[Some(2_100)], 4 * s + tenth, true), [""; 0]);
    let late = ["US-1", "US-1"];
    assert_eq!(greeted(&[Some(2_100)], 4 * s + tenth + 1, true), late);
    // Only the first verdict since the answer places it; without it the answer counts.
    assert_eq!(greeted(&[Some(400), Some(2_100)], 4 * s, true), late);
    assert_eq!(greeted(&[None, Some(2_100)], 4 * s, true), late);
    assert_eq!(greeted(&[None], 2 * s, true), [""; 0]);
    assert_eq!(greeted(&[], 2 * s + 1, true), late);
    // The message of the abandoned is due at the same instant. One of one is over 3 %.
    assert_eq!(greeted(&[Some(2_100)], 4 * s + tenth, false), ["US-1"]);
    assert_eq!(greeted(&[Some(2_100)], 5 * s, false), ["US-3", "US-1"]);
}

/// A flow speaks, a key asks for an agent, a sentence is said, and somebody is there or nobody.
fn asked(wait_us: u64, is_there: bool) -> Vec<String> {
    let mut log = Log::at("us", "2026-06-01T16:00:00Z");
    let lead = Lead {
        prerecorded: true,
        columns: &[
            ("consent", "written"),
            ("consent_at", "2026-05-01"),
            ("rnd_answer", "no"),
            ("rnd_at", "2026-05-10"),
        ],
        ..ANYONE
    };
    let attempt = log.claim(NEW_YORK, &lead);
    let call = CallId(attempt.0);
    let flow = || "reminder".parse().unwrap();
    log.dial(attempt, NEW_YORK);
    log.answered(attempt);
    log.say(Fact::IvrEntered { call, flow: flow() });
    log.wait_us(7 * SECOND_US);
    log.say(Fact::IvrDigitsCollected {
        call,
        flow: flow(),
        node: "menu".into(),
        digits: Some("1".into()),
        count: 1,
    });
    log.wait_us(SECOND_US);
    log.say(Fact::IvrLeft {
        call,
        flow: flow(),
        node: "agent".into(),
        end: FlowEnd::Queued,
    });
    log.wait_us(wait_us - SECOND_US);
    if is_there {
        log.bridged(attempt);
        log.ended(attempt, AttemptOutcome::AnsweredAgent);
    } else {
        log.ended(attempt, AttemptOutcome::Abandoned);
        log.say(Fact::CallMessageStarted {
            call,
            prompt: "sorry".into(),
        });
    }
    log.over(attempt, Party::Customer, Cause::Normal);
    log.broken()
}

#[test]
fn where_a_flow_speaks_the_two_seconds_begin_with_the_key_press() {
    assert_eq!(asked(2 * SECOND_US, true), [""; 0]);
    assert_eq!(asked(2 * SECOND_US + 1, true), ["US-1"]);
    assert_eq!(asked(2 * SECOND_US, false), [""; 0]);
    assert_eq!(asked(2 * SECOND_US + 1, false), ["US-3"]);
}
