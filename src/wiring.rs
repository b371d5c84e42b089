//! The picture of the process: every thread, every channel, in the order they come up.
//!
//! ```text
//!   SIP sockets ─► control thread (reactor ► exchange ► engine) ─► SIP sockets
//!                    ▲ inputs        │ orders        │ events, inputs
//!   store thread ────┤               ▼               ▼
//!   tokio: HTTP,     │          media workers     bus thread ─► event log, ledger, CDR,
//!     WebSocket,     │           (RTP sockets)      metrics, board ─► store, webhooks
//!     TCP, CRM  ─────┘               │            journal thread ─► input log
//!                    ◄── reports ────┘
//! ```

use crate::api::board::{Board, Feed};
use crate::bus::{self, BusHandle, BusParts, BusThread, Inbox};
use crate::clock::Clock;
use crate::config::{Configuration, Source};
use crate::crm::screen_pop::{PopParts, ScreenPops};
use crate::crm::sockets::AgentSockets;
use crate::crm::webhook::{Delivery, Publisher};
use crate::exchange::{Exchange, MediaCounters, Setup, Trunk, Turn};
use crate::journal::{Header, Journal};
use crate::media_io::ports::Ports;
use crate::media_io::{Media, MediaConfig};
use crate::metrics::Metrics;
use crate::net::tcp::Tcp;
use crate::net::waker::Waker;
use crate::reactor::{self, Ended, Outside, Reactor};
use crate::store::{Store, StoreConfig, StoreHandle, StoreRequest, StoreThread};
use crate::{api, lookup, secrets};
use anyhow::Context;
use call::{Command, Engine, Input};
use model::ledger::Ledger;
use model::{AgentId, Now};
use parking_lot::Mutex;
use sip::digest::{Algorithm, ha1};
use sip::endpoint::{Account, Credentials, Endpoint, Hop, Transport, TrunkPeer};
use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// The kernel's buffer for SIP datagrams: a second of the busiest minute.
const SIP_SOCKET_BYTES: usize = 4 << 20;
/// Leg ids of arrived legs begin here within a boot; the engine's own count from 1.
const ARRIVED_LEGS: u64 = 1 << 39;

/// A running Tandem.
pub struct Running {
    /// Where SIP is spoken.
    pub sip: SocketAddr,
    /// Where HTTP is spoken.
    pub api: SocketAddr,
    /// The present, for boards.
    pub feed: Arc<Feed>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// For inputs from outside.
    pub inbox: Inbox,
    /// Secrets of phones, as they are registered.
    pub phones: BTreeMap<AgentId, String>,
    /// The bearer token of an administrator.
    pub token: String,
    /// Agents' tokens for their screens.
    pub agent_tokens: BTreeMap<AgentId, String>,
    folder: PathBuf,
    boot: u32,
    events: PathBuf,
    settling: JoinHandle<()>,
    stop: Arc<Mutex<Option<Duration>>>,
    waker: Waker,
    control: JoinHandle<std::io::Result<(Ended, Exchange, Outlets)>>,
    bus: BusThread,
    store: StoreHandle,
    store_thread: StoreThread,
    journal: JoinHandle<()>,
    runtime: tokio::runtime::Runtime,
}

/// What is left when it has ended.
pub struct Finished {
    /// How.
    pub ended: Ended,
    /// The books.
    pub ledger: Ledger,
    /// Sums over all legs.
    pub media: MediaCounters,
    /// What SIP counted.
    pub sip: sip::endpoint::Counters,
    /// The database, the recordings and the logs.
    pub folder: PathBuf,
    /// The event log of this boot.
    pub events: PathBuf,
}

/// Where the control thread hands things over.
pub struct Outlets {
    bus: BusHandle,
    journal: Journal,
    store: StoreHandle,
    pops: ScreenPops,
    lookups: lookup::Lookups,
    metrics: Arc<Metrics>,
    inbox: Inbox,
    /// As the engine was told last.
    is_congested: bool,
}

