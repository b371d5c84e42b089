//! What a run of load measured, and the processor time of the engine under test.

use std::fmt::Write as _;

/// Delays above this count as this: 200 ms in microseconds.
const DELAY_US_MAX: usize = 200_000;

/// One-way delays of packets, to the microsecond.
pub struct Delays {
    counts: Vec<u32>,
    total: u64,
}

impl Default for Delays {
    fn default() -> Delays {
        Delays {
            counts: vec![0; DELAY_US_MAX + 1],
            total: 0,
        }
    }
}

impl Delays {
    /// Adds one.
    pub fn add(&mut self, us: u64) {
        self.counts[usize::try_from(us)
            .unwrap_or(DELAY_US_MAX)
            .min(DELAY_US_MAX)] += 1;
        self.total += 1;
    }

    /// The delay below which this share is, in milliseconds.
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let wanted = (self.total as f64 * share).max(1.0);
        let mut seen = 0.0;
        for (us, count) in self.counts.iter().enumerate() {
            seen += f64::from(*count);
            if self.total > 0 && seen >= wanted {
                return Some(us as f64 / 1_000.0);
            }
        }
        None
    }
}

/// Samples in milliseconds.
#[derive(Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds one.
    pub fn add(&mut self, ms: f64) {
        self.0.push(ms);
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The sample below which this share is.
    pub fn quantile(&mut self, share: f64) -> Option<f64> {
        self.0.sort_by(f64::total_cmp);
        let last = self.0.len().checked_sub(1)?;
        Some(self.0[((self.0.len() as f64 * share) as usize).min(last)])
    }
}

/// Clock ticks of `/proc` per second: 100 on every Linux that Rust runs on.
const TICKS_PER_S: f64 = 100.0;

/// Seconds of processor time that these processes have used, all their threads, the ended too.
pub fn processor_s(pids: &[u32]) -> f64 {
    pids.iter()
        .filter_map(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name in parentheses may contain anything.
            let rest = &stat[stat.rfind(')')? + 2..];
            let mut fields = rest.split(' ');
            let (user, system) = (fields.nth(11)?, fields.next()?);
            Some((user.parse::<f64>().ok()? + system.parse::<f64>().ok()?) / TICKS_PER_S)
        })
        .sum()
}

/// Resident memory of these processes, in MB.
pub fn resident_mb(pids: &[u32]) -> f64 {
    pids.iter()
        .filter_map(|pid| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
            line.split_whitespace().nth(1)?.parse::<f64>().ok()
        })
        .sum::<f64>()
        / 1_024.0
}

/// The result: names and numbers, in order; `None` where there is no data.
#[derive(Clone, Debug, Default)]
pub struct Figures(pub Vec<(&'static str, Option<f64>)>);

impl Figures {
    /// One of them.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .and_then(|(_, value)| *value)
    }

    /// One line: a JSON object.
    pub fn to_json(&self) -> String {
        let mut out = String::from("{");
        for (n, (name, value)) in self.0.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            match value {
                Some(value) => write!(out, "{comma}\"{name}\":{}", number(*value)),
                None => write!(out, "{comma}\"{name}\":null"),
            }
            .expect("a string takes all");
        }
        out.push('}');
        out
    }

    /// One `name value` per line.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.0 {
            let value = value.map_or_else(|| "-".to_string(), number);
            writeln!(out, "{name:34} {value:>14}").expect("a string takes all");
        }
        out
    }
}

/// Whole numbers whole, others with four decimals.
fn number(value: f64) -> String {
    if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.4}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        let (mut samples, mut delays) = (Samples::default(), Delays::default());
        for n in (0..1_000u64).rev() {
            samples.add(n as f64);
            delays.add(n);
        }
        assert_eq!(samples.quantile(0.5), Some(500.0));
        assert_eq!(samples.quantile(0.99), Some(990.0));
        assert_eq!(delays.quantile_ms(0.99), Some(0.989));
        assert_eq!(Samples::default().quantile(0.5), None);
        assert_eq!(Delays::default().quantile_ms(0.5), None);
    }

    #[test]
    fn figures_without_data_are_null() {
        let figures = Figures(vec![
            ("calls", Some(3.0)),
            ("share", Some(0.25)),
            ("p99_ms", None),
        ]);
        assert_eq!(
            figures.to_json(),
            r#"{"calls":3,"share":0.2500,"p99_ms":null}"#
        );
    }

    #[test]
    fn our_own_processor_time_is_readable() {
        let pid = [std::process::id()];
        let before = processor_s(&pid);
        let mut sum = 0u64;
        while processor_s(&pid) - before < 0.02 {
            sum = sum.wrapping_add((0..10_000u64).sum());
        }
        assert!(sum > 0 && resident_mb(&pid) > 0.5);
    }
}
