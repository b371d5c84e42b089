//! Judged shifts, added up: what the command prints. Means over shifts with their 95 % intervals;
//! what has no data is `null`, never 0 or 100.

use crate::curve::Curve;
use crate::scenario::{Controller, Scenario};
use crate::statistics::{interval, mean, ratio, wilson};
use crate::tally::{CampaignTally, Spells, Tally};
use model::CampaignId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The limit a shift is held against, in per cent: 47 CFR 64.1200(a)(7).
pub const ABANDONMENT_LIMIT_PCT: f64 = 3.0;
/// The law looks at so many days at once.
const PERIOD_DAYS: usize = 30;
/// Utilisation has recovered from a step once it is within so many points of where it settles.
pub const RECOVERED_POINTS: f64 = 2.0;

/// What came of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What paced.
    pub controller: String,
    /// Agents.
    pub agents: usize,
    /// Runs of so many days, each with a shift of so many hours.
    pub shifts: u32,
    /// See `shifts`.
    pub days: u32,
    /// See `shifts`.
    pub hours: f64,
    /// The seed of the first shift.
    pub seed: u64,
    /// (talk + wrap-up) ÷ signed-in, mean over shifts.
    pub utilisation_pct: Option<f64>,
    /// Persons abandoned ÷ persons who answered, over all shifts together. Persons who were taken
    /// for machines were abandoned.
    pub abandonment_pct: Option<f64>,
    /// Shifts with an abandonment over 3 %, among those with answers; each campaign counts by itself.
    pub shifts_over_limit_pct: Option<f64>,
    /// From available to the next call, mean over shifts.
    pub idle_seconds_mean: Option<f64>,
    /// The same wait that half of all calls did not exceed.
    pub idle_seconds_p50: Option<f64>,
    /// And that nine tenths did not.
    pub idle_seconds_p90: Option<f64>,
    /// Minutes of talk per hour an agent was signed in.
    pub talk_minutes_per_agent_hour: Option<f64>,
    /// The worst abandonment of any five minutes of any shift in which at least 20 persons answered.
    pub worst_five_minutes_pct: Option<f64>,
    /// After the worst step: seconds until utilisation, on the mean of all shifts, is within 2
    /// points of where it settles.
    pub recovery_seconds: Option<u64>,
    /// The same, step by step.
    pub steps: Vec<StepReport>,
    /// Whole runs of more than one day, as one campaign period.
    pub period: Option<PeriodReport>,
    /// Utilisation over the last hour, or all of a shorter shift, all shifts together.
    pub last_hour_utilisation_pct: Option<f64>,
    /// Share of the dials that were given up while they rang, for want of agents.
    pub withdrawn_pct: Option<f64>,
    /// Customers dialled, persons connected to an agent, persons who answered and got none in time.
    pub dials: u64,
    /// See `dials`.
    pub connected: u64,
    /// See `dials`.
    pub abandoned: u64,
    /// The mean of the own chances of the leads dialled, where leads have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialled_chance_mean: Option<f64>,
    /// Persons taken for machines.
    pub false_positives: u64,
    /// Persons who heard a recorded voice and asked for nobody; those who asked were connected or
    /// abandoned, within two seconds.
    pub messaged: u64,
    /// Machines recognised, and machines that reached an agent.
    pub machines: u64,
    /// See `machines`.
    pub machines_connected: u64,
    /// Customers who called, those who got an agent, those who hung up while waiting.
    pub inbound: u64,
    /// See `inbound`.
    pub inbound_answered: u64,
    /// See `inbound`.
    pub inbound_abandoned: u64,
    /// Of those who got an agent or hung up waiting, the share that got one within 20 s.
    pub inbound_in_time_pct: Option<f64>,
    /// Each campaign, where there is more than one.
    pub campaigns: Vec<CampaignReport>,
    /// 95 % intervals of the means over shifts (Student's t); `null` for fewer than two shifts.
    pub ci95: Intervals,
}

