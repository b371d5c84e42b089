//! The rules themselves: functions over a text that return complaints. They know nothing of the tree
//! they are applied to, so that `tests/tidy.rs` can hand them broken samples.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Crates that decide and never do: no clock, socket, file, thread, lock or randomness of their own.
pub const LOGIC_CRATES: [&str; 7] = ["model", "acd", "dialer", "ivr", "call", "sip", "media"];

/// Which crates of the workspace each may import, tests included.
const DIRECTIONS: [(&str, &[&str]); 10] = [
    ("model", &[]),
    ("acd", &["model"]),
    ("dialer", &["model"]),
    ("ivr", &["model"]),
    ("sip", &["model"]),
    ("media", &["model"]),
    ("call", &["model", "acd", "dialer", "ivr"]),
    (
        "sim",
        &["model", "acd", "dialer", "ivr", "call", "sip", "media"],
    ),
    ("sip-testbed", &["model", "sip", "media"]),
    (
        "tandem",
        &[
            "model",
            "acd",
            "dialer",
            "ivr",
            "call",
            "sip",
            "media",
            "sim",
            "sip-testbed",
        ],
    ),
];

/// Libraries that do: they have no place among the dependencies of a logic crate.
const DOING_LIBRARIES: [&str; 18] = [
    "tokio",
    "mio",
    "async-std",
    "smol",
    "socket2",
    "rustix",
    "libc",
    "nix",
    "sqlx",
    "rusqlite",
    "reqwest",
    "axum",
    "hyper",
    "rand",
    "getrandom",
    "chrono",
    "crossbeam-channel",
    "parking_lot",
];

/// Words that have no place in the code of a logic crate, and why.
pub const LOGIC_BANS: [(&str, &str); 24] = [
    ("Instant::now", "time comes in as `now`"),
    ("SystemTime", "time comes in as `now`"),
    ("Timestamp::now", "time comes in as `now`"),
    ("Zoned::now", "time comes in as `now`"),
    ("std::fs", "files are read and written in src/"),
    ("File::open", "files are read and written in src/"),
    ("std::thread", "logic never spawns or sleeps"),
    ("thread::sleep", "logic never sleeps"),
    ("thread::spawn", "logic never spawns"),
    ("std::process", "logic starts no process"),
    ("std::env", "configuration comes in typed"),
    ("UdpSocket", "sockets live in src/net"),
    ("TcpStream", "sockets live in src/net"),
    ("TcpListener", "sockets live in src/net"),
    ("ToSocketAddrs", "names are resolved in src/net"),
    ("Mutex", "logic has one owner and needs no lock"),
    ("RwLock", "logic has one owner and needs no lock"),
    ("Condvar", "logic never waits"),
    ("mpsc::", "logic speaks through its outbox"),
    ("RandomState", "randomness comes from the seed handed down"),
    ("async fn", "logic never waits"),
    ("println!", "logic has no terminal"),
    ("eprintln!", "logic has no terminal"),
    ("info!(", "milestones are events; src/ logs them"),
];

/// Files of logic crates that may use one of the words: reading and writing WAV is what they are for.
const LOGIC_BANS_EXCEPT: [(&str, &str); 2] = [
    ("media/src/wav.rs", "std::fs"),
    ("media/src/wav.rs", "File::open"),
];

/// Crates that only certain files of the root package may use: the prefixes of their paths.
const VISITORS: [(&str, &[&str]); 2] = [
    ("sim::", &["src/command/simulate"]),
    ("sip_testbed::", &["src/command/demo", "src/bin/"]),
];

/// The only files with unsafe code, each reviewed line by line.
const UNSAFE_FILES: [&str; 2] = ["src/memory.rs", "src/net/batch.rs"];

/// Lines in a file. A state machine with its tests may have 800; most files have half of it.
pub const LINES_MAX: usize = 800;

