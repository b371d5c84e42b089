//! Means, shares and their 95 % intervals.

/// Part ÷ whole; `None` of nothing.
pub(crate) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// `None` of nothing.
pub(crate) fn mean(of: &[f64]) -> Option<f64> {
    (!of.is_empty()).then(|| of.iter().sum::<f64>() / of.len() as f64)
}

/// The 95 % interval of a mean of independent values, by Student's t.
pub(crate) fn interval(of: &[f64]) -> Option<[f64; 2]> {
    let n = of.len();
    if n < 2 {
        return None;
    }
    let mean = mean(of)?;
    let variance = of.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
    let half = t_quantile(n - 1) * (variance / n as f64).sqrt();
    Some([mean - half, mean + half])
}

/// The 97.5 % quantile of Student's t: the table to 10 degrees of freedom, the expansion in 1/ν of
/// Cornish and Fisher beyond, where it is right to three digits.
fn t_quantile(freedom: usize) -> f64 {
    const TABLE: [f64; 10] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    ];
    let z: f64 = 1.959_964;
    match TABLE.get(freedom - 1) {
        Some(t) => *t,
        None => {
            let nu = freedom as f64;
            z + (z.powi(3) + z) / (4.0 * nu)
                + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * nu * nu)
        }
    }
}

/// The 95 % interval of a share, in per cent (Wilson 1927).
pub(crate) fn wilson(hits: u64, of: u64) -> Option<[f64; 2]> {
    let p = ratio(hits, of)?;
    let (n, z) = (of as f64, 1.959_964_f64);
    let centre = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 100.0 / (1.0 + z * z / n);
    Some([
        (scale * (centre - half)).max(0.0),
        (scale * (centre + half)).min(100.0),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_need_two_values_and_cover_the_mean() {
        assert_eq!(interval(&[1.0]), None);
        let [low, high] = interval(&[1.0, 2.0, 3.0]).unwrap();
        assert!(
            (low - (2.0 - 4.303 / 3.0_f64.sqrt())).abs() < 1e-9 && high > 2.0,
            "{low} {high}"
        );
        assert!((t_quantile(30) - 2.042).abs() < 1e-3);
        let [low, high] = wilson(0, 10).unwrap();
        assert!(low.abs() < 1e-9 && (27.0..28.0).contains(&high), "{high}");
    }
}
