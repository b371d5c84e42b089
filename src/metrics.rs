//! What Prometheus sees: a fold over events, plus gauges that the process sets from its own counters.
//!
//! Names start with `tandem_`, units are seconds, counters end in `_total`. No label carries a call,
//! a lead, a number or a name of a caller: labels are configured things and closed sets only.

use crate::media_io::LegCounters;
use crate::store::StoreCounters;
use model::cdr::Cdr;
use model::event::{OfferFailure, PacingLimit};
use model::screen_pop::Direction;
use model::{AgentId, AgentState, Cause, Event, Fact, QueueId, QueueOutcome};
use parking_lot::Mutex;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Waits in queues, in seconds: from at once to the longest a person stays.
const WAIT_BUCKETS: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0, 300.0, 600.0, 1_800.0,
];
/// Talks, in seconds.
const TALK_BUCKETS: &[f64] = &[
    10.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1_200.0, 3_600.0,
];
/// Screen pops and the control thread's lag, in seconds: the bound of a pop is 200 ms.
const FAST_BUCKETS: &[f64] = &[
    0.000_1, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5,
];

/// The states of the agents' gauge.
const AGENT_STATES: &[&str] = &[
    "signed_out",
    "not_ready",
    "available",
    "offered",
    "on_call",
    "wrap_up",
    "unreachable",
];

/// Numerator and denominator of a queue's service level.
#[derive(Clone, Copy, Default)]
struct ServiceLevel {
    answered_in_time: u64,
    counted: u64,
}

/// What the fold remembers beside the exported values.
#[derive(Default)]
struct Seen {
    agents: BTreeMap<AgentId, AgentState>,
    service: BTreeMap<QueueId, ServiceLevel>,
    sip: sip::endpoint::Counters,
    store: [u64; 4],
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $field:ident: $kind:ident($name:literal, $help:literal $(, $arg:expr)*)),* $(,)?) => {
        /// Every exported metric.
        pub struct Metrics {
            registry: Registry,
            seen: Mutex<Seen>,
            $($(#[$doc])* $field: $kind,)*
        }

        impl Metrics {
            /// All at zero.
            pub fn new() -> Metrics {
                let registry = Registry::new();
                $(
                    let $field = make::$kind($name, $help $(, $arg)*);
                    registry.register(Box::new($field.clone())).expect("every name is registered once");
                )*
                let metrics = Metrics { registry, seen: Mutex::default(), $($field),* };
                metrics.begin_at_zero();
                metrics
            }
        }

        /// The names of every exported metric, without `_bucket`, `_sum` and `_count`.
        pub fn metric_names() -> Vec<&'static str> {
            vec![$($name),*]
        }
    };
}

/// One constructor per kind of metric.
#[allow(
    non_snake_case,
    reason = "named like the kinds they make, for the macro above"
)]
mod make {
    use super::*;
    const VALID: &str = "names and buckets are constants and checked by a test";
    pub fn IntCounter(name: &str, help: &str) -> IntCounter {
        IntCounter::new(name, help).expect(VALID)
    }
    pub fn IntGauge(name: &str, help: &str) -> IntGauge {
        IntGauge::new(name, help).expect(VALID)
    }
    pub fn IntCounterVec(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        IntCounterVec::new(Opts::new(name, help), labels).expect(VALID)
    }
    pub fn IntGaugeVec(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        IntGaugeVec::new(Opts::new(name, help), labels).expect(VALID)
    }
    pub fn GaugeVec(name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        GaugeVec::new(Opts::new(name, help), labels).expect(VALID)
    }
    pub fn Gauge(name: &str, help: &str) -> Gauge {
        Gauge::new(name, help).expect(VALID)
    }
    pub fn Histogram(name: &str, help: &str, buckets: &[f64]) -> Histogram {
        Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())).expect(VALID)
    }
    pub fn HistogramVec(name: &str, help: &str, buckets: &[f64], labels: &[&str]) -> HistogramVec {
        HistogramVec::new(
            HistogramOpts::new(name, help).buckets(buckets.to_vec()),
            labels,
        )
        .expect(VALID)
    }
}

