//! Parsing the bytes of an index file to an [`Index`] that borrows from them.
//!
//! Every length, offset, row and checksum is verified. A user who can write the file must not be able to do
//! more than make it useless.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use super::{
    END, EmptyDirectory, Index, MAGIC, ORDER_LINE, SIZE_LINE, SIZE_LINE_DIGITS, Seal, SegmentRange, Witness,
};
use crate::encoding::{checksum, unescape};
use crate::freshness::Stamp;
use crate::metadata::name::is_distribution;
use crate::metadata::top_level::{Kind, TopLevel};
use crate::metadata::{Distribution, EntryPoint, Identity, Stamps};

/// Why bytes are not an intact index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    /// Of another version, or not an index at all.
    Version,
    /// Without its end mark, or of another length than it records.
    Truncated,
    /// A checksum is wrong, or a line is malformed.
    Corrupt(&'static str),
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version => f.write_str("not an index of format version 1"),
            Self::Truncated => f.write_str("truncated"),
            Self::Corrupt(what) => write!(f, "corrupt ({what})"),
        }
    }
}

type Result<T> = std::result::Result<T, Invalid>;

/// Parses a whole index.
///
/// Anything that is not exactly an intact index of this version is refused.
pub fn parse(bytes: &[u8]) -> Result<Index<'_>> {
    let file = IndexFile::verify(bytes)?;
    let header = Header::parse(file.header)?;
    // Segments that overlap could hold more entry points than there is memory for.
    if header.total_length().is_none_or(|length| length > file.body.len()) {
        return Err(Invalid::Corrupt("place of a segment"));
    }
    let mut distributions = table(&file, &header)?;
    groups(&file, &header, &mut distributions)?;
    order(file.segment(header.order)?, &mut distributions)?;
    let Header { site, settled, without, seal, .. } = header;
    Ok(Index { site, settled, distributions, without, seal })
}

/// A file whose length and header are right.
struct IndexFile<'a> {
    header: &'a str,
    body: &'a [u8],
}

impl<'a> IndexFile<'a> {
    fn verify(bytes: &'a [u8]) -> Result<Self> {
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
        let header = bytes.get(start..header_length).ok_or(Invalid::Corrupt("size line"))?;
        if checksum(header) != header_checksum || !header.ends_with(b"\n") {
            return Err(Invalid::Corrupt("header"));
        }
        let body = bytes.get(header_length..length - END.len()).ok_or(Invalid::Corrupt("size line"))?;
        Ok(Self { header: std::str::from_utf8(header).map_err(|_| Invalid::Corrupt("header"))?, body })
    }

    fn segment(&self, range: SegmentRange) -> Result<&'a str> {
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

impl SegmentRange {
    fn parse<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Result<Self> {
        let mut next = || fields.next().ok_or(Invalid::Corrupt("place of a segment"));
        Ok(Self { offset: number(next()?)?, length: number(next()?)?, checksum: number(next()?)? })
    }
}

struct Header<'a> {
    site: Stamp,
    settled: bool,
    count: usize,
    unsettled: Vec<usize>,
    duplicates: Vec<usize>,
    opaque: Vec<usize>,
    without: Vec<EmptyDirectory<'a>>,
    seal: Option<Seal<'a>>,
    table: SegmentRange,
    order: SegmentRange,
    stamps: SegmentRange,
    top_level: SegmentRange,
    missing: SegmentRange,
    groups: Vec<(&'a str, SegmentRange)>,
}

impl<'a> Header<'a> {
    fn parse(text: &'a str) -> Result<Self> {
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
        let segment = |name| segments.get(name).copied().ok_or(Invalid::Corrupt("header"));
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
            groups,
        })
    }
}

impl Header<'_> {
    /// The length of all segments and groups together.
    fn total_length(&self) -> Option<usize> {
        let segments = [self.table, self.order, self.stamps, self.top_level, self.missing];
        let groups = self.groups.iter().map(|(_, range)| *range);
        segments.into_iter().chain(groups).try_fold(0_usize, |total, range| total.checked_add(range.length))
    }
}

