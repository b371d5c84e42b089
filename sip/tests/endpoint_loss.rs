//! Many calls over a network that loses, doubles and reorders: each ends cleanly on both sides, and
//! nothing stays behind. And bytes of any kind, which never panic.

mod common;

use common::*;
use model::LegId;
use proptest::prelude::*;
use sip::endpoint::{Command, Config, EndedWhy, Input, Transport};
use std::collections::BTreeMap;
use std::time::Duration;

/// Seeds of the storm; each is six calls.
const SEEDS: u64 = 250;

/// What one leg has come to. Terminal facts come once, and nothing after them.
#[derive(Default)]
struct Fate {
    is_answered: bool,
    is_over: bool,
    hung_up: bool,
}

fn follow(fates: &mut BTreeMap<LegId, Fate>, told: &Command) {
    let (leg, is_over) = match told {
        Command::Arrived(arrived) => (arrived.leg, false),
        Command::Ringing { leg, .. }
        | Command::Confirmed { leg, .. }
        | Command::Reinvited { leg, .. }
        | Command::ReinviteAnswered { leg, .. }
        | Command::Digit { leg, .. }
        | Command::Answered { leg, .. } => (*leg, false),
        Command::Failed { leg, .. } | Command::Ended { leg, .. } => (*leg, true),
        Command::Send { .. }
        | Command::Registered { .. }
        | Command::Unregistered { .. }
        | Command::TrunkRegistered { .. }
        | Command::Ponged { .. }
        | Command::Close { .. } => return,
    };
    let fate = fates.entry(leg).or_default();
    assert!(!fate.is_over, "{leg} is over and tells {}", line(told));
    assert!(!fate.hung_up, "{leg} was hung up and tells {}", line(told));
    fate.is_answered |= matches!(told, Command::Answered { .. } | Command::Confirmed { .. });
    fate.is_over |= is_over;
}

fn storm(seed: u64, loss: f64) -> usize {
    let mut net = pair(seed);
    net.loss = loss;
    net.doubling = 0.1;
    net.delay_ms = (5, 120);
    // The called side answers at once, changes its mind, refuses, or is slow.
    net.ends[1].script = Box::new(|told, rng| match told {
        Command::Arrived(arrived) => {
            let leg = arrived.leg;
            let accept = Input::Accept {
                leg,
                sdp: ANSWER.to_vec(),
            };
            match rng.below(8) {
                0 => vec![Input::Reject { leg, status: 486 }],
                1 => vec![accept, Input::HangUp { leg, q850: 16 }],
                2 => vec![Input::Ring { leg }],
                _ => vec![Input::Ring { leg }, accept],
            }
        }
        Command::Reinvited { leg, .. } => {
            vec![Input::AcceptReinvite {
                leg: *leg,
                sdp: ANSWER.to_vec(),
            }]
        }
        Command::Confirmed { leg, .. } if rng.chance(0.3) => {
            vec![Input::Reinvite {
                leg: *leg,
                sdp: OFFER.to_vec(),
            }]
        }
        _ => Vec::new(),
    });
    net.ends[0].script = Box::new(|told, rng| match told {
        Command::Reinvited { leg, .. } => {
            vec![Input::AcceptReinvite {
                leg: *leg,
                sdp: ANSWER.to_vec(),
            }]
        }
        Command::Answered { leg, .. } if rng.chance(0.3) => {
            vec![Input::Reinvite {
                leg: *leg,
                sdp: OFFER.to_vec(),
            }]
        }
        _ => Vec::new(),
    });
    let mut fates = [BTreeMap::new(), BTreeMap::new()];
    let mut given_up = Vec::new();
    for n in 0..6 {
        net.put(0, Input::Invite(Box::new(invite(n, Transport::Udp))));
        let ms = net.rng.below(3000);
        net.run_ms(ms);
        // Some callers give up at once: CANCEL meets whatever is on its way.
        if net.rng.chance(0.3) {
            for told in net.ends[0].told.drain(..) {
                follow(&mut fates[0], &told);
            }
            let (leg, q850) = (LegId(n), 16);
            // Half of them still want to know: they are told, once, and may have an answer.
            if net.rng.chance(0.5) {
                net.put(0, Input::Cancel { leg, q850 });
                given_up.push(leg);
            } else {
                net.put(0, Input::HangUp { leg, q850 });
                fates[0].entry(leg).or_default().hung_up = true;
            }
        }
    }
    net.run(Duration::from_secs(20));
    for (end, fates) in fates.iter_mut().enumerate() {
        for told in net.ends[end].told.drain(..) {
            follow(fates, &told);
        }
    }
    // Whoever still talks or rings is hung up, half of them from each side.
    for n in 0..6 {
        let end = usize::from(net.rng.chance(0.5));
        let Some(leg) = fates[end].keys().nth(n as usize).copied() else {
            continue;
        };
        if !fates[end][&leg].is_over && !fates[end][&leg].hung_up {
            net.put(end, Input::HangUp { leg, q850: 16 });
            fates[end].get_mut(&leg).unwrap().hung_up = true;
        }
    }
    net.run(Duration::from_secs(200));
    for end in [0, 1] {
        for told in net.ends[end].told.drain(..) {
            follow(&mut fates[end], &told);
        }
        for leg in given_up.iter().filter(|_| end == 0) {
            let fate = &fates[0][leg];
            assert!(
                fate.is_over || fate.is_answered || fate.hung_up,
                "{leg} was given up, and nobody said what came of it"
            );
        }
        for (leg, fate) in &fates[end] {
            if !fate.is_over && !fate.hung_up {
                net.put(
                    end,
                    Input::HangUp {
                        leg: *leg,
                        q850: 16,
                    },
                );
            }
        }
    }
    net.settle();
    net.assert_idle();
    let answered = fates
        .iter()
        .flat_map(BTreeMap::values)
        .filter(|f| f.is_answered);
    answered.count()
}