metrics! {
    calls: IntCounterVec("tandem_calls_total", "Calls begun.", &["direction"]),
    calls_live: IntGaugeVec("tandem_calls_live", "Calls whose customer's part is not over.", &["direction"]),
    calls_ended: IntCounterVec("tandem_calls_ended_total", "Calls ended.", &["direction", "cause"]),
    call_records: IntCounterVec("tandem_call_records_total", "Call records given, by outcome.", &["direction", "outcome"]),
    talk: HistogramVec("tandem_call_talk_seconds", "Talk without hold of bridged calls.", TALK_BUCKETS, &["direction"]),
    legs_live: IntGauge("tandem_legs_live", "Legs that have not ended."),
    legs: IntCounterVec("tandem_legs_total", "Legs begun.", &["role"]),

    queue_offered: IntCounterVec("tandem_queue_offered_total", "Visits that entered a queue.", &["queue"]),
    queue_refused: IntCounterVec("tandem_queue_refused_total", "Calls a queue would not take.", &["queue"]),
    queue_left: IntCounterVec("tandem_queue_left_total", "Visits that ended, by outcome.", &["queue", "outcome"]),
    queue_short: IntCounterVec("tandem_queue_short_abandons_total", "Abandons before the short-abandon threshold.", &["queue"]),
    queue_waiting: IntGaugeVec("tandem_queue_waiting", "Calls waiting now.", &["queue"]),
    queue_wait: HistogramVec("tandem_queue_wait_seconds", "Wait from enqueue to bridge or leave.", WAIT_BUCKETS, &["queue", "outcome"]),
    service_level: GaugeVec("tandem_queue_service_level_ratio", "Answered in time / (answered + abandoned late) since start; NaN without data.", &["queue"]),
    offers: IntCounterVec("tandem_offers_total", "Offers to agents: made, and what became of them.", &["result"]),

    agents: IntGaugeVec("tandem_agents", "Agents by state.", &["state"]),
    agent_seconds: GaugeVec("tandem_agent_state_seconds_total", "Time all agents spent in states that ended.", &["state"]),

    dials: IntCounterVec("tandem_dialer_dials_total", "Attempts claimed.", &["campaign"]),
    answers: IntCounterVec("tandem_dialer_answers_total", "Attempts answered by a live person.", &["campaign"]),
    attempts_ended: IntCounterVec("tandem_dialer_attempts_ended_total", "Attempts ended, by outcome.", &["campaign", "outcome"]),
    attempts_blocked: IntCounterVec("tandem_dialer_blocked_total", "Dials that a rule forbade.", &["campaign", "rule"]),
    attempts_live: IntGaugeVec("tandem_dialer_in_flight", "Attempts claimed and not ended.", &["campaign"]),
    abandon_rate: GaugeVec("tandem_dialer_abandon_rate_ratio", "Abandons / live answers over the law's period; NaN without data.", &["campaign"]),
    budget_left: GaugeVec("tandem_dialer_abandon_budget_left", "Abandons the period still allows.", &["campaign"]),
    expected_free: GaugeVec("tandem_dialer_expected_free_agents", "Agents expected to be free within the horizon.", &["campaign"]),
    expected_answers: GaugeVec("tandem_dialer_expected_answers", "Answers expected of calls in flight.", &["campaign"]),
    theta: GaugeVec("tandem_dialer_theta", "Risk a dial may carry now.", &["campaign"]),
    limited_by: IntGaugeVec("tandem_dialer_limited_by", "1 for what limits dialling now.", &["campaign", "limit"]),
    running: IntGaugeVec("tandem_campaign_running", "1 while a campaign runs.", &["campaign"]),

    ivr_entered: IntCounterVec("tandem_ivr_entered_total", "Calls that entered a flow.", &["flow"]),
    ivr_left: IntCounterVec("tandem_ivr_left_total", "Calls that left a flow, by how.", &["flow", "end"]),
    ivr_errors: IntCounterVec("tandem_ivr_input_errors_total", "No-input and no-match at a node.", &["flow", "kind"]),

    screen_pop: Histogram("tandem_screen_pop_seconds", "From an offer to its pop written to the agent's socket.", FAST_BUCKETS),
    screen_pops: IntCounterVec("tandem_screen_pops_total", "Screen pops, by whether a screen was there.", &["on_socket"]),
    crm_lookups: IntCounterVec("tandem_crm_lookups_total", "Lookups in the CRM, by result.", &["result"]),
    webhooks: IntCounterVec("tandem_webhook_deliveries_total", "Webhook tries, by result.", &["endpoint", "result"]),
    outbox_depth: IntGaugeVec("tandem_outbox_depth", "Webhook messages that wait, and dead letters.", &["endpoint", "state"]),

    sip_messages: IntCounterVec("tandem_sip_messages_total", "SIP messages, by what they were.", &["kind"]),
    sip_refused: IntCounterVec("tandem_sip_refused_total", "SIP messages that were not served, by why.", &["reason"]),
    sip_timeouts: IntCounter("tandem_sip_transaction_timeouts_total", "SIP transactions that timed out."),
    trunk_up: IntGaugeVec("tandem_trunk_up", "1 while a trunk answers.", &["trunk"]),

    rtp_packets: IntCounterVec("tandem_rtp_packets_total", "RTP packets of ended legs.", &["kind"]),
    rtp_jitter: Histogram("tandem_rtp_jitter_seconds", "Interarrival jitter at the end of a leg.", FAST_BUCKETS),
    recordings: IntCounterVec("tandem_recordings_total", "Recordings, by result.", &["result"]),

    residual: IntGaugeVec("tandem_ledger_residual", "What a book cannot account for; must read 0.", &["book"]),
    violations: IntGauge("tandem_ledger_violations", "Rules of the event stream broken since start."),
    events: IntCounterVec("tandem_events_total", "Events, by kind.", &["kind"]),
    faults: IntCounter("tandem_engine_faults_total", "Calls ended because an invariant broke."),
    attempts_unknown: IntGauge("tandem_attempts_unknown_at_start", "Claims of the process before without an end."),
    loop_lag: Histogram("tandem_control_loop_lag_seconds", "How late the control thread served a deadline.", FAST_BUCKETS),
    bus_lag: IntGauge("tandem_bus_lag_batches", "Batches of events that wait for the bus."),
    log_errors: IntGauge("tandem_event_log_errors", "Failed writes of the event log since the last good one."),
    store_lag: IntGauge("tandem_store_lag_requests", "Requests that wait for the store."),
    store_spooled: IntGauge("tandem_store_spooled_records", "Records kept because the database fails."),
    store_commit: Gauge("tandem_store_last_commit_seconds", "How long the last transaction took."),
    store_commits: IntCounterVec("tandem_store_transactions_total", "Transactions, by result.", &["result"]),
    store_claims: IntCounterVec("tandem_store_claims_total", "Claims, by result.", &["result"]),
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
    }
}

