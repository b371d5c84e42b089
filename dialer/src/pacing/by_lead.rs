//! Pacing by each lead's own chance: which leads to dial, and how many.
//!
//! As in [`predictive`](super::predictive), a call is dialled while its chance of being abandoned is
//! under θ; every call in flight counts with the chance of its class. The likely leads go first: few
//! calls that are all but sure to be answered hold fewer surprises than many that are not. Unlikely
//! ones follow where there is room for more, and when their turn has come. It is handed classes and
//! counts and never sees a lead.

use super::lead_model::{CLASSES, at_odds};
use super::predictive::{DIALS_MAX, Outlook};
use super::{Learned, Snapshot};

/// Calls in flight of one class of leads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassCalls {
    /// As [`Snapshot::claiming`].
    pub claiming: u32,
    /// As [`Snapshot::ringing`].
    pub ringing: Vec<u32>,
    /// As [`Snapshot::withdrawable`].
    pub withdrawable: Vec<u32>,
}

/// What pacing by lead is handed beside the snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ByLead {
    /// Calls in flight by class; together those of the snapshot.
    pub calls: [ClassCalls; CLASSES],
    /// Classes of the leads that go first whatever they are: callbacks, and those passed over for long.
    pub first: Vec<u8>,
    /// Leads to choose among, by class.
    pub waiting: [u32; CLASSES],
}

/// Calls in flight that are alike: the odds of their answer, claims, and those that ring by age.
pub(super) struct Calls<'a> {
    pub(super) odds: f64,
    pub(super) claiming: u32,
    pub(super) ringing: &'a [u32],
    pub(super) withdrawable: &'a [u32],
}

/// The calls in flight, by class where leads differ; likely ones first.
pub(super) fn calls<'a>(snapshot: &'a Snapshot, learned: &Learned) -> Vec<Calls<'a>> {
    match (&snapshot.by_lead, learned.leads()) {
        (Some(by_lead), Some(leads)) => (by_lead.calls.iter().zip(leads.odds()).rev())
            .map(|(calls, odds)| Calls {
                odds: *odds,
                claiming: calls.claiming,
                ringing: &calls.ringing,
                withdrawable: &calls.withdrawable,
            })
            .collect(),
        (Some(_) | None, _) => vec![Calls {
            odds: 1.0,
            claiming: snapshot.claiming,
            ringing: &snapshot.ringing,
            withdrawable: &snapshot.withdrawable,
        }],
    }
}

/// How many leads of which class to dial, and the chance that one more would be abandoned.
pub(super) fn choose(
    outlook: &mut Outlook,
    by_lead: &ByLead,
    learned: &Learned,
    theta: f64,
) -> ([u32; CLASSES], f64) {
    let mut picks = [0; CLASSES];
    let odds = learned
        .leads()
        .map_or([1.0; CLASSES], |leads| *leads.odds());
    let kinds = odds.map(|odds| outlook.new_call(learned, odds));
    let mut risk = 0.0;
    for &class in &by_lead.first {
        let class = usize::from(class).min(CLASSES - 1);
        let (by, weight) = &kinds[class];
        let fits;
        (fits, risk) = outlook.fitting(by, weight, theta, 1);
        if fits == 0 {
            return (picks, risk);
        }
        outlook.add(by, 1);
        picks[class] += 1;
    }
    let mut left = DIALS_MAX.saturating_sub(picks.iter().sum());
    // By what they are worth, whatever was told of them.
    let mut likely: [usize; CLASSES] = std::array::from_fn(|n| CLASSES - 1 - n);
    likely.sort_by(|a, b| odds[*b].total_cmp(&odds[*a]));
    for class in likely {
        let most = by_lead.waiting[class].min(left);
        if most == 0 {
            continue;
        }
        let (by, weight) = &kinds[class];
        let fits;
        (fits, risk) = outlook.fitting(by, weight, theta, most);
        outlook.add(by, fits);
        picks[class] += fits;
        left -= fits;
        if fits < most {
            break;
        }
    }
    (picks, risk)
}

/// The same share for a lead of these odds.
pub(super) fn share_of(p: f64, odds: f64) -> f64 {
    at_odds(p, odds).min(0.98)
}

#[cfg(test)]
mod tests {
    use super::super::{Busy, decide};
    use super::*;
    use model::event::Mode;

    fn learned() -> Learned {
        Learned::new(26.0).by_lead()
    }

