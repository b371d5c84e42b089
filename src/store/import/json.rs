//! Leads as JSON: an array of objects, or one object a line. Objects are cut out of the text first, so
//! that a broken one is rejected with its line and the others are read.

use super::ImportError;
use super::row::{Columns, Draft, REJECTED_PREFIX};
use serde_json::Value;
use std::io::BufRead;

/// Longest object in bytes. What is longer is a bracket that was never closed.
const OBJECT_BYTES_MAX: usize = 256 * 1024;

/// One object of the file.
pub(super) struct Object<'a> {
    pub line: u64,
    pub text: &'a [u8],
    /// False where it was cut off: the bound was reached, or the file ended.
    pub whole: bool,
}

/// Cuts objects out of a text.
pub(super) struct Objects<R> {
    reader: R,
    text: Vec<u8>,
    line: u64,
    /// Inside of an array objects may span lines; outside of one a line is an object.
    in_array: Option<bool>,
}

impl<R: BufRead> Objects<R> {
    pub(super) fn new(reader: R) -> Objects<R> {
        Objects {
            reader,
            text: Vec::new(),
            line: 1,
            in_array: None,
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Object<'_>>, ImportError> {
        self.text.clear();
        if self.in_array.is_none() {
            self.skip_space()?;
            let is_array = self.reader.fill_buf()?.first() == Some(&b'[');
            if is_array {
                self.reader.consume(1);
            }
            self.in_array = Some(is_array);
        }
        match self.in_array {
            Some(true) => self.next_in_array(),
            Some(false) | None => self.next_line(),
        }
    }

    fn next_line(&mut self) -> Result<Option<Object<'_>>, ImportError> {
        loop {
            self.text.clear();
            let line = self.line;
            if self.reader.read_until(b'\n', &mut self.text)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if !self.text.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(Object {
                    line,
                    text: self.text.trim_ascii(),
                    whole: self.text.len() <= OBJECT_BYTES_MAX,
                }));
            }
        }
    }

    /// From one `{` to its `}`; brackets inside of strings do not count.
    fn next_in_array(&mut self) -> Result<Option<Object<'_>>, ImportError> {
        loop {
            self.skip_space()?;
            match self.reader.fill_buf()?.first() {
                None | Some(b']') => return Ok(None),
                Some(b',') => self.reader.consume(1),
                Some(_) => break,
            }
        }
        let line = self.line;
        let (mut depth, mut in_string, mut escaped) = (0_u32, false, false);
        loop {
            let buffer = self.reader.fill_buf()?;
            let Some(&byte) = buffer.first() else {
                let text = &self.text;
                return Ok(Some(Object {
                    line,
                    text,
                    whole: false,
                }));
            };
            // What is no object ends before the next comma: `[1, {…}]`.
            if depth == 0 && !self.text.is_empty() && matches!(byte, b',' | b']') {
                break;
            }
            let mut used = 0;
            let mut ended = false;
            for &byte in buffer {
                used += 1;
                self.line += u64::from(byte == b'\n');
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if in_string => escaped = true,
                    b'"' => in_string = !in_string,
                    b'{' | b'[' if !in_string => depth += 1,
                    b'}' | b']' if !in_string => {
                        depth = depth.saturating_sub(1);
                        ended = depth == 0;
                    }
                    _ => ended = depth == 0 && !in_string,
                }
                if ended {
                    break;
                }
            }
            let room = OBJECT_BYTES_MAX.saturating_sub(self.text.len());
            self.text.extend_from_slice(&buffer[..used.min(room)]);
            self.reader.consume(used);
            if ended && depth == 0 && self.text.first() == Some(&b'{') {
                break;
            }
        }
        let whole = self.text.len() < OBJECT_BYTES_MAX;
        let text = self.text.trim_ascii();
        Ok(Some(Object { line, text, whole }))
    }

    fn skip_space(&mut self) -> Result<(), ImportError> {
        loop {
            let buffer = self.reader.fill_buf()?;
            let space = buffer
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count();
            if space == 0 {
                return Ok(());
            }
            self.line += buffer[..space].iter().filter(|b| **b == b'\n').count() as u64;
            self.reader.consume(space);
        }
    }
}

/// The column and the reason against an object.
type Against = (String, String);

/// Takes an object in. `phones` may be a list of numbers; `fields` may be an object of further columns.
pub(super) fn put(
    text: &[u8],
    columns: &mut Columns<'_>,
    draft: &mut Draft,
) -> Result<Result<(), Against>, ImportError> {
    let object: serde_json::Map<String, Value> = match serde_json::from_slice(text) {
        Ok(object) => object,
        Err(error) => return Ok(Err((String::new(), format!("not a JSON object: {error}")))),
    };
    let mut cells: Vec<(String, Value)> = Vec::with_capacity(object.len());
    for (name, value) in object {
        match (name.as_str(), value) {
            (name, _) if name.starts_with(REJECTED_PREFIX) => {}
            ("phones", Value::Array(numbers)) => {
                for (index, number) in numbers.into_iter().enumerate() {
                    let name = match index {
                        0 => "phone".to_string(),
                        more => format!("phone{}", more + 1),
                    };
                    cells.push((name, number));
                }
            }
            ("fields", Value::Object(fields)) => cells.extend(fields),
            (_, value) => cells.push((name, value)),
        }
    }
    for (name, value) in cells {
        let cell = match value {
            Value::Null => continue,
            Value::String(text) => text,
            Value::Bool(truth) => truth.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Array(_) | Value::Object(_) => {
                return Ok(Err((name, "not a text, a number, true or false".into())));
            }
        };
        let Some(column) = columns.named(&name)? else {
            return Ok(Err((name, "more than a thousand different columns".into())));
        };
        if let Err(why) = draft.put(column, cell.as_bytes()) {
            return Ok(Err((name, why)));
        }
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<(u64, String, bool)> {
        let mut objects = Objects::new(text.as_bytes());
        let mut found = Vec::new();
        while let Some(object) = objects.next().unwrap() {
            let text = String::from_utf8_lossy(object.text).into_owned();
            found.push((object.line, text, object.whole));
        }
        found
    }

    #[test]
    fn an_array_is_cut_into_its_objects_whatever_stands_in_strings() {
        let text = " [\n {\"a\": \"}]\\\"{\"},\n {\"b\": {\"c\": [1]}}\n, 7, {}]";
        assert_eq!(
            cut(text),
            [
                (2, "{\"a\": \"}]\\\"{\"}".to_string(), true),
                (3, "{\"b\": {\"c\": [1]}}".to_string(), true),
                (4, "7".to_string(), true),
                (4, "{}".to_string(), true),
            ]
        );
    }

    #[test]
    fn a_broken_line_costs_that_line_only() {
        let lines = cut("{\"a\": 1}\n\n{\"a\": \n{\"a\": 2}");
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[2], (4, "{\"a\": 2}".to_string(), true));
        assert_eq!(
            cut("[{\"a\": 1}, {\"b\"").last().map(|last| last.2),
            Some(false)
        );
    }
}
