//! `tandem-load`: calls for any SIP engine, and figures of how it carries them.
#![forbid(unsafe_code)]

use anyhow::{Context, bail};
use sip_testbed::load::{Load, Plan};
use std::process::ExitCode;
use std::str::FromStr;

const USAGE: &str = "tandem-load: SIP and RTP load for any engine, on one thread

  tandem-load --engine ADDRESS:PORT --to USER [OPTIONS]

  --engine A:P        the engine under test
  --caller A:P        the callers (127.0.0.2:6060)
  --callee A:P        the carrier, or the agents' phones (127.0.0.3:7070)
  --rtp-port P        RTP of either side (20000)
  --to USER           who is called (bench)
  --rate N            calls per second (0: none)
  --calls-max N       calls at once (10000)
  --hold-ms MS        callers hang up so long after the answer (1000); 0: at the end
  --talk-ms MS        callees hang up after so long, agents after 0.5 to 1.5 times that; 0: never (0)
  --answer-ms MS      callees answer after so long (0)
  --seconds S         how long calls are begun (10)
  --warm-up-s S       the steady window begins then (0)
  --media             both sides send G.711
  --agents N          a000, a001, … on the callee side; a busy one says 486
  --password WORD     of all agents, for an engine that challenges them
  --register          register the agents first, with digest
  --pid PID[,PID…]    the engine's processes: their processor time is counted
  --json              one line of JSON

Example: 50 calls per second for half a minute, held for one second
  tandem-load --engine 127.0.0.1:5060 --to bench --rate 50 --seconds 30 --pid 4711
Exit code 1 where a call failed, was sent again, or is left over.";

fn main() -> anyhow::Result<ExitCode> {
    let mut plan = Plan {
        engine: "127.0.0.1:5060".parse()?,
        caller: "127.0.0.2:6060".parse()?,
        callee: "127.0.0.3:7070".parse()?,
        rtp_port: 20_000,
        to: "bench".into(),
        rate: 0.0,
        calls_max: 10_000,
        hold_ms: 1_000,
        talk_ms: 0,
        answer_ms: 0,
        seconds: 10.0,
        warm_up_s: 0.0,
        media: false,
        agents: 0,
        password: None,
        register: false,
        pids: Vec::new(),
    };
    let mut is_json = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        match name.as_str() {
            "--help" | "-h" => {
                println!("{USAGE}");
                return Ok(ExitCode::SUCCESS);
            }
            "--media" => plan.media = true,
            "--register" => plan.register = true,
            "--json" => is_json = true,
            _ => {
                let value = arguments
                    .next()
                    .with_context(|| format!("{name} needs a value; see --help"))?;
                let text = value.as_str();
                match name.as_str() {
                    "--engine" => plan.engine = read(&name, text)?,
                    "--caller" => plan.caller = read(&name, text)?,
                    "--callee" => plan.callee = read(&name, text)?,
                    "--rtp-port" => plan.rtp_port = read(&name, text)?,
                    "--to" => plan.to = value,
                    "--rate" => plan.rate = read(&name, text)?,
                    "--calls-max" => plan.calls_max = read(&name, text)?,
                    "--hold-ms" => plan.hold_ms = read(&name, text)?,
                    "--talk-ms" => plan.talk_ms = read(&name, text)?,
                    "--answer-ms" => plan.answer_ms = read(&name, text)?,
                    "--seconds" => plan.seconds = read(&name, text)?,
                    "--warm-up-s" => plan.warm_up_s = read(&name, text)?,
                    "--agents" => plan.agents = read(&name, text)?,
                    "--password" => plan.password = Some(value),
                    "--pid" => {
                        plan.pids = text
                            .split(',')
                            .map(|pid| read(&name, pid))
                            .collect::<anyhow::Result<_>>()?;
                    }
                    _ => bail!("there is no {name}; see --help"),
                }
            }
        }
    }
    if plan.rate == 0.0 {
        plan.seconds = 0.0;
    }
    let figures = Load::new(plan)?.run()?;
    if is_json {
        println!("{}", figures.to_json());
    } else {
        print!("{}", figures.to_text());
    }
    let is_clean = ["calls_failed", "retransmissions", "left_over"]
        .iter()
        .all(|name| figures.get(name) == Some(0.0));
    Ok(if is_clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

fn read<T: FromStr>(name: &str, text: &str) -> anyhow::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().with_context(|| format!("{name} {text}"))
}
