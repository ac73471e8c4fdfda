//! Parsing the beginning of an index file: its size line, and the header that says where everything is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{
    BY_CONTENTS, END, EmptyDirectory, Invalid, MAGIC, Result, SIZE_LINE, SIZE_LINE_DIGITS, Seal,
    SegmentRange, Witness,
};
use crate::checksum::checksum;
use crate::encoding::{find, places, unescape};
use crate::freshness::Stamp;
use crate::limits::{HEADER_SIZE, INDEX_SIZE, WITHOUT_LINES};

/// A file whose length and header are right.
pub(super) struct IndexFile<'a> {
    pub header: &'a str,
    pub body: &'a [u8],
}

impl<'a> IndexFile<'a> {
    pub fn verify(bytes: &'a [u8]) -> Result<Self> {
        let rest = bytes.strip_prefix(MAGIC.as_bytes()).ok_or(Invalid::Version)?;
        let size_line = rest
            .get(..SIZE_LINE)
            .and_then(|line| std::str::from_utf8(line).ok())
            .ok_or(Invalid::Truncated)?;
        let (length, header_length, header_checksum) =
            parse_size_line(size_line).ok_or(Invalid::Corrupt("size line"))?;
        if length != bytes.len() || !bytes.ends_with(END.as_bytes()) {
            return Err(Invalid::Truncated);
        }
        let start = MAGIC.len() + SIZE_LINE;
        if header_length > HEADER_SIZE {
            return Err(Invalid::Corrupt("size of the header"));
        }
        let header = bytes.get(start..header_length).ok_or(Invalid::Corrupt("size line"))?;
        if checksum(header) != header_checksum || !header.ends_with(b"\n") {
            return Err(Invalid::Corrupt("header"));
        }
        let body = bytes.get(header_length..length - END.len()).ok_or(Invalid::Corrupt("size line"))?;
        Ok(Self { header: std::str::from_utf8(header).map_err(|_| Invalid::Corrupt("header"))?, body })
    }

    pub fn segment(&self, range: SegmentRange) -> Result<&'a str> {
        let segment = range
            .offset
            .checked_add(range.length)
            .and_then(|end| self.body.get(range.offset..end))
            .ok_or(Invalid::Corrupt("place of a segment"))?;
        if checksum(segment) != range.checksum || !matches!(segment, [] | [.., b'\n']) {
            return Err(Invalid::Corrupt("segment"));
        }
        std::str::from_utf8(segment).map_err(|_| Invalid::Corrupt("segment"))
    }
}

/// Whether an index of ours is no larger than readers accept.
pub fn is_readable(index: &[u8]) -> bool {
    index.len() as u64 <= INDEX_SIZE && IndexFile::verify(index).is_ok()
}

impl SegmentRange {
    fn parse<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Result<Self> {
        let mut next = || fields.next().ok_or(Invalid::Corrupt("place of a segment"));
        Ok(Self { offset: number(next()?)?, length: number(next()?)?, checksum: number(next()?)? })
    }
}

pub(super) struct Header<'a> {
    pub site: Stamp,
    pub settled: bool,
    pub count: usize,
    pub unsettled: Vec<usize>,
    pub duplicates: Vec<usize>,
    pub opaque: Vec<usize>,
    pub without: Vec<EmptyDirectory<'a>>,
    pub seal: Option<Seal<'a>>,
    pub table: SegmentRange,
    pub order: SegmentRange,
    pub stamps: SegmentRange,
    pub top_level: SegmentRange,
    pub missing: SegmentRange,
    pub requirements: SegmentRange,
    pub contents: SegmentRange,
    /// Segments of a newer program. They are verified, and not used.
    pub unknown: Vec<SegmentRange>,
    pub groups: Vec<(&'a str, SegmentRange)>,
}

