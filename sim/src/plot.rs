//! A shift as a picture: utilisation, agents by what they do, calls in flight, and abandonment
//! against the limit. Hand-written SVG of 1200 × 800 that any browser shows; no fonts of its own.

use crate::curve::{BIN_S, Bin, Curve};
use crate::report::ABANDONMENT_LIMIT_PCT;
use std::fmt::Write;

const WIDTH: f64 = 1_200.0;
const HEIGHT: f64 = 800.0;
const LEFT: f64 = 76.0;
/// Room for the legends.
const RIGHT: f64 = 190.0;
const TOP: f64 = 92.0;
const BOTTOM: f64 = 54.0;
const GAP: f64 = 44.0;
const PANELS: f64 = 4.0;
const PANEL: f64 = (HEIGHT - TOP - BOTTOM - (PANELS - 1.0) * GAP) / PANELS;
/// Lines and areas have this many points at most: more than one for two pixels shows nothing.
const POINTS_MAX: usize = 480;
/// Abandonment beyond this is drawn at the edge, in per cent: one bad minute is not to flatten a day.
const ABANDONMENT_TOP_PCT: f64 = 15.0;

/// Colours that the colour-blind tell apart (Okabe and Ito 2008).
const BLUE: &str = "#0072b2";
const SKY: &str = "#56b4e9";
const ORANGE: &str = "#e69f00";
const GREEN: &str = "#009e73";
const RED: &str = "#d55e00";
const GREY: &str = "#e2e2e2";
const INK: &str = "#333333";

/// What is written above.
#[derive(Clone, Debug)]
pub struct Titles {
    /// Large.
    pub title: String,
    /// Small, below.
    pub subtitle: String,
}

/// Steps of ten seconds put together until they fit, with the means that are drawn.
struct Points {
    hours: f64,
    utilisation: Vec<Option<f64>>,
    /// Agents who talk, wrap up, wait; of the rest nothing is known.
    agents: Vec<[f64; 3]>,
    in_flight: Vec<f64>,
    five_minutes: Vec<Option<f64>>,
    so_far: Vec<Option<f64>>,
}

impl Points {
    fn new(curve: &Curve) -> Points {
        let bins = curve.bins();
        let of = bins.len().div_ceil(POINTS_MAX).max(1);
        let five_minutes = curve.five_minutes_pct();
        let mut points = Points {
            hours: (bins.len() as u64 * BIN_S) as f64 / 3_600.0,
            utilisation: Vec::new(),
            agents: Vec::new(),
            in_flight: Vec::new(),
            five_minutes: Vec::new(),
            so_far: Vec::new(),
        };
        let (mut live, mut abandoned) = (0, 0);
        for (n, group) in bins.chunks(of).enumerate() {
            let us = (group.len() as u64 * BIN_S * 1_000_000) as f64;
            let mean = |of: &dyn Fn(&Bin) -> u64| group.iter().map(of).sum::<u64>() as f64 / us;
            let from = n * of;
            points
                .utilisation
                .push(curve.utilisation_pct(from..from + group.len()));
            points.agents.push([
                mean(&|bin| bin.talking_us),
                mean(&|bin| bin.wrapping_up_us),
                mean(&|bin| bin.waiting_us),
            ]);
            points.in_flight.push(mean(&|bin| bin.in_flight_us));
            points
                .five_minutes
                .push(five_minutes[from + group.len() - 1]);
            live += group.iter().map(|bin| bin.live).sum::<u64>();
            abandoned += group.iter().map(|bin| bin.abandoned).sum::<u64>();
            points
                .so_far
                .push((live > 0).then(|| 100.0 * abandoned as f64 / live as f64));
        }
        points
    }

    fn x(&self, n: usize) -> f64 {
        let count = self.agents.len().max(1);
        LEFT + (WIDTH - LEFT - RIGHT) * (n as f64 + 0.5) / count as f64
    }

    fn x_of_hour(&self, hour: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * hour / self.hours.max(1e-9)
    }
}

/// One of the four pictures, with its scale.
struct Panel {
    top: f64,
    low: f64,
    high: f64,
}

impl Panel {
    fn y(&self, value: f64) -> f64 {
        let share = (value.clamp(self.low, self.high) - self.low) / (self.high - self.low);
        self.top + PANEL * (1.0 - share)
    }
}