fn limit_name(limit: PacingLimit) -> &'static str {
    match limit {
        PacingLimit::Risk => "risk",
        PacingLimit::Budget => "budget",
        PacingLimit::Lines => "lines",
        PacingLimit::Leads => "leads",
        PacingLimit::Agents => "agents",
        PacingLimit::Rule => "rule",
        PacingLimit::Store => "store",
    }
}

const LIMITS: &[&str] = &[
    "risk", "budget", "lines", "leads", "agents", "rule", "store",
];

impl Metrics {
    /// What an alert takes the increase of is there from the start: Prometheus sees none in a series that
    /// begins at one, and the first failure would go unseen.
    fn begin_at_zero(&self) {
        for result in ["written", "failed"] {
            self.recordings.with_label_values(&[result]);
        }
        let unheard = ["outbound", Cause::MediaUnsupported.name()];
        self.calls_ended.with_label_values(&unheard);
    }

    /// Takes the next event.
    pub fn apply(&self, event: &Event) {
        self.events.with_label_values(&[event.fact.kind()]).inc();
        match &event.fact {
            Fact::CallArrived { .. } => self.call_begins("inbound"),
            Fact::CallDialled { .. } => self.call_begins("outbound"),
            Fact::CallEnded {
                direction, cause, ..
            } => {
                let direction = direction_name(*direction);
                self.calls_live.with_label_values(&[direction]).dec();
                self.calls_ended
                    .with_label_values(&[direction, cause.name()])
                    .inc();
            }
            Fact::LegStarted { role, .. } => {
                let role = match role {
                    model::event::Role::Customer => "customer",
                    model::event::Role::Agent => "agent",
                };
                self.legs.with_label_values(&[role]).inc();
                self.legs_live.inc();
            }
            Fact::LegEnded { .. } => self.legs_live.dec(),
            Fact::CallClassified { .. }
            | Fact::CallBridged { .. }
            | Fact::CallHeld { .. }
            | Fact::CallResumed { .. }
            | Fact::CallUnbridged { .. }
            | Fact::LegRinging { .. }
            | Fact::LegGivenUp { .. }
            | Fact::LegAnswered { .. }
            | Fact::IvrNodeReached { .. }
            | Fact::IvrDigitsCollected { .. }
            | Fact::IvrVariableSet { .. }
            | Fact::CallMessageStarted { .. }
            | Fact::CallAttested { .. }
            | Fact::DoNotCallAdded { .. }
            | Fact::DoNotCallLoaded { .. }
            | Fact::AgentStatePending { .. }
            | Fact::AgentDialRefused { .. }
            | Fact::CallDisposed { .. }
            | Fact::CampaignChangeRefused { .. }
            | Fact::RecordingStarted { .. }
            | Fact::EngineDraining { .. } => {}

            Fact::IvrEntered { flow, .. } => {
                self.ivr_entered.with_label_values(&[flow.as_str()]).inc()
            }
            Fact::IvrNoInput { flow, .. } => {
                self.ivr_errors
                    .with_label_values(&[flow.as_str(), "no_input"])
                    .inc();
            }
            Fact::IvrNoMatch { flow, .. } => {
                self.ivr_errors
                    .with_label_values(&[flow.as_str(), "no_match"])
                    .inc();
            }
            Fact::IvrLeft { flow, end, .. } => {
                let end = match end {
                    model::event::FlowEnd::Queued => "queued",
                    model::event::FlowEnd::HungUp => "hung_up",
                    model::event::FlowEnd::CallerLeft => "caller_left",
                    model::event::FlowEnd::Failed => "failed",
                };
                self.ivr_left.with_label_values(&[flow.as_str(), end]).inc();
            }

            Fact::QueueEntered { queue, .. } => {
                self.queue_offered
                    .with_label_values(&[queue.as_str()])
                    .inc();
                self.queue_waiting
                    .with_label_values(&[queue.as_str()])
                    .inc();
            }
            Fact::QueueRefused { queue, .. } => {
                self.queue_refused
                    .with_label_values(&[queue.as_str()])
                    .inc();
            }
            Fact::QueueLeft {
                queue,
                outcome,
                waited_us,
                short,
                within_target,
                ..
            } => {
                self.visit_ends(*queue, *outcome, *waited_us, *short, *within_target);
            }

            Fact::OfferMade { .. } => self.offers.with_label_values(&["made"]).inc(),
            Fact::OfferAnswered { .. } => self.offers.with_label_values(&["answered"]).inc(),
            Fact::OfferFailed { why, .. } => {
                let why = match why {
                    OfferFailure::Timeout => "timeout",
                    OfferFailure::Rejected => "rejected",
                    OfferFailure::Unreachable => "unreachable",
                    OfferFailure::AgentGone => "agent_gone",
                };
                self.offers.with_label_values(&[why]).inc();
            }
            Fact::OfferWithdrawn { .. } => self.offers.with_label_values(&["withdrawn"]).inc(),
            Fact::ScreenPopped {
                on_socket, took_us, ..
            } => {
                let label = if *on_socket { "true" } else { "false" };
                self.screen_pops.with_label_values(&[label]).inc();
                if *on_socket {
                    self.screen_pop.observe(seconds(*took_us));
                }
            }

            Fact::AgentStateChanged {
                agent,
                was,
                is,
                was_for_us,
            } => {
                self.agent_seconds
                    .with_label_values(&[was.name()])
                    .add(seconds(*was_for_us));
                // A gauge that was never set is not exported: the first change shows all states.
                let mut seen = self.seen.lock();
                if seen.agents.is_empty() {
                    for state in AGENT_STATES {
                        self.agents.with_label_values(&[*state]).set(0);
                    }
                }
                if let Some(before) = seen.agents.insert(*agent, *is) {
                    self.agents.with_label_values(&[before.name()]).dec();
                }
                self.agents.with_label_values(&[is.name()]).inc();
            }

            Fact::AttemptClaimed { campaign, .. } => {
                self.dials.with_label_values(&[campaign.as_str()]).inc();
                self.attempts_live
                    .with_label_values(&[campaign.as_str()])
                    .inc();
            }
            Fact::AttemptBlocked { campaign, rule, .. } => {
                self.attempts_blocked
                    .with_label_values(&[campaign.as_str(), rule.as_str()])
                    .inc();
            }
            Fact::AttemptAnswered { campaign, .. } => {
                self.answers.with_label_values(&[campaign.as_str()]).inc();
            }
            Fact::AttemptEnded {
                campaign, outcome, ..
            } => {
                self.attempts_live
                    .with_label_values(&[campaign.as_str()])
                    .dec();
                self.attempts_ended
                    .with_label_values(&[campaign.as_str(), outcome.name()])
                    .inc();
            }
            Fact::CampaignChanged {
                campaign, running, ..
            } => {
                self.running
                    .with_label_values(&[campaign.as_str()])
                    .set(i64::from(*running));
            }
            Fact::PacingDecided {
                campaign,
                expected_answers,
                expected_free,
                theta,
                abandon_rate,
                budget_left,
                limited_by,
                ..
            } => {
                let label = &[campaign.as_str()];
                self.expected_answers
                    .with_label_values(label)
                    .set(*expected_answers);
                self.expected_free
                    .with_label_values(label)
                    .set(*expected_free);
                self.theta.with_label_values(label).set(*theta);
                self.abandon_rate
                    .with_label_values(label)
                    .set(abandon_rate.unwrap_or(f64::NAN));
                self.budget_left.with_label_values(label).set(*budget_left);
                for limit in LIMITS {
                    let on = i64::from(*limit == limit_name(*limited_by));
                    self.limited_by
                        .with_label_values(&[campaign.as_str(), *limit])
                        .set(on);
                }
            }

            Fact::RecordingEnded { .. } => self.recordings.with_label_values(&["written"]).inc(),
            Fact::RecordingFailed { .. } => self.recordings.with_label_values(&["failed"]).inc(),
            Fact::TrunkChanged { trunk, up } => {
                self.trunk_up
                    .with_label_values(&[trunk.as_str()])
                    .set(i64::from(*up));
            }
            Fact::EngineStarted {
                attempts_unknown, ..
            } => {
                self.attempts_unknown
                    .set(i64::try_from(*attempts_unknown).unwrap_or(i64::MAX));
            }
            Fact::CallbackDue { .. } | Fact::QuotaFull { .. } => {}
            Fact::EngineFaulted { .. } => self.faults.inc(),
        }
    }

