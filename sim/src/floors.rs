//! What each cell of the table has to reach, and what is proven to be the most in the Markov world:
//! data, in one place.

/// Agents of the rows.
pub const AGENTS: [usize; 6] = [5, 10, 25, 50, 100, 500];
/// Shares of dials answered, of the columns.
pub const ANSWER_RATES: [f64; 4] = [0.1, 0.2, 0.3, 0.5];

/// Utilisation to reach in per cent, row by row of [`AGENTS`], column by column of [`ANSWER_RATES`].
const FLOORS_PCT: [[f64; 4]; 6] = [
    [76.5, 80.0, 83.3, 88.0],
    [82.7, 85.3, 86.9, 89.6],
    [90.0, 91.0, 91.6, 92.5],
    [93.6, 94.2, 94.6, 95.0],
    [96.3, 96.6, 96.7, 96.9],
    [99.2, 99.3, 99.3, 99.1],
];

/// Up to so many agents, what is learned and abandoned is carried from day to day: a shift is too
/// short for so few to learn in.
pub const CARRIED_AGENTS_MAX: usize = 5;

/// The utilisation a cell has to reach, in per cent; `None` where there is no such cell.
pub fn floor_pct(agents: usize, answer_rate: f64) -> Option<f64> {
    let row = AGENTS.iter().position(|n| *n == agents)?;
    let column = ANSWER_RATES.iter().position(|p| *p == answer_rate)?;
    Some(FLOORS_PCT[row][column])
}

/// Cells of the Markov world whose bound is worth computing: beyond 50 agents little is left to gain.
pub const MARKOV_AGENTS: [usize; 4] = [5, 10, 25, 50];
/// See [`MARKOV_AGENTS`].
pub const MARKOV_ANSWER_RATES: [f64; 2] = [0.1, 0.3];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_a_floor_and_nothing_else_has() {
        assert_eq!(floor_pct(5, 0.1), Some(76.5));
        assert_eq!(floor_pct(500, 0.5), Some(99.1));
        assert_eq!(floor_pct(100, 0.2), Some(96.6));
        assert_eq!(floor_pct(7, 0.1), None);
        assert_eq!(floor_pct(10, 0.15), None);
    }
}
