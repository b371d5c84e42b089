//! Events as the outside sees them: CloudEvents 1.0 in JSON.

use model::{Event, Fact, ScreenPop, Utc};
use serde_json::{Value, json};

/// The JSON of an event. The id is the same whenever the event is sent again.
pub fn of_event(event: &Event, boot: u32) -> Value {
    let mut data = serde_json::to_value(&event.fact).expect("a fact is plain JSON");
    if let Some(fields) = data.as_object_mut() {
        fields.remove("fact");
    }
    let mut out = envelope(
        &format!("{boot}-{}", event.seq),
        event.fact.kind(),
        event.at.utc,
    );
    out["subject"] = json!(subject(&event.fact));
    out["seq"] = json!(event.seq);
    if let Some(call) = event.fact.call() {
        out["callid"] = json!(call.to_string());
    }
    out["data"] = data;
    out
}

/// The JSON of a screen pop. `part` tells the first from the enriched one.
pub fn of_pop(pop: &ScreenPop, part: &str, now: Utc) -> Value {
    let mut out = envelope(
        &format!("pop-{}-{part}", pop.offer.0),
        "screen_pop.sent",
        now,
    );
    out["subject"] = json!(pop.call.to_string());
    out["callid"] = json!(pop.call.to_string());
    out["data"] = serde_json::to_value(pop).expect("a pop is plain JSON");
    out
}

fn envelope(id: &str, kind: &str, time: Utc) -> Value {
    json!({
        "specversion": "1.0",
        "id": id,
        "source": "/tandem",
        "type": format!("tandem.{kind}.v1"),
        "time": time.to_string(),
        "datacontenttype": "application/json",
    })
}

/// What an event is about: its call, or else the configured thing.
pub fn subject(fact: &Fact) -> String {
    if let Some(call) = fact.call() {
        return call.to_string();
    }
    match fact {
        Fact::AgentStateChanged { agent, .. }
        | Fact::AgentStatePending { agent, .. }
        | Fact::AgentDialRefused { agent, .. } => agent.to_string(),
        Fact::AttemptClaimed { attempt, .. }
        | Fact::AttemptBlocked { attempt, .. }
        | Fact::AttemptAnswered { attempt, .. }
        | Fact::AttemptEnded { attempt, .. } => attempt.to_string(),
        Fact::CampaignChanged { campaign, .. }
        | Fact::CampaignChangeRefused { campaign, .. }
        | Fact::QuotaFull { campaign, .. }
        | Fact::PacingDecided { campaign, .. } => campaign.to_string(),
        Fact::CallbackDue { lead, .. } => lead.to_string(),
        Fact::TrunkChanged { trunk, .. } => trunk.to_string(),
        Fact::DoNotCallAdded { number } => number.masked().to_string(),
        Fact::DoNotCallLoaded { list, .. } => list.to_string(),
        Fact::CallArrived { .. }
        | Fact::CallDialled { .. }
        | Fact::CallClassified { .. }
        | Fact::CallBridged { .. }
        | Fact::CallHeld { .. }
        | Fact::CallResumed { .. }
        | Fact::CallUnbridged { .. }
        | Fact::CallMessageStarted { .. }
        | Fact::CallAttested { .. }
        | Fact::CallEnded { .. }
        | Fact::LegStarted { .. }
        | Fact::LegRinging { .. }
        | Fact::LegGivenUp { .. }
        | Fact::LegAnswered { .. }
        | Fact::LegEnded { .. }
        | Fact::IvrEntered { .. }
        | Fact::IvrNodeReached { .. }
        | Fact::IvrDigitsCollected { .. }
        | Fact::IvrNoInput { .. }
        | Fact::IvrNoMatch { .. }
        | Fact::IvrVariableSet { .. }
        | Fact::IvrLeft { .. }
        | Fact::QueueEntered { .. }
        | Fact::QueueRefused { .. }
        | Fact::QueueLeft { .. }
        | Fact::OfferMade { .. }
        | Fact::OfferAnswered { .. }
        | Fact::OfferFailed { .. }
        | Fact::OfferWithdrawn { .. }
        | Fact::ScreenPopped { .. }
        | Fact::CallDisposed { .. }
        | Fact::RecordingStarted { .. }
        | Fact::RecordingEnded { .. }
        | Fact::RecordingFailed { .. }
        | Fact::EngineStarted { .. }
        | Fact::EngineDraining { .. }
        | Fact::EngineFaulted { .. } => "engine".to_string(),
    }
}
