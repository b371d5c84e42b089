#[path = "../tests/judge/mod.rs"]
#[allow(dead_code)]
mod judge;
fn main() {
    let a: Vec<f64> = std::env::args().skip(1).map(|x| x.parse().unwrap()).collect();
    let w = judge::World::new(model::event::Mode::Predictive, a[0] as usize, a[1], a[2], a.get(3).map_or(3, |s| *s as u64));
    let o = judge::run(&w);
    for (m, x) in o.minutes.iter().enumerate() { println!("{m} {} {} {:.1}", x.0, x.1, x.2 / 60.0); }
}