    /// Takes a call's record, once per call.
    pub fn apply_record(&self, cdr: &Cdr) {
        let direction = direction_name(cdr.direction);
        self.call_records
            .with_label_values(&[direction, cdr.outcome.name()])
            .inc();
        if cdr.bridged.is_some() {
            self.talk
                .with_label_values(&[direction])
                .observe(seconds(cdr.talk_us));
        }
    }

    fn call_begins(&self, direction: &str) {
        self.calls.with_label_values(&[direction]).inc();
        self.calls_live.with_label_values(&[direction]).inc();
    }

    fn visit_ends(
        &self,
        queue: QueueId,
        outcome: QueueOutcome,
        waited_us: u64,
        short: bool,
        in_time: bool,
    ) {
        let name = queue.as_str();
        self.queue_waiting.with_label_values(&[name]).dec();
        self.queue_left
            .with_label_values(&[name, outcome.name()])
            .inc();
        self.queue_wait
            .with_label_values(&[name, outcome.name()])
            .observe(seconds(waited_us));
        if short {
            self.queue_short.with_label_values(&[name]).inc();
        }
        let mut seen = self.seen.lock();
        let level = seen.service.entry(queue).or_default();
        let answered = outcome == QueueOutcome::Answered;
        if answered || (outcome == QueueOutcome::Abandoned && !in_time) {
            level.counted += 1;
            level.answered_in_time += u64::from(answered && in_time);
        }
        let ratio = match level.counted {
            0 => f64::NAN,
            counted => level.answered_in_time as f64 / counted as f64,
        };
        self.service_level.with_label_values(&[name]).set(ratio);
    }