/// Brings everything up. The prompts come from `source`, the records go to the data folder.
pub fn start(configuration: Configuration, source: &Source) -> anyhow::Result<Running> {
    let clock = Clock::new();
    let shared_clock: crate::store::Clock = Arc::new(move || clock.now());
    let folder = configuration.tandem.data.folder.clone();
    let recordings = folder.join("recordings");
    std::fs::create_dir_all(&recordings)
        .with_context(|| format!("cannot create {}", recordings.display()))?;

    let database = folder.join("tandem.db");
    let store_config = StoreConfig {
        unknown_of: unknown_of(&configuration),
        dialer: configuration.call.dialer.clone(),
        ..StoreConfig::at(&database)
    };
    let (mut store, boot) = Store::open(
        &store_config,
        shared_clock.clone(),
        env!("CARGO_PKG_VERSION"),
    )
    .with_context(|| format!("cannot open {}", database.display()))?;
    let cap_window = Duration::from_secs(configuration.call.dialer.cap_window_s().into());
    let do_not_call_lists = store
        .do_not_call_lists()
        .context("cannot read the do-not-call lists")?;
    let history = store
        .history(cap_window)
        .context("the answers and dials of the days before cannot be read")?;

    let waker = Waker::new().context("no eventfd")?;
    let (input_sender, inputs) = crossbeam_channel::unbounded();
    let inbox = Inbox::new(input_sender, waker.as_fn());
    let (store, store_thread) = store
        .start(inbox.clone())
        .context("the store does not start")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("services")
        .enable_all()
        .build()
        .context("no runtime")?;

    let metrics = Arc::new(Metrics::new());
    let feed = Feed::new(
        boot.number,
        Board::of(
            configuration.call.acd.agents.keys().copied(),
            configuration.call.acd.queues.keys().copied(),
            configuration.call.dialer.campaigns.keys().copied(),
            clock.now().utc,
        ),
    );
    let webhooks = Publisher::new(&configuration.tandem.webhook, boot.number);
    let adapter = crate::crm::adapter(&configuration.tandem.crm).context("crm")?;
    let sockets = AgentSockets::new();
    let pops = ScreenPops::new(
        PopParts {
            sockets: sockets.clone(),
            adapter: adapter.clone(),
            inbox: inbox.clone(),
            store: Some(store.clone()),
            webhooks: webhooks.clone(),
            metrics: metrics.clone(),
            clock: shared_clock.clone(),
        },
        runtime.handle().clone(),
    );
    let on_record = {
        let (adapter, runtime) = (adapter.clone(), runtime.handle().clone());
        crate::crm::call_log(adapter, runtime)
    };
    let events = bus::log_path(&folder, boot.number);
    point_at(&folder.join("events.jsonl"), &events)?;
    let (bus, bus_thread) = bus::start(BusParts {
        log: Some(events.clone()),
        store: Some(store.clone()),
        metrics: metrics.clone(),
        feed: feed.clone(),
        webhooks,
        on_record: Some(on_record),
    })
    .context("the bus does not start")?;
    for (n, endpoint) in configuration.tandem.webhook.iter().enumerate() {
        let outbox = runtime.block_on(crate::store::outbox::Outbox::open(&StoreConfig::at(
            &database,
        )))?;
        let delivery = Delivery::new(
            endpoint,
            outbox,
            shared_clock.clone(),
            n as u64,
            metrics.clone(),
        )
        .with_context(|| format!("webhook {}", endpoint.name))?;
        runtime.spawn(delivery.run(store.outbox_grew()));
    }

    let seed = secrets::random_u64();
    let header = Header {
        tandem_input_log: 1,
        boot: boot.number,
        seed,
        config: configuration.call.clone(),
    };
    let inputs_log = crate::journal::log_path(&folder, boot.number);
    point_at(&folder.join("inputs.jsonl"), &inputs_log)?;
    let (journal, journal_thread) =
        Journal::start(&inputs_log, &header).context("the input log cannot be begun")?;
    let engine = Engine::new(configuration.call.clone(), boot.number, seed)?;

    let udp = UdpSocket::bind(configuration.tandem.sip.listen)
        .with_context(|| format!("cannot listen on {}", configuration.tandem.sip.listen))?;
    udp.set_nonblocking(true)?;
    crate::net::enlarge_buffers(&udp, SIP_SOCKET_BYTES);
    let bound = udp.local_addr()?;
    let (tcp_sender, tcp_facts) = crossbeam_channel::unbounded();
    let tcp = configuration
        .tandem
        .sip
        .tcp
        .then(|| Tcp::listen(runtime.handle().clone(), bound, tcp_sender, waker.clone()))
        .transpose()
        .with_context(|| format!("cannot listen on {bound} (TCP)"))?;
    let local = configuration.tandem.sip.advertise.unwrap_or(bound);

    let phones = secrets::phones(&configuration, &folder)?;
    let endpoint = Endpoint::new(
        sip_config(&configuration, &phones, boot.number),
        secrets::random_seed(),
    );
    let (first, last) = configuration.tandem.media.ports;
    let ports = Ports::new(
        configuration.tandem.media.address,
        first..=last,
        secrets::random_u64(),
    )?;
    let (media, reports) = Media::start(MediaConfig {
        workers: configuration.tandem.media.workers,
        rtp_timeout: Duration::from_secs(configuration.tandem.media.rtp_timeout_s.into()),
        seed: secrets::random_u64(),
        waker: waker.as_fn(),
        ..MediaConfig::default()
    })
    .context("the media workers do not start")?;
    let trunks = trunks(&configuration, local)?;
    let registrations: Vec<_> = configuration
        .trunks
        .iter()
        .filter(|(_, trunk)| trunk.register)
        .filter_map(|(id, trunk)| Some((*id, trunk.user.clone()?)))
        .collect();
    let agent_of_account: HashMap<String, AgentId> = phones
        .keys()
        .map(|agent| (agent.to_string(), *agent))
        .collect();
    let mut exchange = Exchange::new(Setup {
        engine,
        sip: endpoint,
        media,
        ports,
        prompts: source.prompt_library()?,
        media_address: configuration.tandem.media.address,
        trunks,
        agent_of_account,
        latch_phones: configuration.tandem.media.nat_phones,
        recordings,
        domain: configuration.tandem.sip.domain.clone(),
    });

    let tokens = secrets::tokens(&configuration, &folder)?;
    let mut api_config = configuration.tandem.api.clone();
    api_config.tokens.extend(tokens.configs());
    let parts = api::ApiParts {
        feed: feed.clone(),
        sockets,
        inbox: inbox.clone(),
        metrics: metrics.clone(),
        store: Some(store.clone()),
    };
    let (api_address, _server) =
        runtime.block_on(async { api::serve(&api_config, parts, std::future::pending()).await })?;

    let now = clock.now();
    let started = Input::Started {
        boot: boot.number,
        version: env!("CARGO_PKG_VERSION").into(),
        attempts_unknown: boot.attempts_unknown,
    };
    exchange.on_input(now, started);
    exchange.on_input(
        now,
        Input::DoNotCallLoaded {
            numbers: boot.do_not_call,
        },
    );
    for (campaign, state) in history.learned {
        exchange.on_input(now, Input::LearnedLoaded { campaign, state });
    }
    exchange.on_input(
        now,
        Input::QuotasLoaded {
            quotas: history.quotas,
        },
    );
    for part in do_not_call_lists {
        exchange.on_input(now, part);
    }
    exchange.on_input(
        now,
        Input::DialerHistory {
            answers: history.answers,
            dials: history.dials,
        },
    );
    exchange.on_input(
        now,
        Input::CallerIdsShown {
            uses: history.shown,
        },
    );
    for (trunk, user) in registrations {
        exchange.register(now, trunk, user, REGISTRATION_S);
    }

    let stop: Arc<Mutex<Option<Duration>>> = Arc::default();
    let outlets = Outlets {
        bus,
        journal,
        store: store.clone(),
        pops,
        lookups: lookup::Lookups::new(
            configuration.tandem.lookup.clone(),
            inbox.clone(),
            runtime.handle().clone(),
        ),
        metrics: metrics.clone(),
        inbox: inbox.clone(),
        is_congested: false,
    };
    let options_every = configuration.tandem.sip.options_every_s;
    let reactor = Reactor::new(
        clock,
        exchange,
        reactor::Wires { udp, local, tcp },
        reactor::Inbox {
            inputs,
            reports,
            tcp_facts,
            waker: waker.clone(),
        },
        outlets,
        (options_every > 0).then(|| Duration::from_secs(options_every.into())),
    )?;
    let settling = {
        let (folder, store, inbox) = (folder.clone(), store.clone(), inbox.clone());
        std::thread::Builder::new()
            .name("last-boot".into())
            .spawn(move || crate::store::settle(&boot.unfolded, &folder, &store, &inbox))?
    };
    let stop_of_loop = stop.clone();
    let control = std::thread::Builder::new()
        .name("control".into())
        .spawn(move || reactor.run(&|| *stop_of_loop.lock()))?;

    Ok(Running {
        sip: local,
        api: api_address,
        feed,
        metrics,
        inbox,
        phones,
        token: tokens.admin,
        agent_tokens: tokens.agents,
        folder,
        boot: boot.number,
        events,
        settling,
        stop,
        waker,
        control,
        bus: bus_thread,
        store,
        store_thread,
        journal: journal_thread,
        runtime,
    })
}