#[test]
fn calls_over_a_bad_network_all_end_and_leave_nothing_behind() {
    let mut answered = 0;
    for seed in 0..SEEDS {
        answered += storm(seed, if seed % 2 == 0 { 0.2 } else { 0.3 });
    }
    assert!(answered as u64 > SEEDS * 3, "{answered} legs talked");
}

#[test]
fn on_a_good_network_nothing_is_lost_or_timed_out() {
    let mut net = pair(1);
    net.delay_ms = (5, 5);
    net.ends[1].script = Box::new(|told, _| match told {
        Command::Arrived(arrived) => {
            vec![Input::Accept {
                leg: arrived.leg,
                sdp: ANSWER.to_vec(),
            }]
        }
        Command::Ended { why, .. } => {
            assert_eq!(*why, EndedWhy::Bye(Some(16)));
            Vec::new()
        }
        _ => Vec::new(),
    });
    for n in 0..100 {
        net.put(0, Input::Invite(Box::new(invite(n, Transport::Udp))));
        net.run_ms(20);
        net.put(
            0,
            Input::HangUp {
                leg: LegId(n),
                q850: 16,
            },
        );
    }
    net.settle();
    for end in &net.ends {
        let counters = end.endpoint.counters();
        assert_eq!(
            (
                counters.retransmitted,
                counters.timed_out,
                counters.malformed
            ),
            (0, 0, 0)
        );
    }
    net.assert_idle();
}

/// Everything two endpoints say in a call with all there is in it.
fn conversation() -> Vec<String> {
    let mut net = call(Transport::Udp);
    net.put(
        0,
        Input::Reinvite {
            leg: LegId(1),
            sdp: OFFER.to_vec(),
        },
    );
    net.run_ms(50);
    net.put(
        1,
        Input::AcceptReinvite {
            leg: LegId(1000),
            sdp: ANSWER.to_vec(),
        },
    );
    net.run_ms(50);
    net.put(
        0,
        Input::HangUp {
            leg: LegId(1),
            q850: 16,
        },
    );
    net.settle();
    net.ends.iter().flat_map(|e| e.sent.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_panic_the_endpoint(
        which in prop::collection::vec((0usize..32, 0usize..600, 0usize..40, ".{0,20}"), 1..30),
        junk in prop::collection::vec(any::<u8>(), 0..200),
        open in any::<bool>(),
        tcp in any::<bool>(),
    ) {
        let said = conversation();
        let mut net = Net::new(1, vec![config(), Config { open, accounts: vec![account("anna")], ..config() }]);
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        // The messages of a call that is also going on here, each spoiled somewhere.
        net.put(0, Input::Invite(Box::new(invite(1, transport))));
        for (message, at, cut, with) in which {
            let mut bytes = said[message % said.len()].clone().into_bytes();
            let at = at.min(bytes.len());
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, with.into_bytes());
            for end in [0, 1] {
                net.put(end, Input::Received { hop: hop(end as u8, 9, transport), bytes: &bytes });
            }
            net.run_ms(100);
        }
        net.put(1, Input::Received { hop: hop(1, 9, transport), bytes: &junk });
        net.run(Duration::from_secs(300));
    }
}