impl<'a> Header<'a> {
    pub fn parse(text: &'a str) -> Result<Self> {
        let mut values = BTreeMap::new();
        let mut segments = BTreeMap::new();
        let mut groups = Vec::new();
        let mut without = Vec::new();
        let mut lines = lines(text);
        for line in lines.by_ref() {
            let (key, value) = line.split_once('\t').ok_or(Invalid::Corrupt("header"))?;
            match key {
                "segment" => {
                    let (name, range) = value.split_once('\t').ok_or(Invalid::Corrupt("header"))?;
                    let mut fields = range.split('\t');
                    segments.insert(name, SegmentRange::parse(&mut fields)?);
                    if fields.next().is_some() {
                        return Err(Invalid::Corrupt("place of a segment"));
                    }
                }
                "without" if without.len() == WITHOUT_LINES => return Err(Invalid::Corrupt("without")),
                "without" => without.push(empty_directory(value).ok_or(Invalid::Corrupt("without"))?),
                "groups" => {
                    values.insert(key, value);
                    break;
                }
                _ => drop(values.insert(key, value)),
            }
        }
        for line in lines {
            let mut fields = line.split('\t');
            let range = SegmentRange::parse(&mut fields)?;
            let name = fields.next().filter(|_| fields.next().is_none()).ok_or(Invalid::Corrupt("group"))?;
            if groups.last().is_some_and(|(previous, _)| *previous >= name) {
                return Err(Invalid::Corrupt("order of the groups"));
            }
            groups.push((name, range));
        }
        let value = |key| values.get(key).copied().ok_or(Invalid::Corrupt("header"));
        let rows = |key| match values.get(key) {
            Some(rows) => rows.split(' ').map(number).collect::<Result<Vec<usize>>>(),
            None => Ok(Vec::new()),
        };
        let mut segment = |name| segments.remove(name).ok_or(Invalid::Corrupt("header"));
        if number::<usize>(value("groups")?)? != groups.len() {
            return Err(Invalid::Corrupt("number of groups"));
        }
        Ok(Self {
            site: Stamp::parse(value("site")?, '\t').ok_or(Invalid::Corrupt("site"))?,
            settled: value("settled")? == "yes",
            count: number(value("count")?)?,
            unsettled: rows("unsettled")?,
            duplicates: rows("duplicates")?,
            opaque: rows("opaque")?,
            without,
            seal: match values.get("sealed") {
                Some(value) => Some(seal(value).ok_or(Invalid::Corrupt("sealed"))?),
                None => None,
            },
            table: segment("distributions")?,
            order: segment("order")?,
            stamps: segment("stamps")?,
            top_level: segment("top-level")?,
            missing: segment("missing")?,
            requirements: segment("requirements")?,
            contents: segment("contents")?,
            unknown: segments.into_values().collect(),
            groups,
        })
    }

    /// The length of all segments and groups together.
    pub fn total_length(&self) -> Option<usize> {
        let rows = [self.table, self.order, self.stamps, self.top_level, self.requirements, self.contents];
        let groups = self.groups.iter().map(|(_, range)| *range);
        let others = self.unknown.iter().copied().chain([self.missing]);
        let mut all = rows.into_iter().chain(others).chain(groups);
        all.try_fold(0_usize, |total, range| total.checked_add(range.length))
    }
}

/// Parses the value of a header line `without`.
fn empty_directory(value: &str) -> Option<EmptyDirectory<'_>> {
    let (stamp, path) = value.split_once('\t')?;
    Some(EmptyDirectory { path: unescaped_path(path)?, stamp: Stamp::parse(stamp, ' ')? })
}

/// Parses the value of the header line `sealed`.
fn seal(value: &str) -> Option<Seal<'_>> {
    if value == BY_CONTENTS {
        return Some(Seal::Contents);
    }
    let mut fields = value.split('\t');
    let (time, names) = (number(fields.next()?).ok()?, number(fields.next()?).ok()?);
    let witnesses = fields.map(witness).collect::<Option<_>>()?;
    Some(Seal::Times { time, names, witnesses })
}

fn witness(field: &str) -> Option<Witness<'_>> {
    let mut parts = field.splitn(3, ' ');
    let (time, size, path) = (parts.next()?, parts.next()?, parts.next()?);
    let state = match (time, size) {
        ("-", "-") => None,
        _ => Some((number(time).ok()?, number(size).ok()?)),
    };
    Some(Witness { path: unescaped_path(path)?, state })
}

/// The lengths of file and header, and the checksum of the header.
fn parse_size_line(line: &str) -> Option<(usize, usize, u64)> {
    let mut fields = line.strip_suffix('\n')?.split(' ');
    let mut next = |digits| fields.next().filter(|field| field.len() == digits);
    let [length, header_length, checksum] = SIZE_LINE_DIGITS.map(&mut next);
    Some((number(length?).ok()?, number(header_length?).ok()?, number(checksum?).ok()?))
}

/// The path that is escaped in `text`. `None` if it has a NUL.
fn unescaped_path(text: &str) -> Option<Cow<'_, [u8]>> {
    unescape(text).filter(|path| !path.contains(&0))
}

/// The lines of a text in which every line ends with `\n`. `str::lines` would also remove a `\r`.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut start = 0;
    places(b'\n', text.as_bytes()).map(move |end| &text[std::mem::replace(&mut start, end + 1)..end])
}

/// The fields of a line, with a tab between two.
pub(super) fn fields(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = find(b'\t', text.as_bytes());
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

/// Parses digits alone: Rust's own parser accepts a `+` too.
pub(super) fn number<T: std::str::FromStr>(text: &str) -> Result<T> {
    const WRONG: Invalid = Invalid::Corrupt("number");
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(WRONG);
    }
    text.parse().map_err(|_| WRONG)
}