/// What becomes of a lead whose attempt a crash cut off, by the campaign's own rule.
fn unknown_of(configuration: &Configuration) -> BTreeMap<model::CampaignId, (u32, u16)> {
    let campaigns = &configuration.call.dialer.campaigns;
    let rule = |campaign: &dialer::CampaignConfig| {
        let rule = campaign.retry(model::AttemptOutcome::UnknownRestart);
        (rule.wait_s, rule.attempts.min(campaign.max_attempts))
    };
    campaigns
        .iter()
        .map(|(id, campaign)| (*id, rule(campaign)))
        .collect()
}

/// `link` names the log of the boot that runs, or ran last.
fn point_at(link: &Path, log: &Path) -> anyhow::Result<()> {
    let name = log.file_name().context("a log has a name")?;
    let partial = link.with_extension("partial");
    match std::fs::remove_file(&partial) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => std::os::unix::fs::symlink(name, &partial)
            .and_then(|()| std::fs::rename(&partial, link)),
    }
    .with_context(|| format!("cannot write {}", link.display()))
}

/// Asked of carriers that want a registration.
const REGISTRATION_S: u32 = 600;

impl Running {
    /// Takes nothing new from now on; live calls have `patience`.
    pub fn stop(&self, patience: Duration) {
        *self.stop.lock() = Some(patience);
        self.waker.wake();
    }

