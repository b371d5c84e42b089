//! The flows that ship and those of the tests.

use ivr::{CheckContext, Flow, parse_all};
use model::FlowId;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The flows of the examples and of the tests, all valid.
pub fn flows() -> BTreeMap<FlowId, Arc<Flow>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in [root.join("tests/flows"), root.join("../config/ivr")] {
        let mut paths: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        for path in paths {
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                files.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    parse_all(&files, &CheckContext::default()).unwrap_or_else(|findings| {
        for finding in &findings {
            let (_, source) = files
                .iter()
                .find(|(name, _)| *name == finding.file)
                .unwrap();
            eprintln!("{}", finding.render(source));
        }
        panic!("the example flows have errors")
    })
}