/// 95 % intervals: low, high. Shifts of one run know of each other: a run counts as one value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intervals {
    /// Of `utilisation_pct`.
    pub utilisation_pct: Option<[f64; 2]>,
    /// Of the mean of the shifts' abandonment.
    pub abandonment_pct: Option<[f64; 2]>,
    /// Of `shifts_over_limit_pct` (Wilson 1927).
    pub shifts_over_limit_pct: Option<[f64; 2]>,
    /// Of `idle_seconds_mean`.
    pub idle_seconds_mean: Option<[f64; 2]>,
}

/// A moment at which something changed for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// Hours since the start of the shift.
    pub at_h: f64,
    /// See [`Report::recovery_seconds`]; `null` where it did not recover, or there was no time to.
    pub recovery_seconds: Option<u64>,
    /// Utilisation in the hour before, all shifts together.
    pub utilisation_before_pct: Option<f64>,
    /// From the third minute after to the eighth.
    pub utilisation_after_pct: Option<f64>,
    /// The worst abandonment of five minutes in the half hour after, all shifts together.
    pub worst_five_minutes_pct: Option<f64>,
}

/// Runs of several days, each held against the limit as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeriodReport {
    /// Days of each.
    pub days: u32,
    /// Abandonment over any 30 days in a row, or the whole of a shorter run, mean over runs and
    /// campaigns.
    pub abandonment_pct_mean: Option<f64>,
    /// The worst.
    pub abandonment_pct_max: Option<f64>,
    /// Share of the runs' worst over 3 %.
    pub over_limit_pct: Option<f64>,
}

/// One campaign of several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CampaignReport {
    /// Which.
    pub campaign: String,
    /// See [`Report::dials`].
    pub dials: u64,
    /// See [`Report::dials`].
    pub connected: u64,
    /// See [`Report::dials`].
    pub abandoned: u64,
    /// See [`Report::abandonment_pct`].
    pub abandonment_pct: Option<f64>,
    /// See [`Report::shifts_over_limit_pct`].
    pub shifts_over_limit_pct: Option<f64>,
}

fn is_over(abandonment_pct: f64) -> bool {
    // A share of whole numbers that is exactly the limit may be written with a last digit too many.
    abandonment_pct > ABANDONMENT_LIMIT_PCT + 1e-9
}

/// Of these abandonments: how many are over the limit, and how many there are.
fn over(of: &[f64]) -> (u64, u64) {
    let over = of.iter().filter(|pct| is_over(**pct)).count();
    (over as u64, of.len() as u64)
}

fn pct(part: u64, whole: u64) -> Option<f64> {
    ratio(part, whole).map(|x| 100.0 * x)
}

/// The interval of a mean of what cannot be negative, nor more than this.
fn interval_within(of: &[f64], most: f64) -> Option<[f64; 2]> {
    interval(of).map(|[low, high]| [low.max(0.0), high.min(most)])
}