/// Longer files that have one subject only: path, bound, subject.
pub const LINES_EXCEPT: [(&str, usize, &str); 6] = [
    (
        "acd/src/routing.rs",
        850,
        "who gets which call, in one place",
    ),
    ("acd/tests/rules.rs", 1_080, "one test per routing rule"),
    (
        "ivr/src/read.rs",
        1_580,
        "reading a flow with every mistake at its place",
    ),
    (
        "ivr/src/run.rs",
        1_030,
        "the interpreter, one function per kind of node",
    ),
    ("sip/src/invite.rs", 1_180, "one INVITE session, both roles"),
    (
        "sip/tests/endpoint_calls.rs",
        890,
        "one test per behaviour of a call",
    ),
];

/// Endings of type names that mean the thing is not yet understood.
const VAGUE_ENDINGS: [&str; 6] = ["Manager", "Helper", "Util", "Utils", "Data", "Info"];

/// Names that end so and are the field's own.
const VAGUE_EXCEPT: [(&str, &str); 1] = [("SenderInfo", "RFC 3550 §6.4.1")];

/// These files name what they forbid; the rules about words leave them out.
const THESE_FILES: [&str; 2] = ["tests/tidy.rs", "tests/tidy/rules.rs"];

/// A text of the project, by its path from the root with `/` between the parts.
pub struct Text {
    pub path: String,
    pub text: String,
}

impl Text {
    pub fn new(path: &str, text: &str) -> Text {
        Text {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The crate, where the file belongs to a logic crate.
    fn logic_crate(&self) -> Option<&'static str> {
        LOGIC_CRATES
            .into_iter()
            .find(|name| self.path.starts_with(&format!("{name}/")))
    }

    /// Whether the whole file is tests, a measurement or an example: it stands outside of the logic.
    fn is_test(&self) -> bool {
        let inside = |folder: &str| self.path.split('/').any(|part| part == folder);
        inside("tests")
            || inside("benches")
            || inside("examples")
            || self.path.ends_with("/tests.rs")
    }

    /// The lines of code, comments cut off. Test modules stand at the end of a file.
    fn code(&self) -> Vec<Line<'_>> {
        let mut in_tests = self.is_test();
        let mut lines = Vec::new();
        for (index, line) in self.text.lines().enumerate() {
            in_tests |= line.starts_with("#[cfg(test)]");
            lines.push(Line {
                number: index + 1,
                code: without_comment(line),
                in_tests,
            });
        }
        lines
    }
}

/// One line of code.
pub struct Line<'a> {
    number: usize,
    code: &'a str,
    in_tests: bool,
}

/// What a rule has to say about one place.
#[derive(Debug, PartialEq)]
pub struct Complaint {
    pub path: String,
    pub line: usize,
    pub what: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

pub fn complaint(text: &Text, line: usize, what: impl Into<String>) -> Complaint {
    Complaint {
        path: text.path.clone(),
        line,
        what: what.into(),
    }
}

/// The line up to a `//` that is not inside a string. Good enough for one line of formatted Rust.
pub fn without_comment(line: &str) -> &str {
    let (mut in_string, mut escaped, mut before) = (false, false, ' ');
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' if before != '\'' || in_string => in_string = !in_string,
            '/' if before == '/' && !in_string => return &line[..at - 1],
            _ => {}
        }
        before = c;
    }
    line
}

/// Whether `word` stands in `line` as a whole: not as the middle of a longer name.
pub fn has_word(line: &str, word: &str) -> bool {
    let of_a_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let goes_on = word.ends_with(of_a_name) && after.is_some_and(of_a_name);
        !before.is_some_and(of_a_name) && !goes_on
    })
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every text of the project that people write, in order of path.
pub fn tree() -> Vec<Text> {
    const SKIPPED: [&str; 5] = [
        ".git",
        "target",
        "corpus",
        "artifacts",
        "proptest-regressions",
    ];
    const ENDINGS: [&str; 12] = [
        "rs", "toml", "md", "xml", "yml", "json", "sh", "py", "csv", "conf", "txt", "sql",
    ];
    let mut texts = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the project's folders can be read") {
            let path = entry.expect("the project's folders can be read").path();
            let name = path
                .file_name()
                .expect("an entry has a name")
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                if !SKIPPED.contains(&name.as_str()) && !name.starts_with("tandem-demo-") {
                    folders.push(path);
                }
                continue;
            }
            // Files without an ending are scripts and licences.
            let ending = name.rsplit_once('.').map(|(_, ending)| ending);
            if ending.is_some_and(|ending| !ENDINGS.contains(&ending)) {
                continue;
            }
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            let from_root = path.strip_prefix(root()).expect("the walk stays inside");
            texts.push(Text::new(
                &from_root.to_string_lossy().replace('\\', "/"),
                &text,
            ));
        }
    }
    texts.sort_by(|a, b| a.path.cmp(&b.path));
    texts
}

