//! One call played in virtual time, written down line by line.

use ivr::{CallFacts, Command, Flow, Input, Session};
use jiff::Timestamp;
use model::{CallId, Fact, FlowId, LookupId, Mint, Mono, Now, Outbox, PlayId, Utc};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// A session, its clock, and what it said.
pub struct Stage {
    session: Session,
    mint: Mint,
    now: Now,
    began: Mono,
    playing: Option<PlayId>,
    asked: Option<LookupId>,
    asked_before: Option<LookupId>,
    pub log: String,
}

impl Stage {
    /// `welcome 2026-11-23T09:00:00Z name=value…`
    pub fn start(flows: &BTreeMap<FlowId, Arc<Flow>>, words: &str) -> Stage {
        let mut words = words.split_whitespace();
        let flow = &flows[&words.next().unwrap().parse::<FlowId>().unwrap()];
        let at: Timestamp = words.next().unwrap().parse().unwrap();
        let now = Now {
            mono: Mono::from_micros(7_000_000),
            utc: Utc::from_micros(at.as_microsecond()),
        };
        let facts = CallFacts {
            call: CallId(1),
            caller: "+4930123456".to_owned(),
            called: "+4930555".to_owned(),
            variables: pairs(words),
        };
        let (mut mint, mut out) = (Mint::new(0), Outbox::new());
        let session = Session::start(now, Arc::clone(flow), facts, &mut mint, &mut out);
        let mut stage = Stage {
            session,
            mint,
            now,
            began: now.mono,
            playing: None,
            asked: None,
            asked_before: None,
            log: String::new(),
        };
        stage.write(out);
        stage
    }

    /// One line of a trace behind `>`.
    pub fn act(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        match words.next().unwrap() {
            "end" => {
                let play = self.playing.take().expect("something is playing");
                self.tell(Input::PromptFinished { play });
            }
            "answer" => {
                let lookup = self.asked.take().expect("something was asked");
                self.tell(Input::LookupAnswered {
                    lookup,
                    result: Ok(pairs(words)),
                });
            }
            "fail" => {
                let lookup = self.asked.take().expect("something was asked");
                self.tell(Input::LookupAnswered {
                    lookup,
                    result: Err("http 500".to_owned()),
                });
            }
            "late-answer" => {
                let lookup = self.asked_before.take().expect("a lookup was given up");
                self.tell(Input::LookupAnswered {
                    lookup,
                    result: Ok(pairs(words)),
                });
            }
            "hang-up" => self.tell(Input::HungUp),
            word if word.starts_with('~') => {
                let ms: u64 = word[1..].trim_end_matches("ms").parse().unwrap();
                self.wait(Duration::from_millis(ms));
            }
            keys => {
                for key in keys.chars() {
                    self.tell(Input::Digit(key));
                    self.wait(Duration::from_millis(100));
                }
            }
        }
    }

    /// Lets time pass, with a tick at each deadline.
    fn wait(&mut self, time: Duration) {
        let until = self.now.plus(time);
        while let Some((due, _)) = self.session.next_deadline() {
            if due > until.mono {
                break;
            }
            self.now = self.now.plus(due.since(self.now.mono));
            self.tell(Input::Tick);
        }
        self.now = until;
    }

    fn tell(&mut self, input: Input) {
        let mut out = Outbox::new();
        self.session
            .handle(self.now, input, &mut self.mint, &mut out);
        self.write(out);
    }

    fn write(&mut self, out: Outbox<Command>) {
        let at = self.now.mono.since(self.began).as_secs_f64();
        for fact in &out.facts {
            let text = match fact {
                Fact::IvrEntered { flow, .. } => format!("entered {flow}"),
                Fact::IvrNodeReached { flow, node, .. } => format!("node {flow}/{node}"),
                Fact::IvrDigitsCollected { digits, count, .. } => {
                    format!("digits {} ({count})", digits.as_deref().unwrap_or("hidden"))
                }
                Fact::IvrNoInput { count, .. } => format!("no input {count}"),
                Fact::IvrNoMatch { count, .. } => format!("no match {count}"),
                Fact::IvrVariableSet { name, value, .. } => format!("set {name} = {value}"),
                Fact::IvrLeft {
                    flow, node, end, ..
                } => format!("left {flow} at {node}: {end:?}"),
                other => panic!("a flow does not state {other:?}"),
            };
            writeln!(self.log, "  {at:7.3} {text}").unwrap();
        }
        for command in out.commands {
            if let Command::Play { play, .. } = &command {
                self.playing = Some(*play);
            }
            if let Command::Lookup { lookup, .. } = &command {
                self.asked_before = self.asked.replace(*lookup);
            }
            writeln!(self.log, "  {at:7.3} » {command:?}").unwrap();
        }
    }
}

fn pairs<'a>(words: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    words
        .map(|word| word.split_once('=').expect("a value is written name=value"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