    /// The books' residuals.
    pub fn set_residuals(&self, residuals: &[(&'static str, i64)]) {
        for (book, residual) in residuals {
            self.residual.with_label_values(&[*book]).set(*residual);
        }
    }

    /// Rules of the stream broken so far.
    pub fn set_violations(&self, total: u64) {
        self.violations
            .set(i64::try_from(total).unwrap_or(i64::MAX));
    }

    /// Batches that wait for the bus.
    pub fn set_bus_lag(&self, batches: usize) {
        self.bus_lag.set(batches as i64);
    }

    /// Failed writes of the log since the last good one.
    pub fn set_log_errors(&self, errors: u64) {
        self.log_errors
            .set(i64::try_from(errors).unwrap_or(i64::MAX));
    }

    /// What the store counted.
    pub fn set_store(&self, lag: usize, counters: &StoreCounters) {
        self.store_lag.set(lag as i64);
        self.store_spooled
            .set(counters.spooled.load(Ordering::Relaxed).cast_signed());
        self.store_commit
            .set(seconds(counters.last_commit_us.load(Ordering::Relaxed)));
        let now = [
            counters.commits.load(Ordering::Relaxed),
            counters.failures.load(Ordering::Relaxed),
            counters.claims.load(Ordering::Relaxed),
            counters.claims_refused.load(Ordering::Relaxed),
        ];
        let mut seen = self.seen.lock();
        let grown = |at: usize| now[at].saturating_sub(seen.store[at]);
        self.store_commits
            .with_label_values(&["committed"])
            .inc_by(grown(0));
        self.store_commits
            .with_label_values(&["failed"])
            .inc_by(grown(1));
        self.store_claims
            .with_label_values(&["stored"])
            .inc_by(grown(2));
        self.store_claims
            .with_label_values(&["refused"])
            .inc_by(grown(3));
        seen.store = now;
    }

    /// What the SIP stack counted since its start. Call it from the control thread now and then.
    pub fn set_sip(&self, now: &sip::endpoint::Counters) {
        let mut seen = self.seen.lock();
        let was = seen.sip;
        let add = |kind: &str, now: u64, was: u64| {
            self.sip_messages
                .with_label_values(&[kind])
                .inc_by(now.saturating_sub(was));
        };
        add("received", now.received, was.received);
        add("sent", now.sent, was.sent);
        add("retransmitted", now.retransmitted, was.retransmitted);
        add("absorbed", now.absorbed, was.absorbed);
        let refuse = |reason: &str, now: u64, was: u64| {
            self.sip_refused
                .with_label_values(&[reason])
                .inc_by(now.saturating_sub(was));
        };
        refuse("malformed", now.malformed, was.malformed);
        refuse("unknown_source", now.unknown_source, was.unknown_source);
        refuse("auth_failed", now.auth_failed, was.auth_failed);
        self.sip_timeouts
            .inc_by(now.timed_out.saturating_sub(was.timed_out));
        seen.sip = *now;
    }

    /// What an ended leg counted.
    pub fn add_leg(&self, leg: &LegCounters) {
        let add = |kind: &str, n: u64| self.rtp_packets.with_label_values(&[kind]).inc_by(n);
        add("received", leg.received);
        add("lost", leg.lost);
        add("sent", leg.sent);
        add("refused", leg.refused);
        add("malformed", leg.malformed);
        if leg.received > 0 {
            self.rtp_jitter.observe(seconds(leg.jitter_us.into()));
        }
    }

    /// How late the control thread served a deadline.
    pub fn observe_loop_lag(&self, late: Duration) {
        self.loop_lag.observe(late.as_secs_f64());
    }

    /// One lookup in the CRM: `matched`, `none`, `failed` or `timeout`.
    pub fn add_crm_lookup(&self, result: &'static str) {
        self.crm_lookups.with_label_values(&[result]).inc();
    }

    /// One try of a webhook: `delivered`, `failed`, `dead` or `gone`.
    pub fn add_webhook(&self, endpoint: &str, result: &'static str) {
        self.webhooks.with_label_values(&[endpoint, result]).inc();
    }

    /// What waits in the outbox of an endpoint.
    pub fn set_outbox(&self, endpoint: &str, waiting: u64, dead: u64) {
        self.outbox_depth
            .with_label_values(&[endpoint, "waiting"])
            .set(waiting.cast_signed());
        self.outbox_depth
            .with_label_values(&[endpoint, "dead"])
            .set(dead.cast_signed());
    }

    /// The text exposition format, version 0.0.4.
    pub fn text(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .expect("gathered metrics are complete")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Now;

    #[test]
    fn names_follow_the_rules_and_are_registered_once() {
        let names = metric_names();
        assert!(names.iter().all(|name| name.starts_with("tandem_")));
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), names.len());
        assert!(!Metrics::new().text().contains("tandem_call_number"));
    }

    #[test]
    fn the_service_level_ignores_early_abandons() {
        let metrics = Metrics::new();
        let queue: QueueId = "sales".parse().unwrap();
        let call = model::CallId(1);
        let direction = Direction::Inbound;
        let leave = |outcome, within_target| {
            let fact = Fact::QueueEntered {
                call,
                queue,
                direction,
                priority: 0,
                skills: vec![],
            };
            metrics.apply(&Event {
                seq: 1,
                at: Now::default(),
                fact,
            });
            let fact = Fact::QueueLeft {
                call,
                queue,
                direction,
                outcome,
                waited_us: 1,
                short: false,
                during_offer: false,
                within_target,
            };
            metrics.apply(&Event {
                seq: 1,
                at: Now::default(),
                fact,
            });
        };
        leave(QueueOutcome::Answered, true);
        leave(QueueOutcome::Answered, false);
        leave(QueueOutcome::Abandoned, true);
        assert!(
            metrics
                .text()
                .contains("tandem_queue_service_level_ratio{queue=\"sales\"} 0.5")
        );
        leave(QueueOutcome::Abandoned, false);
        let text = metrics.text();
        assert!(
            text.contains("tandem_queue_service_level_ratio{queue=\"sales\"} 0.333"),
            "{text}"
        );
        assert!(text.contains("tandem_queue_waiting{queue=\"sales\"} 0"));
    }
}
