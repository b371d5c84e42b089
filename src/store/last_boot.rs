//! The calls of a process that died, from the event log it left: every one of them gets its record.

use super::{StoreHandle, StoreRequest};
use crate::bus::Inbox;
use call::Input;
use dialer::input::PastAnswers;
use model::Event;
use model::cdr::{CallOutcome, Cdr, CdrFold};
use model::event::Verdict;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

/// Records handed to the store before it is waited for.
const RECORDS_PER_SYNC: usize = 1_024;
/// A store that takes longer gets the rest at the next start.
const SYNC_PATIENCE: Duration = Duration::from_secs(60);

/// Folds the logs of earlier boots that ended without saying so, oldest first, and tells the dialer
/// whom their end cut off between answer and agent. Runs beside the engine: a log may be long.
pub fn settle(boots: &[u32], folder: &Path, store: &StoreHandle, inbox: &Inbox) {
    for boot in boots {
        let path = crate::bus::log_path(folder, *boot);
        let mut records = 0;
        let mut cut_off = Vec::new();
        let mut durable = true;
        let folded = fold(&path, &mut |cdr| {
            cut_off.extend(abandoned(&cdr));
            store.request(StoreRequest::RecoverCdr(Box::new(cdr)));
            records += 1;
            if records % RECORDS_PER_SYNC == 0 {
                durable &= store.sync(SYNC_PATIENCE);
            }
        });
        match folded {
            Ok(unreadable) => {
                if unreadable > 0 {
                    tracing::warn!(boot, unreadable, "lines of the last event log were torn");
                }
                if durable {
                    store.request(StoreRequest::BootFolded { boot: *boot });
                }
            }
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "the last event log cannot be read; calls lack records")
            }
        }
        if !cut_off.is_empty() {
            inbox.send(Input::DialerHistory {
                answers: cut_off,
                dials: Vec::new(),
            });
        }
    }
}

/// A person who had answered, had no agent, and heard the line go dead: measured conservatively. Who
/// was hearing a flow and had asked for no agent was answered, not abandoned; a machine was neither.
fn abandoned(cdr: &Cdr) -> Option<PastAnswers> {
    let is_cut_off = cdr.outcome == CallOutcome::UnknownRestart
        && cdr.answered.is_some()
        && cdr.bridged.is_none()
        && cdr.verdict.is_none_or(Verdict::is_person);
    is_cut_off.then_some(())?;
    let asked_for_nobody = cdr.flow.is_some() && cdr.visits.is_empty();
    Some(PastAnswers {
        campaign: cdr.campaign?,
        at: cdr.ended,
        answers: 1,
        abandons: u64::from(!asked_for_nobody),
        messaged: u64::from(asked_for_nobody),
    })
}

/// Every call's record; what was live at the end is aborted at the last instant the log knows.
/// Returns how many lines were torn. A log that is not there has no calls.
fn fold(path: &Path, each: &mut dyn FnMut(Cdr)) -> std::io::Result<u64> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut fold = CdrFold::new();
    let mut last = None;
    let mut torn = 0;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        match serde_json::from_slice::<Event>(&line) {
            Ok(event) => {
                last = Some(event.at);
                if let Some(cdr) = fold.apply(&event) {
                    each(cdr);
                }
            }
            Err(_) => torn += 1,
        }
        line.clear();
    }
    if let Some(at) = last {
        fold.abort_all(at).into_iter().for_each(each);
    }
    Ok(torn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{AttemptId, CallId, Fact, LeadId, LegId, Mono, Now, Utc};
    use std::io::Write;

    #[test]
    fn whom_the_end_cut_off_was_abandoned_unless_it_is_a_machine_or_has_an_agent() {
        let at = Utc::from_micros;
        let told = |verdict: Option<Verdict>, bridged: Option<Utc>| {
            let (attempt, lead) = (AttemptId(1), LeadId(1));
            let campaign = "spring".parse().unwrap();
            let number = "+12125550100".to_string();
            let mut cdr =
                Cdr::unknown_restart(CallId(2), campaign, attempt, lead, number, at(0), at(9));
            (cdr.answered, cdr.verdict, cdr.bridged) = (Some(at(5)), verdict, bridged);
            abandoned(&cdr).map(|past| past.abandons)
        };
        for person in [None, Some(Verdict::Person), Some(Verdict::Unsure)] {
            assert_eq!(told(person, None), Some(1), "{person:?}");
            assert_eq!(told(person, Some(at(6))), None, "{person:?}");
        }
        assert_eq!(told(Some(Verdict::Machine), None), None);
        assert_eq!(told(Some(Verdict::Fax), None), None);
    }

    #[test]
    fn a_call_that_was_live_gets_its_record_though_the_last_line_is_torn() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let at = |s: u64| Now {
            mono: Mono::from_micros(s * 1_000_000),
            utc: Utc::from_micros(s as i64 * 1_000_000),
        };
        let arrived = Fact::CallArrived {
            call: CallId(7),
            leg: LegId(1),
            trunk: "carrier".parse().unwrap(),
            caller: "+4930123".into(),
            caller_name: None,
            called: "+4930999".into(),
        };
        let later = Fact::TrunkChanged {
            trunk: "carrier".parse().unwrap(),
            up: true,
        };
        for (seq, s, fact) in [(1, 10, arrived), (2, 14, later)] {
            writeln!(
                file.as_file(),
                "{}",
                serde_json::to_string(&Event {
                    seq,
                    at: at(s),
                    fact
                })
                .unwrap()
            )
            .unwrap();
        }
        write!(file.as_file(), "{{\"seq\":3,\"at\"").unwrap();
        let mut records = Vec::new();
        assert_eq!(fold(file.path(), &mut |cdr| records.push(cdr)).unwrap(), 1);
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].call, CallId(7));
        assert_eq!(records[0].outcome, CallOutcome::UnknownRestart);
        assert_eq!(records[0].duration_us, 4_000_000);
    }
}