fn table<'a>(file: &IndexFile<'a>, header: &Header<'_>) -> Result<Vec<Distribution<'a>>> {
    const WRONG: Invalid = Invalid::Corrupt("table of distributions");
    let mut stamp_lines = lines(file.segment(header.stamps)?);
    let mut top_level_lines = lines(file.segment(header.top_level)?);
    let mut distributions: Vec<Distribution<'a>> = Vec::new();
    for line in lines(file.segment(header.table)?) {
        let mut fields = line.split('\t');
        let mut next = || fields.next().ok_or(WRONG);
        let file_name = unescape(next()?).ok_or(WRONG)?;
        let (flags, key, name, version) = (next()?, next()?, next()?, next()?);
        // A forged name must lead neither out of the site directory nor to anything but a distribution.
        let leads_away = file_name.iter().any(|byte| matches!(byte, b'/' | 0));
        if fields.next().is_some() || leads_away || !is_distribution(&file_name) {
            return Err(WRONG);
        }
        if distributions.last().is_some_and(|previous| *previous.file_name >= *file_name) {
            return Err(WRONG);
        }
        let field = |absent, text| (!flags.contains(absent)).then_some(Cow::Borrowed(text));
        let identity = Identity { name: field('n', name), version: field('v', version) };
        let mut stamps = stamp_lines.next().and_then(stamps).ok_or(Invalid::Corrupt("stamps"))?;
        let top_level = top_level_lines.next().and_then(|line| top_level(line, &mut stamps));
        distributions.push(Distribution {
            file_name,
            position: 0,
            key: (!key.is_empty()).then_some(Cow::Borrowed(key)),
            identity: (!flags.contains('m')).then_some(identity),
            entry_points: (!flags.contains('e')).then(Vec::new),
            configparser_differs: flags.contains('c') && !flags.contains('e'),
            top_level: top_level.ok_or(Invalid::Corrupt("top-level"))?,
            stamps,
            settled: true,
        });
    }
    let mut more = stamp_lines.chain(top_level_lines);
    if distributions.len() != header.count || more.next().is_some() {
        return Err(WRONG);
    }
    for row in &header.unsettled {
        distributions.get_mut(*row).ok_or(WRONG)?.settled = false;
    }
    for line in lines(file.segment(header.missing)?) {
        let (row, names) = line.split_once('\t').ok_or(Invalid::Corrupt("missing"))?;
        let row = distributions.get_mut(number::<usize>(row)?).ok_or(Invalid::Corrupt("missing"))?;
        row.top_level.missing =
            names_field(names).filter(|names| !names.contains('\t')).ok_or(Invalid::Corrupt("missing"))?;
    }
    let opaque = distributions.iter().enumerate().filter(|(_, row)| row.entry_points.is_none());
    if !opaque.map(|(row, _)| row).eq(header.opaque.iter().copied()) {
        return Err(Invalid::Corrupt("opaque"));
    }
    if header.duplicates.iter().any(|row| *row >= distributions.len()) {
        return Err(Invalid::Corrupt("duplicates"));
    }
    Ok(distributions)
}

fn groups<'a>(
    file: &IndexFile<'a>,
    header: &Header<'a>,
    distributions: &mut [Distribution<'a>],
) -> Result<()> {
    const WRONG: Invalid = Invalid::Corrupt("group");
    let mut records = Vec::new();
    for (group, range) in &header.groups {
        for line in lines(file.segment(*range)?) {
            let mut fields = line.split('\t');
            let mut next = || fields.next().ok_or(WRONG);
            let (row, position) = (number::<usize>(next()?)?, number::<usize>(next()?)?);
            let entry = EntryPoint { group: (*group).into(), name: next()?.into(), value: next()?.into() };
            if fields.next().is_some() {
                return Err(WRONG);
            }
            records.push((row, position, entry));
        }
    }
    // Restores the order of each file, since entries are stored by group.
    records.sort_unstable_by_key(|(row, position, _)| (*row, *position));
    for (row, position, entry) in records {
        let distribution = distributions.get_mut(row).ok_or(WRONG)?;
        let entries = distribution.entry_points.as_mut().ok_or(WRONG)?;
        if position != entries.len() {
            return Err(WRONG);
        }
        entries.push(entry);
    }
    Ok(())
}

