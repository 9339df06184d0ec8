//! A strict reader of JSON (RFC 8259).
#![allow(dead_code)] // Each test program uses a part of it.

use std::collections::BTreeMap;

/// A value of JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    Text(String),
    Array(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// Reads a whole text; fails the test where it is not JSON, or names a member twice.
    pub fn parse(text: &str) -> Json {
        let mut reader = Reader { rest: text };
        let value = reader.value();
        reader.space();
        assert!(reader.rest.is_empty(), "more behind the value: {:.40}", reader.rest);
        value
    }

    /// A member of an object.
    pub fn member(&self, name: &str) -> &Json {
        match self {
            Json::Object(members) => members.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")),
            _ => panic!("no object: {self:?}"),
        }
    }

    /// The names of an object's members.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Json::Object(members) => members.keys().map(String::as_str).collect(),
            _ => panic!("no object: {self:?}"),
        }
    }

    /// The elements of an array.
    pub fn elements(&self) -> &[Json] {
        match self {
            Json::Array(elements) => elements,
            _ => panic!("no array: {self:?}"),
        }
    }

    /// A text.
    pub fn text(&self) -> &str {
        match self {
            Json::Text(text) => text,
            _ => panic!("no text: {self:?}"),
        }
    }

    /// A number.
    pub fn number(&self) -> f64 {
        match self {
            Json::Number(number) => number.parse().expect("a number"),
            _ => panic!("no number: {self:?}"),
        }
    }

    /// A number of thousandths, exactly.
    pub fn thousandths(&self) -> u64 {
        match self {
            Json::Number(number) => {
                let (whole, part) = number.split_once('.').expect("a fraction");
                assert_eq!(part.len(), 3, "{number}");
                format!("{whole}{part}").parse().expect("digits")
            }
            _ => panic!("no number: {self:?}"),
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.rest.strip_prefix(text);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    #[track_caller]
    fn expect(&mut self, text: &str) {
        assert!(self.take(text), "{text:?} is missing at {:.40}", self.rest);
    }

    fn value(&mut self) -> Json {
        self.space();
        match self.rest.chars().next().expect("a value") {
            '{' => self.object(),
            '[' => self.array(),
            '"' => Json::Text(self.string()),
            _ if self.take("null") => Json::Null,
            _ if self.take("true") => Json::Bool(true),
            _ if self.take("false") => Json::Bool(false),
            _ => self.number(),
        }
    }

    fn object(&mut self) -> Json {
        self.expect("{");
        let mut members = BTreeMap::new();
        self.space();
        while !self.take("}") {
            if !members.is_empty() {
                self.expect(",");
                self.space();
            }
            let name = self.string();
            self.space();
            self.expect(":");
            let value = self.value();
            assert!(members.insert(name, value).is_none(), "a member is there twice");
            self.space();
        }
        Json::Object(members)
    }

    fn array(&mut self) -> Json {
        self.expect("[");
        let mut elements = Vec::new();
        self.space();
        while !self.take("]") {
            if !elements.is_empty() {
                self.expect(",");
            }
            elements.push(self.value());
            self.space();
        }
        Json::Array(elements)
    }

    fn string(&mut self) -> String {
        self.expect("\"");
        let mut text = String::new();
        loop {
            let letter = self.rest.chars().next().expect("the end of the string");
            self.rest = &self.rest[letter.len_utf8()..];
            match letter {
                '"' => return text,
                '\\' => text.push(self.escaped()),
                '\0'..='\x1f' => panic!("a control character in a string"),
                _ => text.push(letter),
            }
        }
    }

    fn escaped(&mut self) -> char {
        let letter = self.rest.chars().next().expect("an escape");
        self.rest = &self.rest[letter.len_utf8()..];
        match letter {
            '"' | '\\' | '/' => letter,
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\x08',
            'f' => '\x0c',
            'u' => {
                let (digits, rest) = self.rest.split_at(4);
                self.rest = rest;
                let code = u32::from_str_radix(digits, 16).expect("four digits");
                char::from_u32(code).expect("no half of a pair")
            }
            _ => panic!("an unknown escape: {letter}"),
        }
    }

    fn number(&mut self) -> Json {
        let end = self.rest.find(|letter: char| !"+-.eE0123456789".contains(letter)).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        let digits = number.strip_prefix('-').unwrap_or(number);
        assert!(number.parse::<f64>().is_ok_and(f64::is_finite), "no number: {number:?}");
        assert!(digits.starts_with(|first: char| first.is_ascii_digit()) && !digits.ends_with('.'), "{number}");
        assert!(!digits.starts_with('0') || digits == "0" || digits.starts_with("0."), "{number}");
        Json::Number(number.to_string())
    }
}
