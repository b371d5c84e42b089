//! `tandem demo`: a whole contact centre on this machine.
//!
//! The engine runs on the embedded configuration. Around it, with sockets of their own and nothing
//! shared: a carrier with customers, the agents' phones (SIP and RTP), the agents' screens
//! (WebSocket), and a small CRM that takes the screen pops by webhook and answers look-ups.

mod board;
mod crm;
mod report;
mod screens;
mod street;

use crate::config::{self, Configuration, Source};
use crate::store::{ImportOptions, StoreConfig, import_csv};
use crate::wiring;
use anyhow::Context;
use call::Input;
use call::config::Route;
use model::{AgentId, CampaignId, ListId, TrunkId};
use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Arguments of `tandem demo`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tandem demo                         a minute with 12 agents and a live board
  tandem demo --seconds 60 --json     one report at the end, as JSON
  tandem demo --agents 30 --seconds 120")]
pub struct DemoArgs {
    /// How long it runs, draining included; at least 20.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(20..=3_600))]
    seconds: u64,
    /// How many agents work.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=200))]
    agents: u32,
    /// Print one report at the end as JSON, and nothing else on standard output.
    #[arg(long)]
    json: bool,
    /// Where the database, the recordings and the logs are left; a new folder here by default.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Nothing is dialled so long before the end: a call may ring for 15 s (47 CFR 64.1200(a)(6)).
const DIALLED_OUT: Duration = Duration::from_secs(17);
/// Nobody calls so long before the end: the last one waits, talks, and is wrapped up.
const CALLED_OUT: Duration = Duration::from_secs(13);
/// The engine hangs up what still lives so long after the end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Everybody is there after this, or the demo says who is missing.
const GATHERING: Duration = Duration::from_secs(15);
/// The campaign that dials, and the list it dials from.
const CAMPAIGN: &str = "spring";

/// Runs it.
pub fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let folder = match args.folder {
        Some(folder) => folder,
        None => PathBuf::from(format!("tandem-demo-{}", std::process::id())),
    };
    let street = street::Street::open(args.agents)?;
    let crm = crm::Crm::start()?;
    let (mut configuration, _) = config::load(&Source::Embedded)?;
    adapt(
        &mut configuration,
        args.agents,
        street.carrier(),
        crm.address(),
        &folder,
    )?;
    let leads = import_leads(&configuration, args.agents, args.seconds)?;
    let agents: Vec<AgentId> = configuration.call.acd.agents.keys().copied().collect();
    let running = wiring::start(configuration, &Source::Embedded)?;
    if !args.json {
        println!(
            "SIP on {}, HTTP on http://{}, records in {}",
            running.sip,
            running.api,
            folder.display()
        );
        println!(
            "{} agents, {leads} leads, a carrier on {}, a CRM on {}",
            agents.len(),
            street.carrier(),
            crm.address()
        );
    }

    let people = street.populate(running.sip, &running.phones)?;
    let screens = screens::Screens::open(running.runtime(), running.api, &running.agent_tokens);
    let gathered = wait_for(GATHERING, || {
        running.feed.read(|board| {
            board
                .agents
                .values()
                .filter(|row| row.state.name() == "available")
                .count()
        }) == agents.len()
    });
    anyhow::ensure!(
        gathered,
        "after {} s not all agents were available; see --log info",
        GATHERING.as_secs()
    );
    running.inbox.send(Input::SetCampaignRunning {
        campaign: campaign(),
        running: true,
    });
    people.open();

    let seconds = Duration::from_secs(args.seconds);
    let draws = !args.json && std::io::stdout().is_terminal();
    let mut board = board::TerminalBoard::new(draws);
    let mut watch_until = |left: Duration| {
        while began.elapsed() + left < seconds {
            board.draw(&running.feed, began.elapsed(), seconds);
            std::thread::park_timeout(board::EVERY);
        }
    };
    watch_until(DIALLED_OUT.min(seconds / 2));
    running.inbox.send(Input::SetCampaignRunning {
        campaign: campaign(),
        running: false,
    });
    watch_until(CALLED_OUT.min(seconds / 2));
    people.close();
    watch_until(Duration::ZERO);
    let drained = wait_for(PATIENCE, || {
        board.draw(&running.feed, began.elapsed(), seconds);
        running.feed.read(|board| {
            board.calls.is_empty()
                && board
                    .campaigns
                    .values()
                    .all(|campaign| campaign.in_flight == 0)
        })
    });
    if !drained {
        tracing::warn!("calls were still live when the patience was over");
    }
    screens.close();
    running.stop(PATIENCE);
    let finished = running.join()?;
    let street = people.leave()?;
    board.clear();