/// `model ← {acd, dialer, ivr, sip, media} ← call ← root`.
pub fn dependencies_point_one_way(file: &Text) -> Vec<Complaint> {
    let is_manifest = file.path == "Cargo.toml" || file.path.ends_with("/Cargo.toml");
    // The fuzz package stands outside of the workspace and may look at everything.
    if !is_manifest || file.path.starts_with("fuzz/") {
        return vec![];
    }
    let manifest: toml::Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(why) => return vec![complaint(file, 1, format!("not TOML: {why}"))],
    };
    let package = manifest
        .get("package")
        .and_then(|package| package.get("name"));
    let Some(name) = package.and_then(toml::Value::as_str) else {
        return vec![complaint(file, 1, "a manifest without a package")];
    };
    let Some((_, allowed)) = DIRECTIONS.iter().find(|(known, _)| *known == name) else {
        return vec![complaint(
            file,
            1,
            format!("crate `{name}` has no place in the directions"),
        )];
    };
    let mut complaints = Vec::new();
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let table = manifest.get(section).and_then(toml::Value::as_table);
        for dependency in table
            .into_iter()
            .flat_map(|table| table.keys().map(String::as_str))
        {
            let ours = DIRECTIONS.iter().any(|(known, _)| *known == dependency);
            if ours && !allowed.contains(&dependency) {
                let what = format!("`{name}` may not import `{dependency}` ({section})");
                complaints.push(complaint(file, 1, what));
            }
            let doing = DOING_LIBRARIES.contains(&dependency) && section == "dependencies";
            if doing && LOGIC_CRATES.contains(&name) {
                let what =
                    format!("`{name}` decides and may not import `{dependency}`, which does");
                complaints.push(complaint(file, 1, what));
            }
        }
    }
    complaints
}

/// Logic is handed time, bytes and randomness; it never fetches them.
pub fn logic_touches_no_world(file: &Text) -> Vec<Complaint> {
    if !file.is_rust() || file.logic_crate().is_none() {
        return vec![];
    }
    let mut complaints = Vec::new();
    for line in file.code().into_iter().filter(|line| !line.in_tests) {
        for (word, why) in LOGIC_BANS {
            let excepted = LOGIC_BANS_EXCEPT.contains(&(file.path.as_str(), word));
            if has_word(line.code, word) && !excepted {
                complaints.push(complaint(
                    file,
                    line.number,
                    format!("`{word}` in logic: {why}"),
                ));
            }
        }
    }
    complaints
}

/// The simulator and the lab are visitors in the root package: one command each.
pub fn visitors_stay_in_their_rooms(file: &Text) -> Vec<Complaint> {
    if !file.is_rust() || !file.path.starts_with("src/") {
        return vec![];
    }
    let mut complaints = Vec::new();
    for line in file.code() {
        for (visitor, rooms) in VISITORS {
            let at_home = line.in_tests || rooms.iter().any(|room| file.path.starts_with(room));
            if has_word(line.code, visitor) && !at_home {
                let what = format!("`{visitor}` belongs into {}", rooms.join(", "));
                complaints.push(complaint(file, line.number, what));
            }
        }
    }
    complaints
}

/// A result that must be used is handled, counted, or explained; never dropped on the floor.
pub fn no_result_is_thrown_away(file: &Text) -> Vec<Complaint> {
    if !file.is_rust() || THESE_FILES.contains(&file.path.as_str()) {
        return vec![];
    }
    let thrown = file
        .code()
        .into_iter()
        .filter(|line| has_word(line.code, "let _ ="));
    let what = "`let _ =`: handle the result, count it, or match on it";
    thrown
        .map(|line| complaint(file, line.number, what))
        .collect()
}