    /// So many agents at work, and leads of every class to choose among.
    fn snapshot(agents: usize, waiting: u32) -> Snapshot {
        Snapshot {
            busy: (0..agents)
                .map(|k| Busy::OnCall(k as f64 * 7.0 % 200.0))
                .collect(),
            available: 4,
            theta: 0.05,
            by_lead: Some(Box::new(ByLead {
                waiting: [waiting; CLASSES],
                ..ByLead::default()
            })),
            ..Snapshot::default()
        }
    }

    /// The same with so many calls of a class that have rung for 5 s.
    fn with_calls(mut snapshot: Snapshot, class: usize, count: u32) -> Snapshot {
        snapshot.ringing = vec![0; 11];
        snapshot.ringing[10] = count;
        if let Some(by_lead) = &mut snapshot.by_lead {
            by_lead.calls[class].ringing = snapshot.ringing.clone();
        }
        snapshot
    }

    fn dialled(snapshot: &Snapshot) -> [u32; CLASSES] {
        let decision = decide(Mode::Predictive, snapshot, &learned());
        decision.classes.expect("pacing goes by lead")
    }

    /// Answers expected of these dials.
    fn answers(picks: &[u32; CLASSES]) -> f64 {
        let learned = learned();
        let odds = learned.leads().unwrap().odds();
        let each = picks.iter().zip(odds);
        each.map(|(count, odds)| f64::from(*count) * share_of(0.2, *odds))
            .sum()
    }

    #[test]
    fn likelier_calls_in_flight_leave_room_for_fewer_new_ones() {
        for agents in [20, 60] {
            let room: Vec<f64> = (0..CLASSES)
                .map(|class| answers(&dialled(&with_calls(snapshot(agents, 9), class, 3))))
                .collect();
            let falls = room.windows(2).all(|pair| pair[1] <= pair[0] + 0.5);
            assert!(
                falls && room[CLASSES - 1] < room[0] - 0.9,
                "{agents}: {room:.2?}"
            );
        }
    }

    #[test]
    fn likely_leads_go_first_and_unlikely_ones_where_there_is_room() {
        let small = dialled(&snapshot(10, 5));
        assert!(
            small[CLASSES - 1] > 0 && small[..4].iter().all(|n| *n == 0),
            "{small:?}"
        );
        let large = dialled(&Snapshot {
            available: 200,
            ..snapshot(10, 5)
        });
        assert_eq!(large, [5; CLASSES]);
    }

    #[test]
    fn a_lead_whose_turn_has_come_goes_before_likelier_ones() {
        let mut turn = snapshot(10, 5);
        turn.by_lead.as_mut().unwrap().first = vec![0, 0];
        let picks = dialled(&turn);
        assert!(picks[0] == 2 && picks[CLASSES - 1] > 0, "{picks:?}");
    }

    #[test]
    fn a_spent_budget_leaves_one_call_per_agent() {
        let guarded = Snapshot {
            guarded: true,
            available: 3,
            ..snapshot(10, 50)
        };
        assert_eq!(decide(Mode::Predictive, &guarded, &learned()).dial, 3);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

        #[test]
        fn leads_that_are_all_average_are_paced_like_leads_that_are_not_told_apart(
            busy in proptest::collection::vec(0.0_f64..400.0, 0..50),
            available in 0_u32..20,
            ringing in proptest::collection::vec(0_u32..4, 52),
            theta in 0.002_f64..0.2,
        ) {
            let mut withdrawable = ringing.clone();
            withdrawable[..31].fill(0);
            let plain = Snapshot {
                available,
                busy: busy.into_iter().map(Busy::OnCall).collect(),
                ringing,
                withdrawable,
                theta,
                ..Snapshot::default()
            };
            // All of one class: its odds are 1 once some were handed over.
            let mut learned = learned();
            let class = 3;
            learned.leads_mut().unwrap().only(class);
            let mut by_lead = ByLead::default();
            by_lead.calls[class].ringing.clone_from(&plain.ringing);
            by_lead.calls[class].withdrawable.clone_from(&plain.withdrawable);
            by_lead.waiting[class] = DIALS_MAX;
            let told = Snapshot { by_lead: Some(Box::new(by_lead)), ..plain.clone() };
            let a = decide(Mode::Predictive, &plain, &Learned::new(26.0));
            let b = decide(Mode::Predictive, &told, &learned);
            proptest::prop_assert_eq!((a.dial, a.withdraw), (b.dial, b.withdraw));
        }
    }
}
