//! Files of settings in TOML. Every value has its line. An unknown key is an error, and so is a value of another kind
//! than is wanted.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use crate::encoding::printable;

/// What is wrong in a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Counted from 1.
    pub line: Option<usize>,
    pub why: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.why),
            None => f.write_str(&self.why),
        }
    }
}

pub type Result<T> = std::result::Result<T, Mistake>;

/// A table that has no unknown keys.
#[derive(Debug)]
pub struct Section<'t> {
    text: &'t str,
    /// Before the names of its keys: nothing, or the name of the table and a dot.
    prefix: String,
    entries: Table,
}

/// What a key is set to.
#[derive(Debug)]
pub struct Setting<'t> {
    text: &'t str,
    /// With the names of the tables around it.
    key: String,
    line: usize,
    value: Value,
}

impl<'t> Section<'t> {
    /// Parses a whole file, which may have these keys.
    pub fn parse(text: &'t str, keys: &[&str]) -> Result<Self> {
        let entries = toml::from_str(text).map_err(|error| {
            let why = match error.message() {
                // The library gives a date as a table with a key that has no position.
                message if message.contains("$__toml_private_datetime") => "no setting is a date or a time",
                message => message,
            };
            let line = error.span().map(|span| line_of(text, span.start));
            Mistake { line, why: why.to_owned() }
        })?;
        Self { text, prefix: String::new(), entries }.with_keys(keys)
    }

    fn with_keys(self, keys: &[&str]) -> Result<Self> {
        let unknown = |key: &&Spanned<String>| !keys.contains(&key.get_ref().as_str());
        match self.entries.keys().filter(unknown).min_by_key(|key| key.span().start) {
            Some(key) => {
                let line = Some(line_of(self.text, key.span().start));
                Err(Mistake { line, why: unknown_key(&self.prefix, key.get_ref(), keys) })
            }
            None => Ok(self),
        }
    }

    /// Takes the setting of a key out of the table.
    pub fn take(&mut self, key: &str) -> Option<Setting<'t>> {
        let (spelled, value) = self.entries.remove_entry(key)?;
        let line = line_of(self.text, spelled.span().start);
        let key = format!("{}{key}", self.prefix);
        Some(Setting { text: self.text, key, line, value })
    }
}

impl<'t> Setting<'t> {
    /// A mistake in this line.
    pub fn mistake(&self, why: impl Into<String>) -> Mistake {
        Mistake { line: Some(self.line), why: why.into() }
    }

    /// The mistake that the value is not what it must be.
    pub fn wrong(&self, must: impl fmt::Display) -> Mistake {
        self.mistake(format!("{} must be {must}", self.key))
    }

    /// The value as a table, which may have these keys.
    pub fn section(self, keys: &[&str]) -> Result<Section<'t>> {
        match self.value {
            Value::Table(entries) => {
                Section { text: self.text, prefix: format!("{}.", self.key), entries }.with_keys(keys)
            }
            _ => Err(self.wrong("a table")),
        }
    }

    pub fn text(&self) -> Result<&str> {
        match &self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.wrong("a string")),
        }
    }

    /// The strings of a list, converted. The reason why `convert` refuses one is reported with its line.
    pub fn texts<T>(&self, convert: impl Fn(&str) -> std::result::Result<T, String>) -> Result<Vec<T>> {
        let wrong = || self.wrong("a list of strings");
        let Value::List(list) = &self.value else { return Err(wrong()) };
        let convert = |item: &Spanned<Value>| {
            let Value::Text(text) = item.get_ref() else { return Err(wrong()) };
            let line = Some(line_of(self.text, item.span().start));
            let refused = |why| Mistake { line, why: format!("{}: {why}", printable(text)) };
            convert(text).map_err(refused)
        };
        list.iter().map(convert).collect()
    }

    pub fn flag(&self) -> Result<bool> {
        match self.value {
            Value::Flag(flag) => Ok(flag),
            _ => Err(self.wrong("true or false")),
        }
    }

    /// A number of whole seconds, at least one.
    pub fn seconds(&self, most: i64) -> Result<Duration> {
        Ok(Duration::from_secs(self.number("a number of seconds", 1..=most)?.unsigned_abs()))
    }

    /// A number within bounds. `what` names it in an error, with its unit.
    pub fn number(&self, what: &str, bounds: RangeInclusive<i64>) -> Result<i64> {
        match self.value {
            Value::Number(number) if bounds.contains(&number) => Ok(number),
            _ => Err(self.wrong(format_args!("{what} from {} to {}", bounds.start(), bounds.end()))),
        }
    }
}

