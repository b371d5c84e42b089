//! Leads that differ: each belongs to a class, and has a chance of its own to answer. Both follow
//! from the seed and the lead's number alone, so that a lead is the same whenever it is asked.

use crate::scenario::{LeadChance, LeadClass, Told};
use model::{LeadId, Mono, Rng};
use std::collections::BTreeMap;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct LeadKinds {
    classes: Vec<LeadClass>,
    /// ln of the largest factor by which a lead differs from its class.
    ln_spread: f64,
    /// The mean of those factors, so that the class keeps its mean.
    mean: f64,
    seed: u64,
    /// How chances differ from lead to lead, and their mean.
    chances: Option<(LeadChance, f64)>,
}

/// The column that says how likely a lead is to answer.
pub(crate) const CHANCE_COLUMN: &str = "answer_chance";
/// Nobody says that a lead will answer for sure, who only knows about how likely it is.
const TOLD_MAX: f64 = 0.99;
/// Keeps what is drawn of one lead apart: its chance, what is told of it, what becomes of its calls.
const CHANCE: u64 = 0x6368_616e;
const TOLD: u64 = 0x746f_6c64;
const FATE: u64 = 0x6661_7465;

impl LeadKinds {
    pub fn new(classes: &[LeadClass], spread: f64, seed: u64) -> LeadKinds {
        let ln_spread = spread.ln();
        let mean = if ln_spread > 0.0 {
            (spread - 1.0 / spread) / (2.0 * ln_spread)
        } else {
            1.0
        };
        LeadKinds {
            classes: classes.to_vec(),
            ln_spread,
            mean,
            seed,
            chances: None,
        }
    }

    /// The same, with chances of the leads' own around a mean.
    pub fn with_chances(self, chance: Option<LeadChance>, mean: f64) -> LeadKinds {
        LeadKinds {
            chances: chance.map(|chance| (chance, mean)),
            ..self
        }
    }

    fn rng(&self, what: u64, lead: LeadId) -> Rng {
        Rng::new(
            (self.seed ^ what).wrapping_mul(0xbf58_476d_1ce4_e5b9)
                ^ lead.0.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        )
    }

    /// The lead's own chance to answer, where leads have one: the same whenever it is asked.
    pub fn chance(&self, lead: LeadId) -> Option<f64> {
        let (chance, mean) = self.chances?;
        let mut rng = self.rng(CHANCE, lead);
        let of = |rng: &mut Rng, shape: f64| ln_gamma_draw(rng, shape);
        let yes = of(&mut rng, mean * chance.concentration);
        let no = of(&mut rng, (1.0 - mean) * chance.concentration);
        Some(1.0 / (1.0 + (no - yes).exp()))
    }

    /// Below its chance, and the call is answered. Where leads have chances of their own, it depends
    /// on the lead and on how often it was called, and on nothing else.
    pub fn fate(&self, lead: LeadId, attempts: u16) -> Option<f64> {
        self.chances?;
        let mut rng = self.rng(FATE + (u64::from(attempts) << 32), lead);
        Some(rng.unit())
    }

    /// What the list says of the chance.
    fn told(&self, lead: LeadId, attempts: u16) -> Option<f64> {
        let (how, mean) = self.chances?;
        let chance = self.chance(lead)?;
        let mut rng = self.rng(TOLD, lead);
        let off = (how.known_within.ln() * (2.0 * rng.unit() - 1.0)).exp();
        match how.told {
            Told::Nothing => None,
            Told::Chance => Some((chance * off).min(TOLD_MAX)),
            Told::Answer => Some(f64::from(u8::from(self.fate(lead, attempts)? < chance))),
            Told::Constant => Some(mean),
            Told::Inverted => Some((1.0 - chance).min(TOLD_MAX)),
            Told::Noise => Some(rng.unit()),
        }
    }