    /// Where the records are.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// SIGTERM or SIGINT stops with this patience; a second one stops at once.
    pub fn stop_on_signals(&self, patience: Duration) {
        let (stop, waker) = (self.stop.clone(), self.waker.clone());
        self.runtime.spawn(async move {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut terminate), Ok(mut interrupt)) = (
                signal(SignalKind::terminate()),
                signal(SignalKind::interrupt()),
            ) else {
                tracing::error!("signals cannot be heard; only a kill ends this process");
                return;
            };
            let mut patience = patience;
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                *stop.lock() = Some(patience);
                waker.wake();
                patience = Duration::ZERO;
            }
        });
    }

    /// The runtime of the services.
    pub fn runtime(&self) -> &tokio::runtime::Handle {
        self.runtime.handle()
    }

    /// Waits for the end, with everything written.
    pub fn join(self) -> anyhow::Result<Finished> {
        let (ended, exchange, outlets) = match self.control.join() {
            Ok(ended) => ended.context("the control thread failed")?,
            Err(_) => anyhow::bail!("the control thread panicked"),
        };
        let (media, sip) = (exchange.media_counters(), exchange.sip().counters());
        drop(outlets);
        drop(exchange);
        let ledger = self.bus.join().context("the bus thread panicked")?;
        if self.settling.join().is_err() {
            tracing::error!("the thread that folds earlier event logs panicked");
        }
        // With the bus at its end, every call of this boot has its record.
        self.store
            .request(StoreRequest::BootFolded { boot: self.boot });
        if !self.store.sync(STORE_PATIENCE) {
            tracing::error!("the store did not take all records in time");
        }
        self.runtime.shutdown_timeout(Duration::from_secs(1));
        drop(self.store);
        drop(self.inbox);
        self.store_thread.join();
        if self.journal.join().is_err() {
            tracing::error!("the journal's thread panicked");
        }
        Ok(Finished {
            ended,
            ledger,
            media,
            sip,
            folder: self.folder,
            events: self.events,
        })
    }
}

/// A stopping engine waits this long for its records to be durable.
const STORE_PATIENCE: Duration = Duration::from_secs(30);

impl Outlets {
    /// Tells the engine when records pile up, and when they no longer do.
    fn watch_congestion(&mut self) {
        let is_congested = self.bus.is_congested();
        if is_congested != self.is_congested {
            self.is_congested = is_congested;
            tracing::warn!(
                lag = self.bus.lag(),
                is_congested,
                "the bus is behind, or no longer: new calls are refused meanwhile"
            );
            self.inbox.send(Input::Congested { on: is_congested });
        }
    }
}

impl Outside for Outlets {
    fn publish(&mut self, turn: &mut Turn) {
        self.bus.send(std::mem::take(&mut turn.events));
        self.watch_congestion();
        for leg in turn.legs.drain(..) {
            self.metrics.add_leg(&leg);
        }
        if !turn.inputs.is_empty() {
            self.journal.send(std::mem::take(&mut turn.inputs));
        }
    }