/// Work left for later has an issue; tests neither sleep nor are switched off.
pub fn nothing_is_left_lying(file: &Text) -> Vec<Complaint> {
    if THESE_FILES.contains(&file.path.as_str()) || file.path == "Cargo.lock" {
        return vec![];
    }
    let has_issue = |rest: &str| {
        let number = rest
            .strip_prefix("(#")
            .and_then(|rest| rest.split_once(')'));
        number.is_some_and(|(digits, _)| {
            !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
        })
    };
    let mut complaints = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for mark in ["TODO", "FIXME", "XXX"] {
            let bare = line
                .match_indices(mark)
                .any(|(at, _)| !has_issue(&line[at + mark.len()..]));
            if has_word(line, mark) && bare {
                let what = format!("`{mark}` without an issue, which reads `TODO(#123)`");
                complaints.push(complaint(file, index + 1, what));
            }
        }
    }
    for line in file.code().into_iter().filter(|_| file.is_rust()) {
        if line.code.trim_start().starts_with("#[ignore") {
            complaints.push(complaint(file, line.number, "a test that is switched off"));
        }
        let sleeps = line.code.contains("thread::sleep")
            || line.in_tests && line.code.contains("time::sleep(");
        // A load generator paces itself; it is no test.
        if sleeps && !file.path.contains("benches/") {
            complaints.push(complaint(
                file,
                line.number,
                "a sleep: wait for the thing itself",
            ));
        }
    }
    complaints
}

/// The project is read and built anywhere: no path of one machine, no registry by name.
pub fn no_machine_and_no_registry_is_named(file: &Text) -> Vec<Complaint> {
    if file.path == "Cargo.lock" {
        return vec![];
    }
    // Written in two halves, so that this file keeps the rule too.
    let words = [
        concat!("/wo", "rk/"),
        concat!("/fa", "rm/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("../sha", "red"),
        concat!("/tmp/", "wt"),
        concat!("debian", ".org"),
        concat!("crates", ".io"),
        concat!("pypi", ".org"),
        concat!("npmjs", ".com"),
        concat!("npmjs", ".org"),
    ];
    let mut complaints = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for word in words.iter().filter(|word| line.contains(**word)) {
            let what = format!("`{word}` does not belong into the project");
            complaints.push(complaint(file, index + 1, what));
        }
    }
    complaints
}

/// Each module begins by saying what it decides; a library forbids unsafe code in its root, and a
/// logic crate shows itself at work there.
pub fn every_module_introduces_itself(file: &Text) -> Vec<Complaint> {
    if !file.is_rust() {
        return vec![];
    }
    let mut complaints = Vec::new();
    if !file.text.starts_with("//!") {
        let what = "a module starts with `//!`: what it decides, is handed, and never does";
        complaints.push(complaint(file, 1, what));
    }
    let crate_root = file.path.ends_with("/src/lib.rs");
    if crate_root && !file.text.contains("#![forbid(unsafe_code)]") {
        complaints.push(complaint(
            file,
            1,
            "a crate root has `#![forbid(unsafe_code)]`",
        ));
    }
    if crate_root && file.logic_crate().is_some() && !file.text.contains("//! ```") {
        complaints.push(complaint(
            file,
            1,
            "a crate root has a tiny running example",
        ));
    }
    complaints
}

/// A long file has a second subject, or a line in [`LINES_EXCEPT`].
pub fn no_file_outgrows_its_reader(file: &Text) -> Vec<Complaint> {
    let lines = file.text.lines().count();
    let except = LINES_EXCEPT.iter().find(|(path, _, _)| *path == file.path);
    let bound = except.map_or(LINES_MAX, |(_, bound, _)| *bound);
    if !file.is_rust() || lines <= bound {
        return vec![];
    }
    vec![complaint(
        file,
        lines,
        format!("{lines} lines, bound {bound}: find the second subject"),
    )]
}

/// Unsafe code is in the reviewed files only.
pub fn unsafe_code_is_in_one_place(file: &Text) -> Vec<Complaint> {
    if !file.is_rust()
        || UNSAFE_FILES.contains(&file.path.as_str())
        || THESE_FILES.contains(&file.path.as_str())
    {
        return vec![];
    }
    let forms = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"];
    let found = file
        .code()
        .into_iter()
        .filter(|line| forms.iter().any(|form| has_word(line.code, form)));
    let what = format!("unsafe code outside of {}", UNSAFE_FILES.join(", "));
    found
        .map(|line| complaint(file, line.number, what.as_str()))
        .collect()
}