/// The picture of a shift. Steps of the scenario are marked at their hours.
pub fn svg(titles: &Titles, curve: &Curve, agents: usize, steps_h: &[f64]) -> String {
    let points = Points::new(curve);
    let mut out = String::new();
    put(
        &mut out,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"14\" fill=\"{INK}\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
             <text x=\"{LEFT}\" y=\"30\" font-size=\"20\">{}</text>\n\
             <text x=\"{LEFT}\" y=\"52\">{}</text>",
            escaped(&titles.title),
            escaped(&titles.subtitle)
        ),
    );
    let tops: Vec<f64> = (0..4).map(|n| TOP + f64::from(n) * (PANEL + GAP)).collect();

    let least = points
        .utilisation
        .iter()
        .flatten()
        .fold(100.0_f64, |low, pct| low.min(*pct));
    let panel = Panel {
        top: tops[0],
        low: (least / 20.0).floor().min(4.0) * 20.0,
        high: 100.0,
    };
    frame(&mut out, &points, &panel, "utilisation, %");
    line(&mut out, &points, &panel, &points.utilisation, BLUE, 1.6);
    marks(&mut out, &points, &panel, steps_h);
    legend(&mut out, panel.top, &[("utilisation", BLUE)]);

    let panel = Panel {
        top: tops[1],
        low: 0.0,
        high: agents.max(1) as f64,
    };
    frame(&mut out, &points, &panel, "agents");
    put(
        &mut out,
        format_args!(
            "<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{PANEL:.1}\" fill=\"{GREY}\"/>",
            panel.top,
            WIDTH - LEFT - RIGHT
        ),
    );
    let mut below = vec![0.0; points.agents.len()];
    for (kind, colour) in [BLUE, SKY, ORANGE].into_iter().enumerate() {
        let above: Vec<f64> = below
            .iter()
            .zip(&points.agents)
            .map(|(below, agents)| below + agents[kind])
            .collect();
        area(&mut out, &points, &panel, &below, &above, colour);
        below = above;
    }
    marks(&mut out, &points, &panel, steps_h);
    legend(
        &mut out,
        panel.top,
        &[
            ("away", GREY),
            ("available", ORANGE),
            ("wrap-up", SKY),
            ("talking", BLUE),
        ],
    );

    let most = points.in_flight.iter().fold(1.0_f64, |a, b| a.max(*b));
    let panel = Panel {
        top: tops[2],
        low: 0.0,
        high: next_of(&[1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0], most),
    };
    frame(&mut out, &points, &panel, "calls in flight");
    let in_flight: Vec<Option<f64>> = points.in_flight.iter().map(|x| Some(*x)).collect();
    line(&mut out, &points, &panel, &in_flight, GREEN, 1.4);
    marks(&mut out, &points, &panel, steps_h);
    legend(&mut out, panel.top, &[("dialled, no agent yet", GREEN)]);

    let worst = points
        .five_minutes
        .iter()
        .chain(&points.so_far)
        .flatten()
        .fold(2.0 * ABANDONMENT_LIMIT_PCT, |a, b| a.max(*b));
    let panel = Panel {
        top: tops[3],
        low: 0.0,
        high: worst.min(ABANDONMENT_TOP_PCT),
    };
    frame(&mut out, &points, &panel, "abandonment, %");
    let y = panel.y(ABANDONMENT_LIMIT_PCT);
    put(
        &mut out,
        format_args!(
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{RED}\" stroke-width=\"1.5\" stroke-dasharray=\"7 5\"/>",
            WIDTH - RIGHT
        ),
    );
    line(&mut out, &points, &panel, &points.five_minutes, SKY, 1.2);
    line(&mut out, &points, &panel, &points.so_far, INK, 2.0);
    marks(&mut out, &points, &panel, steps_h);
    legend(
        &mut out,
        panel.top,
        &[
            ("limit", RED),
            ("last 5 minutes", SKY),
            ("since the start", INK),
        ],
    );

    put(
        &mut out,
        format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">hours since the start of the shift</text>\n</svg>",
            LEFT + (WIDTH - LEFT - RIGHT) / 2.0,
            HEIGHT - 12.0
        ),
    );
    out
}

fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    writeln!(out, "{what}").expect("a string takes every line");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// The next of 1, 2, 5, 10, 20, 50 …
fn round_up(x: f64) -> f64 {
    next_of(&[1.0, 2.0, 5.0, 10.0], x)
}

/// The next of these, or of these times ten, a hundred …
fn next_of(steps: &[f64], x: f64) -> f64 {
    let magnitude = 10.0_f64.powf(x.max(1e-9).log10().floor());
    steps
        .iter()
        .map(|step| step * magnitude)
        .find(|step| *step >= x * 0.999_999)
        .unwrap_or(x)
}

