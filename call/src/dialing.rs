//! What the dialer wants done: leads and claims go on to the process, dials and previews become calls,
//! and whoever waits for an attempt that will not be is let go.

use crate::Engine;
use crate::call::Call;
use crate::command::Command;
use crate::life::{Seen, Stage, Wish};
use crate::preview;
use crate::ringing;
use model::screen_pop::Direction;
use model::{AgentId, AgentState, AttemptId, CallId, CampaignId, LegId};

impl Engine {
    pub(crate) fn on_dialer(&mut self, command: dialer::Command) {
        match command {
            dialer::Command::FetchLeads {
                campaign,
                lists,
                count,
            } => {
                self.floor.command(Command::FetchLeads {
                    campaign,
                    lists,
                    count,
                });
            }
            dialer::Command::Claim {
                attempt,
                campaign,
                lead,
                list,
                number,
            } => {
                let floor = &mut self.floor;
                let call = *floor
                    .call_of_claim
                    .entry(attempt)
                    .or_insert_with(|| CallId(floor.calls.next()));
                floor.command(Command::Claim {
                    attempt,
                    call,
                    campaign,
                    lead,
                    list,
                    number,
                });
            }
            dialer::Command::Dial(order) => {
                let attempt = order.attempt;
                let id = self
                    .floor
                    .call_of_claim
                    .remove(&attempt)
                    .expect("a dialled attempt was claimed");
                let previewed = self.calls.contains_key(&id);
                assert!(
                    previewed || order.agent.is_none(),
                    "an accepted preview lives until its claim is answered"
                );
                self.floor.call_of_attempt.insert(attempt, id);
                if previewed {
                    self.step(id, Seen::Dial(order));
                } else {
                    let leg = LegId(self.floor.legs.next());
                    let mut call =
                        Call::new(id, Direction::Outbound, leg, String::new(), String::new());
                    ringing::dial(&mut call, order, &mut self.floor);
                    self.keep(call);
                }
            }
            dialer::Command::Resolve {
                attempt,
                campaign,
                lead,
                outcome,
                next,
            } => {
                self.forget_claim(attempt);
                self.floor.command(Command::Resolve {
                    attempt,
                    campaign,
                    lead,
                    outcome,
                    next,
                });
            }
            dialer::Command::ReturnLeads { campaign, leads } => {
                self.floor.command(Command::ReturnLeads { campaign, leads });
            }
            dialer::Command::OfferPreview {
                agent,
                attempt,
                campaign,
                lead,
                by_hand,
            } => {
                self.offer_preview(agent, attempt, campaign, lead, by_hand);
            }
            dialer::Command::AddLead {
                agent,
                campaign,
                number,
            } => self.floor.command(Command::AddLead {
                agent,
                campaign,
                number,
            }),
            dialer::Command::SaveLearned { campaign, state } => {
                self.floor.command(Command::SaveLearned { campaign, state });
            }
            dialer::Command::SaveQuota(count) => self.floor.command(Command::SaveQuota(count)),
            dialer::Command::Cancel { attempt } => {
                self.forget_claim(attempt);
                if let Some(call) = self.floor.call_of_attempt.get(&attempt).copied() {
                    self.step(call, Seen::CancelDial);
                }
            }
        }
    }

    fn offer_preview(
        &mut self,
        agent: AgentId,
        attempt: AttemptId,
        campaign: CampaignId,
        lead: Box<model::Lead>,
        by_hand: bool,
    ) {
        let id = CallId(self.floor.calls.next());
        let is = self.floor.acd.agent_state(agent);
        if is == Some(AgentState::Available) || by_hand {
            self.floor.tell_acd(acd::Input::Reserve { agent, call: id });
        }
        if self.floor.acd.agent_state(agent) != Some(AgentState::Offered(id)) {
            // A caller was faster: the lead waits for the next agent.
            let skipped = dialer::Input::PreviewAnswered {
                agent,
                attempt,
                accept: false,
            };
            return self.floor.tell_dialer(skipped);
        }
        let leg = LegId(self.floor.legs.next());
        let mut call = Call::new(id, Direction::Outbound, leg, String::new(), String::new());
        preview::preview(&mut call, agent, campaign, attempt, lead, &mut self.floor);
        self.keep(call);
        if by_hand {
            self.step(id, Seen::Wish(agent, Wish::Preview(true)));
        }
    }

    pub(crate) fn is_undecided_preview(&self, attempt: AttemptId) -> bool {
        let call = self
            .floor
            .call_of_claim
            .get(&attempt)
            .and_then(|call| self.calls.get(call));
        call.is_some_and(
            |call| matches!(&call.stage, Stage::Previewing(preview) if !preview.accepted),
        )
    }

    /// Whoever looks at a lead is let go: it will not be dialled any more.
    pub(crate) fn end_previews(&mut self) {
        let agents: Vec<AgentId> = self.floor.call_of_agent.keys().copied().collect();
        for agent in agents {
            if let Some(call) = self.floor.call_of_agent.get(&agent)
                && matches!(self.calls[call].stage, Stage::Previewing(_))
            {
                self.wish(agent, Wish::Preview(false));
            }
        }
    }

    /// An attempt that will not be dialled: its preview, if it was one, is over.
    pub(crate) fn forget_claim(&mut self, attempt: AttemptId) {
        if let Some(call) = self.floor.call_of_claim.remove(&attempt)
            && self.calls.contains_key(&call)
        {
            self.step(call, Seen::CancelDial);
        }
    }
}