/// A type is called what it is.
pub fn no_type_has_a_vague_name(file: &Text) -> Vec<Complaint> {
    if !file.is_rust() || THESE_FILES.contains(&file.path.as_str()) {
        return vec![];
    }
    let mut complaints = Vec::new();
    for line in file.code() {
        let mut words = line
            .code
            .split(|c: char| !(c.is_alphanumeric() || c == '_'));
        if !words.any(|word| ["struct", "enum", "trait", "type"].contains(&word)) {
            continue;
        }
        let name = words.next().unwrap_or("");
        if VAGUE_EXCEPT.iter().any(|(known, _)| *known == name) {
            continue;
        }
        if let Some(ending) = VAGUE_ENDINGS.iter().find(|ending| name.ends_with(**ending)) {
            let what = format!("`{name}`: a thing called {ending} is not yet understood");
            complaints.push(complaint(file, line.number, what));
        }
    }
    complaints
}

/// The relative targets of a Markdown text's links and pictures, with their lines.
pub fn links(file: &Text) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_block = false;
    for (index, line) in file.text.lines().enumerate() {
        in_block ^= line.trim_start().starts_with("```");
        for (at, _) in line.match_indices("](").filter(|_| !in_block) {
            let target = line[at + 2..].split([')', '#']).next().unwrap_or("").trim();
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !target.is_empty() && !elsewhere {
                found.push((index + 1, target.to_owned()));
            }
        }
    }
    found
}

/// A link leads somewhere.
pub fn links_lead_somewhere(file: &Text, exists: impl Fn(&Path) -> bool) -> Vec<Complaint> {
    if !file.path.ends_with(".md") {
        return vec![];
    }
    let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
    let dead = links(file)
        .into_iter()
        .filter(|(_, target)| !exists(&folder.join(target)));
    dead.map(|(line, target)| complaint(file, line, format!("`{target}` leads nowhere")))
        .collect()
}

/// Every page of `docs/decisions/` is in its index, so that it is found.
pub fn decisions_are_indexed(texts: &[Text]) -> Vec<Complaint> {
    let index = texts
        .iter()
        .find(|text| text.path == "docs/decisions/README.md");
    let linked = index.map(links).unwrap_or_default();
    let is_linked = |text: &Text| {
        linked
            .iter()
            .any(|(_, target)| text.path == format!("docs/decisions/{target}"))
    };
    let pages = texts
        .iter()
        .filter(|text| text.path.starts_with("docs/decisions/") && text.path.ends_with(".md"));
    pages
        .filter(|text| !text.path.ends_with("/README.md") && !is_linked(text))
        .map(|text| complaint(text, 1, "not linked from docs/decisions/README.md"))
        .collect()
}

/// Every logic crate carries the clippy bans: the clock, sleeping, spawning, iterating hash maps.
pub fn clippy_bans_are_complete(file: &Text) -> Vec<Complaint> {
    let Some(name) = file.path.strip_suffix("/clippy.toml") else {
        return vec![];
    };
    if !LOGIC_CRATES.contains(&name) {
        return vec![];
    }
    let table: toml::Table = match file.text.parse() {
        Ok(table) => table,
        Err(why) => return vec![complaint(file, 1, format!("not TOML: {why}"))],
    };
    let entries = table
        .get("disallowed-methods")
        .and_then(toml::Value::as_array);
    let banned: Vec<&str> = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.get("path").and_then(toml::Value::as_str))
        .collect();
    let owed = [
        "std::time::Instant::now",
        "std::time::SystemTime::now",
        "std::thread::sleep",
        "std::thread::spawn",
        "std::collections::HashMap::iter",
        "std::collections::HashMap::keys",
        "std::collections::HashMap::values",
        "std::collections::HashMap::drain",
        "std::collections::HashSet::iter",
    ];
    owed.into_iter()
        .filter(|path| !banned.contains(path))
        .map(|path| complaint(file, 1, format!("`{path}` is not banned for `{name}`")))
        .collect()
}
