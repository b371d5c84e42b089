//! Leads that differ: each belongs to a class, and has a chance of its own to answer. Both follow
//! from the seed and the lead's number alone, so that a lead is the same whenever it is asked.

use crate::scenario::LeadClass;
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
}

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
        own * class.map_or(1.0, |class| class.factor.at(now))
    }

    /// What the list says about the lead.
    pub fn fields(&self, lead: LeadId) -> BTreeMap<String, String> {
        match self.of(lead).0 {
            Some(class) if class.known => BTreeMap::from([("class".into(), class.name.clone())]),
            Some(_) | None => BTreeMap::new(),
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
                    .fields(*lead)
                    .get("class")
                    .is_some_and(|c| c == "warm")
            })
            .count() as f64;
        assert!((warm / n as f64 - 0.25).abs() < 0.01, "{warm}");
        assert!(!leads().any(|lead| kinds.fields(lead).values().any(|class| class == "cold")));
        let factors: Vec<f64> = leads().map(|lead| kinds.factor(lead, Mono::ZERO)).collect();
        let mean = factors.iter().sum::<f64>() / n as f64;
        assert!(
            (mean - (0.25 * 2.0 + 0.5 * 0.5 + 0.25)).abs() < 0.02,
            "{mean}"
        );
        assert_eq!(kinds.factor(LeadId(3), Mono::ZERO), factors[3]);
    }
}