impl Report {
    pub(crate) fn new(
        scenario: &Scenario,
        controller: Controller,
        runs: &[Vec<Tally>],
        curve: &Curve,
    ) -> Report {
        let settled: Vec<&[Tally]> = runs
            .iter()
            .map(|run| &run[run.len().min(scenario.settle_days as usize)..])
            .collect();
        let shifts: Vec<&Tally> = settled.iter().copied().flatten().collect();
        let each = |of: &dyn Fn(&Tally) -> Option<f64>| -> Vec<f64> {
            let of_run = |run: &&[Tally]| mean(&run.iter().filter_map(of).collect::<Vec<_>>());
            settled.iter().filter_map(of_run).collect()
        };
        let sum = |of: &dyn Fn(&Tally) -> u64| shifts.iter().map(|tally| of(tally)).sum::<u64>();
        let utilisation = each(&|tally| pct(tally.handling_us, tally.signed_in_us));
        let idle = each(&|tally| ratio(tally.idle_us, tally.idle_spells).map(|us| us / 1e6));
        let abandonment = each(&|tally| all_campaigns(tally).abandonment_pct());
        let campaigns = campaigns_of(&shifts);
        let every_shift: Vec<&Tally> = runs.iter().flatten().collect();
        let by_campaign: Vec<f64> = campaigns_of(&every_shift)
            .into_values()
            .flat_map(|(_, shifts)| shifts)
            .collect();
        let (over_limit, judged) = over(&by_campaign);
        let mut spells = Spells::default();
        for tally in &shifts {
            spells.add_all(&tally.spells);
        }
        let mut all = CampaignTally::default();
        for (tally, _) in campaigns.values() {
            all.add(tally);
        }
        let steps = steps(scenario, curve);
        let recovered: Option<Vec<u64>> = steps.iter().map(|step| step.recovery_seconds).collect();
        Report {
            controller: controller.to_string(),
            agents: scenario.agents,
            shifts: scenario.shifts,
            days: scenario.days,
            hours: scenario.hours,
            seed: scenario.seed,
            utilisation_pct: mean(&utilisation),
            abandonment_pct: all.abandonment_pct(),
            shifts_over_limit_pct: pct(over_limit, judged),
            idle_seconds_mean: mean(&idle),
            idle_seconds_p50: spells.quantile_s(0.5),
            idle_seconds_p90: spells.quantile_s(0.9),
            talk_minutes_per_agent_hour: ratio(
                60 * sum(&|tally| tally.talking_us),
                sum(&|tally| tally.signed_in_us),
            ),
            worst_five_minutes_pct: shifts
                .iter()
                .filter_map(|tally| tally.worst_five_minutes_pct)
                .reduce(f64::max),
            recovery_seconds: recovered.and_then(|seconds| seconds.into_iter().max()),
            steps,
            period: (scenario.days > 1).then(|| period(scenario.days, runs)),
            last_hour_utilisation_pct: curve
                .utilisation_between_h((scenario.hours - 1.0).max(0.0), scenario.hours),
            withdrawn_pct: pct(sum(&|tally| tally.withdrawn), sum(&|tally| tally.dials)),
            dials: sum(&|tally| tally.dials),
            connected: all.connected,
            abandoned: all.abandoned,
            dialled_chance_mean: scenario.lead_chance.and_then(|_| {
                let sum: f64 = shifts.iter().map(|tally| tally.dialled_chance).sum();
                let dials: u64 = shifts.iter().map(|tally| tally.dials).sum();
                (dials > 0).then(|| sum / dials as f64)
            }),
            false_positives: all.false_positives,
            messaged: sum(&|tally| tally.messaged),
            machines: sum(&|tally| tally.machines),
            machines_connected: sum(&|tally| tally.machines_connected),
            inbound: sum(&|tally| tally.inbound),
            inbound_answered: sum(&|tally| tally.inbound_answered),
            inbound_abandoned: sum(&|tally| tally.inbound_abandoned),
            inbound_in_time_pct: pct(
                sum(&|tally| tally.inbound_in_time),
                sum(&|tally| tally.inbound_answered + tally.inbound_abandoned),
            ),
            campaigns: if campaigns.len() > 1 {
                campaigns.iter().map(campaign_report).collect()
            } else {
                Vec::new()
            },
            ci95: Intervals {
                utilisation_pct: interval_within(&utilisation, 100.0),
                abandonment_pct: interval_within(&abandonment, 100.0),
                shifts_over_limit_pct: wilson(over_limit, judged),
                idle_seconds_mean: interval_within(&idle, f64::INFINITY),
            },
        }
    }
}

fn all_campaigns(tally: &Tally) -> CampaignTally {
    let mut all = CampaignTally::default();
    for of_campaign in tally.campaigns.values() {
        all.add(of_campaign);
    }
    all
}