    fn errand(&mut self, command: Command) {
        let request = match command {
            Command::PopScreen(pop) => return self.pops.deliver(*pop),
            Command::Lookup {
                lookup,
                call: _,
                source,
                parameters,
                timeout,
            } => {
                return self.lookups.ask(lookup, &source, parameters, timeout);
            }
            Command::FetchLeads {
                campaign,
                lists,
                count,
            } => StoreRequest::FetchLeads {
                campaign,
                lists,
                count,
            },
            Command::AddLead {
                agent,
                campaign,
                number,
            } => StoreRequest::AddLead {
                agent,
                campaign,
                number,
            },
            Command::Claim {
                attempt,
                call,
                campaign,
                lead,
                list,
                number,
            } => StoreRequest::Claim {
                attempt,
                call,
                campaign,
                lead,
                list,
                number,
            },
            Command::Resolve {
                attempt,
                campaign,
                lead,
                outcome,
                next,
            } => StoreRequest::Resolve {
                attempt,
                campaign,
                lead,
                outcome,
                next,
            },
            Command::SaveLearned { campaign, state } => {
                StoreRequest::SaveLearned { campaign, state }
            }
            Command::SaveQuota(count) => StoreRequest::SaveQuota(count),
            Command::ReturnLeads { campaign, leads } => {
                StoreRequest::ReturnLeads { campaign, leads }
            }
            Command::StoreDisposition {
                call,
                agent,
                lead,
                disposition,
                note,
                callback_at,
            } => StoreRequest::StoreDisposition {
                call,
                agent,
                lead,
                disposition,
                note,
                callback_at,
            },
            Command::StoreDoNotCall { number } => StoreRequest::StoreDoNotCall { number },
            other => unreachable_errand(&other),
        };
        self.store.request(request);
    }

    fn snapshot(&mut self, _now: Now, exchange: &Exchange) {
        // Without traffic nothing is published: the end of a congestion is seen here.
        self.watch_congestion();
        self.metrics.set_sip(&exchange.sip().counters());
        self.metrics
            .set_store(self.store.lag(), self.store.counters());
        self.metrics.set_bus_lag(self.bus.lag());
    }

    fn late(&mut self, by: Duration) {
        self.metrics.observe_loop_lag(by);
    }
}

fn unreachable_errand(command: &Command) -> ! {
    panic!("the exchange carries this out itself: {command:?}")
}

fn sip_config(
    configuration: &Configuration,
    phones: &BTreeMap<AgentId, String>,
    boot: u32,
) -> sip::endpoint::Config {
    let realm = configuration.tandem.sip.domain.clone();
    let accounts = phones
        .iter()
        .map(|(agent, password)| Account {
            user: agent.to_string(),
            ha1_md5: ha1(agent.as_str(), &realm, password, Algorithm::Md5),
            ha1_sha256: ha1(agent.as_str(), &realm, password, Algorithm::Sha256),
        })
        .collect();
    let trunks = configuration
        .trunks
        .iter()
        .map(|(id, trunk)| TrunkPeer {
            trunk: *id,
            addresses: std::iter::once(trunk.address)
                .chain(trunk.also_from.iter().copied())
                .collect(),
        })
        .collect();
    sip::endpoint::Config {
        realm,
        product: concat!("Tandem/", env!("CARGO_PKG_VERSION")).into(),
        accounts,
        trunks,
        expires_s: configuration.tandem.sip.registration_s,
        first_leg: (u64::from(boot) << model::id::COUNTER_BITS) + ARRIVED_LEGS,
        open: false,
        t1_ms: configuration.tandem.sip.t1_ms,
        digests: configuration
            .tandem
            .sip
            .digest
            .iter()
            .map(|digest| digest.algorithm())
            .collect(),
    }
}

fn trunks(
    configuration: &Configuration,
    local: SocketAddr,
) -> anyhow::Result<BTreeMap<model::TrunkId, Trunk>> {
    let mut trunks = BTreeMap::new();
    for (id, trunk) in &configuration.trunks {
        let transport = match trunk.transport {
            crate::config::TransportFile::Udp => Transport::Udp,
            crate::config::TransportFile::Tcp => Transport::Tcp,
        };
        let credentials = match &trunk.user {
            Some(user) => Some(Credentials {
                user: user.clone(),
                password: trunk
                    .password()
                    .secret()
                    .map_err(|why| anyhow::anyhow!("trunk {id}: {why}"))?,
            }),
            None => None,
        };
        let hop = Hop {
            transport,
            local,
            remote: trunk.address,
        };
        let host = trunk
            .host
            .clone()
            .unwrap_or_else(|| trunk.address.to_string());
        trunks.insert(
            *id,
            Trunk {
                hop,
                host,
                credentials,
            },
        );
    }
    Ok(trunks)
}