/// Axes, ticks and title.
fn frame(out: &mut String, points: &Points, panel: &Panel, title: &str) {
    let (right, bottom) = (WIDTH - RIGHT, panel.top + PANEL);
    put(
        out,
        format_args!(
            "<text x=\"{LEFT}\" y=\"{:.1}\" font-weight=\"bold\">{title}</text>",
            panel.top - 8.0
        ),
    );
    let every = round_up((panel.high - panel.low) / 6.0);
    let mut tick = (panel.low / every).ceil() * every;
    while tick <= panel.high + 1e-9 {
        let y = panel.y(tick);
        put(
            out,
            format_args!(
                "<line x1=\"{LEFT}\" x2=\"{right:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#e4e4e4\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"12\">{tick}</text>",
                LEFT - 8.0,
                y + 4.0
            ),
        );
        tick += every;
    }
    let every = round_up(points.hours / 10.0);
    let mut hour = 0.0;
    while hour <= points.hours + 1e-9 {
        let x = points.x_of_hour(hour);
        put(
            out,
            format_args!(
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{bottom:.1}\" y2=\"{:.1}\" stroke=\"{INK}\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"12\">{}</text>",
                bottom + 4.0,
                bottom + 16.0,
                (hour * 1_000.0).round() / 1_000.0
            ),
        );
        hour += every;
    }
    put(
        out,
        format_args!(
            "<polyline points=\"{LEFT},{:.1} {LEFT},{bottom:.1} {right:.1},{bottom:.1}\" fill=\"none\" stroke=\"{INK}\"/>",
            panel.top
        ),
    );
}

/// Where the scenario changes something.
fn marks(out: &mut String, points: &Points, panel: &Panel, steps_h: &[f64]) {
    let bottom = panel.top + PANEL;
    for step in steps_h {
        let x = points.x_of_hour(*step);
        put(
            out,
            format_args!(
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\" stroke=\"{INK}\" stroke-dasharray=\"2 4\"/>",
                panel.top
            ),
        );
    }
}

/// A line, torn where there is nothing to show.
fn line(
    out: &mut String,
    points: &Points,
    panel: &Panel,
    values: &[Option<f64>],
    colour: &str,
    width: f64,
) {
    let mut path = String::new();
    let mut pen_is_down = false;
    for (n, value) in values.iter().enumerate() {
        if let Some(value) = value {
            let verb = if pen_is_down { 'L' } else { 'M' };
            write!(path, "{verb}{:.1} {:.1}", points.x(n), panel.y(*value))
                .expect("a string takes every point");
        }
        pen_is_down = value.is_some();
    }
    put(
        out,
        format_args!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"/>"
        ),
    );
}

/// What lies between two lines.
fn area(
    out: &mut String,
    points: &Points,
    panel: &Panel,
    below: &[f64],
    above: &[f64],
    colour: &str,
) {
    let upper = above.iter().enumerate();
    let lower = below.iter().enumerate().rev();
    let corners: Vec<String> = upper
        .chain(lower)
        .map(|(n, value)| format!("{:.1},{:.1}", points.x(n), panel.y(*value)))
        .collect();
    put(
        out,
        format_args!(
            "<polygon points=\"{}\" fill=\"{colour}\"/>",
            corners.join(" ")
        ),
    );
}

fn legend(out: &mut String, top: f64, entries: &[(&str, &str)]) {
    for (n, (name, colour)) in entries.iter().enumerate() {
        let y = top + 8.0 + 21.0 * n as f64;
        let x = WIDTH - RIGHT + 16.0;
        put(
            out,
            format_args!(
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"14\" height=\"10\" fill=\"{colour}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{name}</text>",
                x + 22.0,
                y + 10.0
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Controller, Options, Scenario, judge_with};

    fn picture(hours: f64) -> String {
        let scenario = Scenario {
            hours,
            shifts: 1,
            ..Scenario::default()
        };
        let judged = judge_with(&scenario, Controller::Ratio(3.0), Options::default()).unwrap();
        let titles = Titles {
            title: "10 agents & a <ratio>".into(),
            subtitle: "seed 1".into(),
        };
        svg(&titles, &judged.first.curve, 10, &[hours / 2.0])
    }

    #[test]
    fn a_picture_has_its_four_panels_and_no_point_outside() {
        let svg = picture(0.5);
        for title in [
            "utilisation, %",
            "agents",
            "calls in flight",
            "abandonment, %",
        ] {
            assert!(svg.contains(&format!(">{title}</text>")), "{title}");
        }
        assert!(svg.contains("10 agents &amp; a &lt;ratio>"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        let polygons = svg.lines().filter(|line| line.starts_with("<polygon"));
        for corner in polygons.flat_map(|line| line.split('"').nth(1).unwrap().split(' ')) {
            let (x, y) = corner.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((LEFT..=WIDTH - RIGHT).contains(&x) && (TOP..=HEIGHT - BOTTOM).contains(&y));
        }
    }

    #[test]
    fn a_shift_of_a_moment_is_a_picture_too() {
        assert!(picture(0.001).ends_with("</svg>\n"));
    }

    #[test]
    fn scales_end_at_round_numbers() {
        for (x, round) in [
            (0.8, 1.0),
            (1.0, 1.0),
            (1.2, 2.0),
            (37.0, 50.0),
            (501.0, 1_000.0),
        ] {
            assert_eq!(round_up(x), round);
        }
    }
}