type ByCampaign = BTreeMap<CampaignId, (CampaignTally, Vec<f64>)>;

/// Each campaign over all shifts, and its abandonment in each shift that had answers.
fn campaigns_of(shifts: &[&Tally]) -> ByCampaign {
    let mut found = ByCampaign::new();
    for tally in shifts {
        for (id, of_campaign) in &tally.campaigns {
            let (sum, each) = found.entry(*id).or_default();
            sum.add(of_campaign);
            each.extend(of_campaign.abandonment_pct());
        }
    }
    found
}

fn campaign_report(
    (id, (sum, shifts)): (&CampaignId, &(CampaignTally, Vec<f64>)),
) -> CampaignReport {
    let (over_limit, judged) = over(shifts);
    CampaignReport {
        campaign: id.to_string(),
        dials: sum.dials,
        connected: sum.connected,
        abandoned: sum.abandoned,
        abandonment_pct: sum.abandonment_pct(),
        shifts_over_limit_pct: pct(over_limit, judged),
    }
}

fn period(days: u32, runs: &[Vec<Tally>]) -> PeriodReport {
    let (mut worst, mut all) = (Vec::new(), Vec::new());
    for run in runs {
        let mut worst_of = BTreeMap::<CampaignId, f64>::new();
        for window in run.windows(run.len().clamp(1, PERIOD_DAYS)) {
            for (id, (sum, _)) in campaigns_of(&window.iter().collect::<Vec<_>>()) {
                let Some(pct) = sum.abandonment_pct() else {
                    continue;
                };
                all.push(pct);
                let known = worst_of.entry(id).or_insert(pct);
                *known = known.max(pct);
            }
        }
        worst.extend(worst_of.into_values());
    }
    let (over_limit, judged) = over(&worst);
    PeriodReport {
        days,
        abandonment_pct_mean: mean(&all),
        abandonment_pct_max: worst.iter().copied().reduce(f64::max),
        over_limit_pct: pct(over_limit, judged),
    }
}

fn steps(scenario: &Scenario, curve: &Curve) -> Vec<StepReport> {
    let at = scenario.steps_h();
    at.iter()
        .enumerate()
        .map(|(n, at_h)| {
            let until_h = at.get(n + 1).copied().unwrap_or(scenario.hours);
            StepReport {
                at_h: *at_h,
                recovery_seconds: curve.recovery_s(*at_h, until_h, RECOVERED_POINTS),
                utilisation_before_pct: curve.utilisation_between_h((at_h - 1.0).max(0.0), *at_h),
                utilisation_after_pct: curve
                    .utilisation_between_h(at_h + 3.0 / 60.0, at_h + 8.0 / 60.0),
                worst_five_minutes_pct: curve.worst_five_minutes_between_pct(*at_h, at_h + 0.5),
            }
        })
        .collect()
}

