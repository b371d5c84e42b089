//! Which people a campaign dials: its filters and quotas, and what is wrong with them.

use super::CampaignConfig;
use crate::filter::{Filter, FilterError};
use crate::quota::{Period, QUOTAS_MAX};
use model::ListId;

impl CampaignConfig {
    /// What a lead of that list has to match, all of them.
    pub fn filters_of(&self, list: ListId) -> impl Iterator<Item = &Filter> {
        let of_list = self.lists.iter().filter(move |of| of.name == list);
        let of_list = of_list.filter_map(|of| of.filter.as_ref());
        self.filter.iter().chain(of_list)
    }

    /// Every filter of it, by the key where it is written.
    pub fn filters(&self) -> Vec<(String, &Filter)> {
        let own = self.filter.iter().map(|filter| ("filter".into(), filter));
        let lists = self.lists.iter().enumerate().filter_map(|(at, list)| {
            let filter = list.filter.as_ref()?;
            Some((format!("lists[{at}].filter"), filter))
        });
        let quotas = self.quotas.iter().enumerate();
        let quotas = quotas.map(|(at, quota)| (format!("quotas[{at}].where"), &quota.cell));
        own.chain(lists).chain(quotas).collect()
    }

    /// Every mistake in its filters, by the key where it is written.
    pub fn filter_mistakes(&self) -> Vec<(String, FilterError)> {
        let mut mistakes = Vec::new();
        for (key, filter) in self.filters() {
            if let Some(error) = filter.error() {
                mistakes.push((key, error.clone()));
            } else if key.ends_with("].where")
                && let Some((word, at)) = filter.changing()
            {
                let error = FilterError {
                    at,
                    message: format!("{word} changes while people are dialled"),
                    remedy: "a quota is of people: use columns, state, area_code and the like"
                        .into(),
                };
                mistakes.push((key, error));
            }
        }
        mistakes
    }

    /// Field, problem and remedy of its quotas and of the leads' chances, but for filters.
    pub(super) fn people_problems(&self) -> Vec<(String, String, &'static str)> {
        let mut found = Vec::new();
        match &self.answer_chance {
            Some(column) if !self.per_lead => found.push((
                "answer_chance".into(),
                format!("nobody reads the column \"{column}\" without per_lead"),
                "add per_lead = true, or leave answer_chance out",
            )),
            Some(column) if column.trim().is_empty() => found.push((
                "answer_chance".into(),
                "a column without a name".into(),
                "name the column of the lists, or leave answer_chance out",
            )),
            Some(_) | None => {}
        }
        if self.quotas.len() > QUOTAS_MAX {
            let message = format!("more than {QUOTAS_MAX} quotas");
            found.push(("quotas".into(), message, "use several campaigns"));
        }
        for (at, quota) in self.quotas.iter().enumerate() {
            let mut say = |key: &str, message: &str, remedy| {
                found.push((format!("quotas[{at}].{key}"), message.into(), remedy));
            };
            if quota.name.trim().is_empty() {
                say("name", "a quota without a name", "name it after its people");
            }
            if self.quotas[..at]
                .iter()
                .any(|other| other.name == quota.name)
            {
                say("name", "two quotas of one name", "give each its own");
            }
            if quota.at_most == 0 {
                let remedy = "use at least 1, or a filter";
                say("at_most", "0 lets nobody in", remedy);
            }
            if quota.per == Period::Day && self.time_zone.is_none() {
                let remedy = "add time_zone = \"America/New_York\" to the campaign";
                say("per", "whose day is not said", remedy);
            }
        }
        if let Some(name) = &self.time_zone
            && crate::zone::ZoneBook::default().zone(name).is_none()
        {
            let message = format!("\"{name}\" is not an IANA time zone");
            found.push(("time_zone".into(), message, "as in \"America/New_York\""));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the problems of such a campaign are, with what is to be done.
    fn problems(text: &str) -> Vec<(String, &'static str)> {
        let whole = "mode = \"predictive\"\nlists = [\"l\"]\ntrunks = [\"t\"]\nrules = [\"us\"]\n";
        let text = format!("{whole}caller_id = \"+12125550100\"\n{text}");
        let campaign: CampaignConfig = toml::from_str(&text).unwrap();
        let found = campaign.people_problems().into_iter();
        found.map(|(key, _, remedy)| (key, remedy)).collect()
    }

    #[test]
    fn a_column_of_chances_that_nobody_reads_is_a_problem() {
        let named = "answer_chance = \"p\"\n";
        let remedy = "add per_lead = true, or leave answer_chance out";
        let at = || "answer_chance".to_string();
        assert_eq!(problems(named), [(at(), remedy)]);
        let off = format!("{named}per_lead = false");
        assert_eq!(problems(&off), [(at(), remedy)]);
        assert_eq!(problems(&format!("{named}per_lead = true")), []);
        assert_eq!(problems("per_lead = true"), []);
        let nameless = "answer_chance = \" \"\nper_lead = true";
        assert_eq!(problems(nameless)[0].0, "answer_chance");
    }
}
