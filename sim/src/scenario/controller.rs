//! What decides how many to dial: our modes through the engine, and for comparison the common open
//! dialer's rules and a pacing that knows the end of every talk.

use super::ScenarioError;
use std::fmt;
use std::str::FromStr;

/// What decides how many to dial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Controller {
    /// Ours.
    Predictive,
    /// One call per available agent.
    Progressive,
    /// A fixed number of calls per available agent.
    Power(f64),
    /// A recorded voice speaks with whoever answers; agents are for those who press a key.
    Agentless,
    /// The common open dialer with a constant level.
    Ratio(f64),
    /// The common open dialer, with its three brakes.
    Adapt(Brake),
    /// Ours, told when every talk and wrap-up will end: nobody has this, so it shows what knowing it
    /// would be worth.
    Informed,
}

/// What the common open dialer does once the day's abandonment is over the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brake {
    /// The level goes to 1.
    Hard,
    /// It is halved.
    Average,
    /// It shrinks towards the end of the day.
    Tapered,
}

impl Controller {
    /// Whether it runs through the production engine.
    pub fn is_ours(self) -> bool {
        match self {
            Controller::Predictive
            | Controller::Progressive
            | Controller::Power(_)
            | Controller::Agentless
            | Controller::Informed => true,
            Controller::Ratio(_) | Controller::Adapt(_) => false,
        }
    }
}

impl FromStr for Controller {
    type Err = ScenarioError;

    fn from_str(text: &str) -> Result<Controller, ScenarioError> {
        let unknown = || ScenarioError::Controller(text.into());
        let level = |x: &str, most: f64| {
            x.parse::<f64>()
                .ok()
                .filter(|level| (1.0..=most).contains(level))
                .ok_or_else(unknown)
        };
        match text.split_once(':') {
            Some(("power", x)) => level(x, 10.0).map(Controller::Power),
            Some(("ratio", x)) => level(x, 50.0).map(Controller::Ratio),
            Some(_) => Err(unknown()),
            None => match text {
                "predictive" => Ok(Controller::Predictive),
                "progressive" => Ok(Controller::Progressive),
                "adapt-hard" => Ok(Controller::Adapt(Brake::Hard)),
                "adapt-average" => Ok(Controller::Adapt(Brake::Average)),
                "adapt-tapered" => Ok(Controller::Adapt(Brake::Tapered)),
                "agentless" => Ok(Controller::Agentless),
                "informed" => Ok(Controller::Informed),
                _ => Err(unknown()),
            },
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Controller::Predictive => f.write_str("predictive"),
            Controller::Progressive => f.write_str("progressive"),
            Controller::Power(x) => write!(f, "power:{x}"),
            Controller::Ratio(x) => write!(f, "ratio:{x}"),
            Controller::Adapt(Brake::Hard) => f.write_str("adapt-hard"),
            Controller::Adapt(Brake::Average) => f.write_str("adapt-average"),
            Controller::Adapt(Brake::Tapered) => f.write_str("adapt-tapered"),
            Controller::Agentless => f.write_str("agentless"),
            Controller::Informed => f.write_str("informed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_controller_is_read_as_it_is_written() {
        for text in [
            "predictive",
            "progressive",
            "power:2.5",
            "agentless",
            "ratio:12",
            "adapt-hard",
            "adapt-average",
            "adapt-tapered",
            "informed",
        ] {
            assert_eq!(text.parse::<Controller>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_controller_that_is_none_is_refused_with_what_there_is() {
        for text in [
            "adept-hard",
            "power",
            "power:0.5",
            "power:11",
            "ratio:x",
            "tempo:3",
        ] {
            let error = text.parse::<Controller>().unwrap_err().to_string();
            assert!(
                error.contains("adapt-hard") && error.contains(text),
                "{error}"
            );
        }
    }
}