/// One line of the table.
struct Row(&'static str, String, Option<[f64; 2]>);

impl Report {
    fn rows(&self) -> Vec<Row> {
        let number = |x: Option<f64>| x.map_or("no data".into(), |x| format!("{x:.2}"));
        let mut rows = vec![
            Row(
                "utilisation %",
                number(self.utilisation_pct),
                self.ci95.utilisation_pct,
            ),
            Row(
                "abandonment %",
                number(self.abandonment_pct),
                self.ci95.abandonment_pct,
            ),
            Row(
                "shifts over limit %",
                number(self.shifts_over_limit_pct),
                self.ci95.shifts_over_limit_pct,
            ),
            Row(
                "idle seconds, mean",
                number(self.idle_seconds_mean),
                self.ci95.idle_seconds_mean,
            ),
            Row("idle seconds, half", number(self.idle_seconds_p50), None),
            Row("idle seconds, 9 of 10", number(self.idle_seconds_p90), None),
            Row(
                "talk min/agent-hour",
                number(self.talk_minutes_per_agent_hour),
                None,
            ),
            Row(
                "worst 5 minutes %",
                number(self.worst_five_minutes_pct),
                None,
            ),
        ];
        for (step, name) in self
            .steps
            .iter()
            .zip(std::iter::repeat("recovery, seconds"))
        {
            let seconds = step
                .recovery_seconds
                .map_or("no data".into(), |s| s.to_string());
            rows.push(Row(
                name,
                format!("{seconds} (at {:.2} h)", step.at_h),
                None,
            ));
        }
        if let Some(period) = &self.period {
            rows.push(Row(
                "period %, mean",
                number(period.abandonment_pct_mean),
                None,
            ));
            rows.push(Row(
                "period %, worst",
                number(period.abandonment_pct_max),
                None,
            ));
            rows.push(Row(
                "periods over limit %",
                number(period.over_limit_pct),
                None,
            ));
        }
        let count = |name, n: u64| Row(name, n.to_string(), None);
        rows.extend([
            count("dials", self.dials),
            Row("withdrawn % of dials", number(self.withdrawn_pct), None),
            count("connected", self.connected),
            count("abandoned", self.abandoned),
        ]);
        if let Some(mean) = self.dialled_chance_mean {
            rows.push(Row("chance of the dialled", format!("{mean:.4}"), None));
        }
        if self.messaged > 0 {
            let asked = self.connected + self.abandoned;
            rows.extend([
                count("heard the voice out", self.messaged),
                count("asked for an agent", asked),
                Row("of them in 2 s %", number(pct(self.connected, asked)), None),
            ]);
        }
        if self.machines + self.machines_connected + self.false_positives > 0 {
            rows.extend([
                count("taken for machines", self.false_positives),
                count("machines found", self.machines),
                count("machines to agents", self.machines_connected),
            ]);
        }
        if self.inbound > 0 {
            rows.extend([
                count("customers called", self.inbound),
                count("got an agent", self.inbound_answered),
                count("hung up waiting", self.inbound_abandoned),
                Row(
                    "got one within 20 s %",
                    number(self.inbound_in_time_pct),
                    None,
                ),
            ]);
        }
        rows
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = if self.days > 1 {
            format!("{} days × ", self.days)
        } else {
            String::new()
        };
        writeln!(
            f,
            "{} agents, {} × {days}{} h, {}, seed {}",
            self.agents, self.shifts, self.hours, self.controller, self.seed
        )?;
        for Row(name, value, ci) in self.rows() {
            let ci = ci.map_or(String::new(), |[low, high]| {
                format!("  [{low:.2}, {high:.2}]")
            });
            writeln!(f, "  {name:<22} {value:>10}{ci}")?;
        }
        for campaign in &self.campaigns {
            writeln!(
                f,
                "  {:<22} {:>10} %, {} dials, {} connected, {} abandoned",
                campaign.campaign,
                campaign
                    .abandonment_pct
                    .map_or("no data".into(), |x| format!("{x:.2}")),
                campaign.dials,
                campaign.connected,
                campaign.abandoned
            )?;
        }
        write!(f, "  [95 % intervals over shifts]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::judge;

    #[test]
    fn a_shift_without_answers_has_no_abandonment() {
        let scenario = Scenario {
            agents: 1,
            hours: 0.05,
            shifts: 2,
            answer_rate: crate::scenario::Profile::Always(0.0),
            ..Scenario::default()
        };
        let report = judge(&scenario, Controller::Progressive, true).unwrap();
        assert_eq!(
            (report.abandonment_pct, report.shifts_over_limit_pct),
            (None, None)
        );
        assert!(report.dials > 0);
        assert!(
            serde_json::to_string(&report)
                .unwrap()
                .contains("\"abandonment_pct\":null")
        );
    }

    #[test]
    fn exactly_the_limit_is_not_over_it() {
        assert_eq!(over(&[3.0, 100.0 * 3.0 / 100.0, 3.01]), (1, 3));
    }
}