    /// The lead's class, where it is no ordinary one, and by what its own chance differs.
    fn of(&self, lead: LeadId) -> (Option<&LeadClass>, f64) {
        if self.classes.is_empty() && self.ln_spread == 0.0 {
            return (None, 1.0);
        }
        let mut rng = Rng::new(self.seed ^ lead.0.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut left = rng.unit();
        let class = self.classes.iter().find(|class| {
            left -= class.share;
            left < 0.0
        });
        let own = (self.ln_spread * (2.0 * rng.unit() - 1.0)).exp() / self.mean;
        (class, own)
    }

    /// By what the answer rate is to be multiplied for this lead now.
    pub fn factor(&self, lead: LeadId, now: Mono) -> f64 {
        let (class, own) = self.of(lead);
        let own = match (self.chance(lead), self.chances) {
            (Some(chance), Some((_, mean))) => own * chance / mean,
            (_, None) | (None, _) => own,
        };
        own * class.map_or(1.0, |class| class.factor.at(now))
    }

    /// What the list says about the lead, called so often before.
    pub fn fields(&self, lead: LeadId, attempts: u16) -> BTreeMap<String, String> {
        let class = self.of(lead).0.filter(|class| class.known);
        let class = class.map(|class| ("class".into(), class.name.clone()));
        let told = self.told(lead, attempts);
        let told = told.map(|chance| (CHANCE_COLUMN.into(), format!("{chance:.5}")));
        class.into_iter().chain(told).collect()
    }
}

/// ln of a draw of the gamma distribution of this shape (Marsaglia and Tsang 2000); in logarithms,
/// since draws of small shapes are smaller than any number.
fn ln_gamma_draw(rng: &mut Rng, shape: f64) -> f64 {
    let (boost, shape) = if shape < 1.0 {
        ((1.0 - rng.unit()).ln() / shape, shape + 1.0)
    } else {
        (0.0, shape)
    };
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = rng.normal();
        let v = (1.0 + c * x).powi(3);
        if v <= 0.0 {
            continue;
        }
        let u: f64 = 1.0 - rng.unit();
        if u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return boost + (d * v).ln();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Profile;

    #[test]
    fn classes_have_their_shares_and_leads_their_spread() {
        let class = |name: &str, share: f64, factor: f64, known: bool| LeadClass {
            name: name.into(),
            share,
            factor: Profile::Always(factor),
            known,
        };
        let classes = [
            class("warm", 0.25, 2.0, true),
            class("cold", 0.5, 0.5, false),
        ];
        let kinds = LeadKinds::new(&classes, 2.0, 7);
        let n = 40_000;
        let leads = || (0..n).map(LeadId);
        let warm = leads()
            .filter(|lead| {
                kinds
                    .fields(*lead, 0)
                    .get("class")
                    .is_some_and(|c| c == "warm")
            })
            .count() as f64;
        assert!((warm / n as f64 - 0.25).abs() < 0.01, "{warm}");
        assert!(!leads().any(|lead| kinds.fields(lead, 0).values().any(|class| class == "cold")));
        let factors: Vec<f64> = leads().map(|lead| kinds.factor(lead, Mono::ZERO)).collect();
        let mean = factors.iter().sum::<f64>() / n as f64;
        assert!(
            (mean - (0.25 * 2.0 + 0.5 * 0.5 + 0.25)).abs() < 0.02,
            "{mean}"
        );
        assert_eq!(kinds.factor(LeadId(3), Mono::ZERO), factors[3]);
    }

    fn chances(told: Told, known_within: f64) -> LeadKinds {
        let chance = LeadChance {
            concentration: 1.25,
            told,
            known_within,
        };
        LeadKinds::new(&[], 1.0, 7).with_chances(Some(chance), 0.2)
    }

    fn column(kinds: &LeadKinds, lead: LeadId, attempts: u16) -> Option<f64> {
        let fields = kinds.fields(lead, attempts);
        fields.get(CHANCE_COLUMN).map(|text| text.parse().unwrap())
    }

    #[test]
    fn chances_are_beta_distributed_and_the_same_whenever_they_are_asked() {
        let kinds = chances(Told::Nothing, 1.0);
        let n = 40_000;
        let drawn: Vec<f64> = (0..n).filter_map(|n| kinds.chance(LeadId(n))).collect();
        let mean = drawn.iter().sum::<f64>() / n as f64;
        assert!((mean - 0.2).abs() < 0.005, "{mean}");
        // With β = 1 the distribution function is the α-th power.
        for below in [0.01_f64, 0.1, 0.5, 0.9] {
            let share = drawn.iter().filter(|chance| **chance < below).count() as f64 / n as f64;
            assert!((share - below.powf(0.25)).abs() < 0.01, "{below}: {share}");
        }
        assert_eq!(kinds.chance(LeadId(17)), Some(drawn[17]));
        assert!((kinds.factor(LeadId(17), Mono::ZERO) * 0.2 - drawn[17]).abs() < 1e-12);
    }

    #[test]
    fn what_the_list_says_is_as_near_the_truth_as_it_should_be() {
        for n in 0..2_000 {
            let lead = LeadId(n);
            let about = chances(Told::Chance, 2.0);
            let truth = about.chance(lead).unwrap();
            let told = column(&about, lead, 0).unwrap();
            assert!(told >= truth / 2.0 - 1e-4 && told <= truth * 2.0 + 1e-4);
            let exact = column(&chances(Told::Chance, 1.0), lead, 0).unwrap();
            assert!((exact - truth.min(TOLD_MAX)).abs() < 1e-4);
            assert_eq!(column(&chances(Told::Nothing, 1.0), lead, 0), None);
        }
    }

    #[test]
    fn a_lead_called_again_has_its_chance_still_and_another_fate() {
        let kinds = chances(Told::Answer, 1.0);
        let (mut again, mut answered) = (0, 0);
        for n in 0..20_000 {
            let lead = LeadId(n);
            let chance = kinds.chance(lead).unwrap();
            let answers = |attempts| kinds.fate(lead, attempts).unwrap() < chance;
            assert_eq!(
                column(&kinds, lead, 1),
                Some(f64::from(u8::from(answers(1))))
            );
            if chance > 0.45 && chance < 0.55 && !answers(0) {
                again += 1;
                answered += u32::from(answers(1));
            }
        }
        let share = f64::from(answered) / f64::from(again);
        assert!((share - 0.5).abs() < 0.1, "{answered} of {again}");
    }
}