    let report = report::Report::of(&finished, &street, &crm.seen(), began.elapsed())?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        writeln!(out, "{report}")?;
        writeln!(
            out,
            "recordings, database, event log and input log: {}",
            folder.display()
        )?;
    }
    Ok(if report.is_balanced() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn campaign() -> CampaignId {
    CAMPAIGN.parse().expect("a valid name")
}

/// The embedded configuration, moved to free ports and to a world that is quicker than ours.
fn adapt(
    configuration: &mut Configuration,
    agents: u32,
    carrier: SocketAddr,
    crm: SocketAddr,
    folder: &std::path::Path,
) -> anyhow::Result<()> {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    configuration.tandem.sip.listen = loopback;
    configuration.tandem.api.listen = loopback;
    configuration.tandem.data.folder = folder.to_path_buf();
    configuration.tandem.sip.options_every_s = 5;
    configuration.tandem.crm = crm::adapter(crm)?;
    configuration.tandem.webhook = vec![crm::webhook(crm, folder)?];
    let trunk: TrunkId = "carrier".parse().expect("a valid name");
    configuration
        .trunks
        .get_mut(&trunk)
        .context("the embedded configuration has no trunk \"carrier\"")?
        .address = carrier;

    // The main line is open at all hours here: the visitor's clock may say otherwise.
    let flow = "demo".parse().expect("a valid name");
    configuration.call.routes = vec![Route {
        number: "*".into(),
        trunk: None,
        flow: Some(flow),
        queue: None,
    }];
    let spring = configuration
        .call
        .dialer
        .campaigns
        .get_mut(&campaign())
        .context("no campaign \"spring\"")?;
    // Fictitious people on the loopback are dialled at all hours; everything else of the law holds.
    spring.rules = vec!["demo".into()];
    spring.running = false;
    spring.ring_timeout_ms = 15_000;
    spring.max_in_flight = 500;
    spring.calls_per_second = 40.0;
    let limits = configuration
        .call
        .dialer
        .trunks
        .get_mut(&trunk)
        .context("no limits for the trunk")?;
    limits.concurrent_calls = 1_000;
    limits.calls_per_second = 40.0;

    let pattern = configuration
        .call
        .acd
        .agents
        .values()
        .next()
        .cloned()
        .context("no agent to take as a pattern")?;
    let shipped: Vec<AgentId> = configuration.call.acd.agents.keys().copied().collect();
    for agent in shipped.iter().skip(agents as usize) {
        configuration.call.acd.agents.remove(agent);
    }
    for n in shipped.len()..agents as usize {
        let id: AgentId = format!("agent-{:03}", n + 1).parse().expect("a valid name");
        let name = format!("Agent {}", n + 1);
        configuration.call.acd.agents.insert(
            id,
            acd::AgentConfig {
                name,
                ..pattern.clone()
            },
        );
    }
    // A third takes the calls that come in, the others those that the campaign dials.
    let mut on_campaign = Vec::new();
    for (n, (id, agent)) in configuration.call.acd.agents.iter_mut().enumerate() {
        let takes_inbound = n % 3 == 0;
        let is_dialled_for = !takes_inbound || agents < 3;
        let queues: &[&str] = match (takes_inbound, is_dialled_for) {
            (true, true) => &["sales", "support", CAMPAIGN],
            (true, false) => &["sales", "support"],
            (false, _) => &[CAMPAIGN],
        };
        agent.queues = queues
            .iter()
            .map(|queue| {
                acd::config::Membership::from(
                    queue.parse::<model::QueueId>().expect("a valid name"),
                )
            })
            .collect();
        agent
            .skills
            .insert("products".parse().expect("a valid name"), 9);
        agent.wrap_up_ms = None;
        if is_dialled_for {
            on_campaign.push(*id);
        }
    }
    configuration
        .call
        .dialer
        .campaigns
        .get_mut(&campaign())
        .context("looked up above")?
        .agents = on_campaign;
    configuration.phones.clear();
    Ok(())
}

/// The shipped list, and more of the same kind where so many agents would use it up.
fn import_leads(configuration: &Configuration, agents: u32, seconds: u64) -> anyhow::Result<u64> {
    let folder = &configuration.tandem.data.folder;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let mut csv = Source::Embedded
        .read("leads/spring.csv")
        .map_err(|why| anyhow::anyhow!("leads/spring.csv: {why}"))?;
    let columns = csv
        .lines()
        .next()
        .map_or(1, |header| header.split(',').count());
    let wanted = u64::from(agents) * seconds;
    for n in csv.lines().count() as u64..wanted {
        // 555-01XX is set aside for fiction; the area code varies instead (NANP).
        csv.push_str(&format!(
            "+1{:03}5550{:03}",
            201 + n / 1_000 % 700,
            n % 1_000
        ));
        csv.push_str(&",".repeat(columns - 1));
        csv.push('\n');
    }
    let list: ListId = CAMPAIGN.parse().expect("a valid name");
    let options = ImportOptions::of(list);
    let now = crate::clock::Clock::new().now().utc;
    let report = import_csv(
        &StoreConfig::at(folder.join("tandem.db")),
        csv.as_bytes(),
        &options,
        now,
        &mut |_| {},
    )?;
    Ok(report.accepted)
}

/// Looks until it is so, or the time is over.
fn wait_for(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + patience;
    while Instant::now() < until {
        if is_so() {
            return true;
        }
        std::thread::park_timeout(board::EVERY);
    }
    false
}