fn order(segment: &str, distributions: &mut [Distribution<'_>]) -> Result<()> {
    const WRONG: Invalid = Invalid::Corrupt("order");
    if Some(segment.len()) != distributions.len().checked_mul(ORDER_LINE) {
        return Err(WRONG);
    }
    for (line, row) in lines(segment).zip(distributions) {
        if line.len() + 1 != ORDER_LINE {
            return Err(WRONG);
        }
        row.position = number(line)?;
    }
    Ok(())
}

fn stamps(line: &str) -> Option<Stamps> {
    let mut rest = line.as_bytes();
    let mut next = || optional(&mut rest);
    let (itself, metadata, entry_points) = (next()??, next()?, next()?);
    (rest.is_empty() && !line.ends_with('\t')).then_some(Stamps {
        itself,
        metadata,
        entry_points,
        top_level: None,
        files: None,
    })
}

/// Takes a stamp or `-` from the beginning of `rest`, with the tab behind it.
fn optional(rest: &mut &[u8]) -> Option<Option<Stamp>> {
    let stamp = match rest.split_first() {
        Some((b'-', behind)) if matches!(behind, [] | [b'\t', ..]) => {
            *rest = behind;
            None
        }
        _ => Some(Stamp::take(rest, b' ')?),
    };
    match rest.split_first() {
        None => {}
        Some((b'\t', behind)) => *rest = behind,
        Some(_) => return None,
    }
    Some(stamp)
}

/// Parses a line of the segment `top-level`. The names stay escaped.
fn top_level<'a>(line: &'a str, stamps: &mut Stamps) -> Option<TopLevel<'a>> {
    let mut rest = line.as_bytes();
    stamps.top_level = optional(&mut rest)?;
    stamps.files = optional(&mut rest)?;
    let mut fields = line[line.len() - rest.len()..].split('\t');
    let word = fields.next()?;
    let (kind, _) = *Kind::WORDS.iter().find(|(_, of_kind)| *of_kind == word)?;
    let mut names = || fields.next().and_then(names_field);
    let names = TopLevel { kind, names: names()?, python_names: names()?, ..TopLevel::NONE };
    fields.next().is_none().then_some(names)
}

/// A field of escaped names, if all of them are well-formed.
fn names_field(names: &str) -> Option<Cow<'_, str>> {
    let is_text = |name: &str| unescape(name).is_some_and(|name| std::str::from_utf8(&name).is_ok());
    (!names.contains('%') || names.split(' ').all(is_text)).then_some(Cow::Borrowed(names))
}

/// Parses the value of a header line `without`.
fn empty_directory(value: &str) -> Option<EmptyDirectory<'_>> {
    let (stamp, path) = value.split_once('\t')?;
    Some(EmptyDirectory { path: unescaped_path(path)?, stamp: Stamp::parse(stamp, ' ')? })
}

/// Parses the value of the header line `sealed`.
fn seal(value: &str) -> Option<Seal<'_>> {
    let mut fields = value.split('\t');
    let (time, names) = (number(fields.next()?).ok()?, number(fields.next()?).ok()?);
    let witnesses = fields.map(witness).collect::<Option<_>>()?;
    Some(Seal { time, names, witnesses })
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

/// The lines of a text in which every line ends with `\n`. `str::lines` would also remove a `\r`.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_terminator('\n')
}

/// The lengths of file and header, and the checksum of the header.
fn parse_size_line(line: &str) -> Option<(usize, usize, u64)> {
    let mut fields = line.strip_suffix('\n')?.split(' ');
    let mut next = |digits| fields.next().filter(|field| field.len() == digits);
    let [length, header_length, checksum] = SIZE_LINE_DIGITS.map(&mut next);
    Some((number(length?).ok()?, number(header_length?).ok()?, number(checksum?).ok()?))
}

/// Parses digits alone: Rust's own parser accepts a `+` too.
fn number<T: std::str::FromStr>(text: &str) -> Result<T> {
    const WRONG: Invalid = Invalid::Corrupt("number");
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(WRONG);
    }
    text.parse().map_err(|_| WRONG)
}

/// An escaped path, which holds no NUL.
fn unescaped_path(text: &str) -> Option<Cow<'_, [u8]>> {
    unescape(text).filter(|path| !path.contains(&0))
}