fn unknown_key(prefix: &str, key: &str, keys: &[&str]) -> String {
    let likeness = |known: &str| strsim::jaro_winkler(key, known);
    let nearest = keys.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    let nearest = nearest.map_or(String::new(), |nearest| format!("; did you mean {prefix}{nearest}?"));
    format!("unknown key {prefix}{}{nearest}", printable(key))
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// Keys have positions and values have none: toml 0.8 reports no position for a table that only dotted keys make.
type Table = BTreeMap<Spanned<String>, Value>;

/// A value with the positions of all keys and items in it, which `toml::Value` does not have.
#[derive(Debug)]
enum Value {
    Text(String),
    Number(i64),
    Flag(bool),
    List(Vec<Spanned<Value>>),
    Table(Table),
    /// A number with a fraction, which no setting is.
    Other,
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_i64<E>(self, number: i64) -> std::result::Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_bool<E>(self, flag: bool) -> std::result::Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> std::result::Result<Value, A::Error> {
        let mut table = Table::new();
        while let Some((key, value)) = entries.next_entry()? {
            table.insert(key, value);
        }
        Ok(Value::Table(table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(Vec<String>, i64)> {
        let mut section = Section::parse(text, &["list", "table", "date"])?;
        let letters = |text: &str| match text.bytes().all(|byte| byte.is_ascii_lowercase()) {
            true => Ok(text.to_owned()),
            false => Err("has other letters".to_owned()),
        };
        let list = section.take("list").map_or(Ok(Vec::new()), |setting| setting.texts(letters))?;
        let number = match section.take("table") {
            Some(setting) => {
                let number = setting.section(&["number", "flag"])?.take("number");
                number.map_or(Ok(0), |setting| setting.number("a number", 1..=9))?
            }
            None => 0,
        };
        section.take("date").map_or(Ok(String::new()), |setting| setting.text().map(str::to_owned))?;
        Ok((list, number))
    }

    #[test]
    fn a_mistake_names_its_line_and_what_is_wrong() {
        for (text, line, why) in [
            ("list = [\n 'a',\n 'B',\n]", 3, "B: has other letters"),
            ("list = [\n 'a',\n 3,\n]", 1, "list must be a list of strings"),
            ("list = 'a'", 1, "list must be a list of strings"),
            ("\ntable = 3", 2, "table must be a table"),
            ("[table]\nnumber = 10", 2, "table.number must be a number from 1 to 9"),
            ("[table]\nnumber = 1.5", 2, "table.number must be a number from 1 to 9"),
            ("table = { number = '1' }", 1, "table.number must be a number from 1 to 9"),
            ("[table]\nnumbre = 1", 2, "unknown key table.numbre; did you mean table.number?"),
            ("[table]\nflag = true\n[tabel]", 3, "unknown key tabel; did you mean table?"),
            ("list = []\nlits = 1\na = 1", 2, "unknown key lits; did you mean list?"),
            ("\n\nlist.a = 1", 3, "list must be a list of strings"),
            ("table.numbr.x = 1", 1, "unknown key table.numbr; did you mean table.number?"),
            ("date = 1979-05-27", 1, "no setting is a date or a time"),
            ("\"ta\\u001bble\" = 1", 1, "unknown key ta\\u{1b}ble; did you mean table?"),
        ] {
            let mistake = Mistake { line: Some(line), why: why.to_owned() };
            assert_eq!(parse(text), Err(mistake), "{text}");
        }
        assert_eq!(parse("list = ['a']\ntable.number = 9"), Ok((vec!["a".to_owned()], 9)));
    }
}
