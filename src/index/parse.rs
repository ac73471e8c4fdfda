//! Parsing the bytes of an index file to an [`Index`] that borrows from them.
//!
//! Every length, offset, row and checksum is verified. A user who can write the file must not be able to do
//! more than make it useless.

use std::borrow::Cow;
use std::rc::Rc;

use super::header::{Header, IndexFile, fields, lines, number};
use super::{Index, Invalid, OPAQUE, ORDER_LINE, Parsed, Result};
use crate::encoding::{find, unescape};
use crate::freshness::Stamp;
use crate::limits::{ALL_ENTRY_POINTS, DISTRIBUTIONS, ENTRY_POINT_COST};
use crate::metadata::headers::are_requirements;
use crate::metadata::name::is_distribution;
use crate::metadata::top_level::{Kind, TopLevel};
use crate::metadata::{Contents, Distribution, EntryPoint, Fingerprint, Identity, Stamps};

/// The most entry points that an index has: each takes so much of the budget.
const MAX_RECORDS: usize = ALL_ENTRY_POINTS / ENTRY_POINT_COST;
/// The shortest line of the table: the shortest suffix of a distribution, four tabs and the end.
const TABLE_LINE: usize = ".egg-info".len() + 5;

/// The rows, which are not shared yet.
type Rows<'a> = Vec<Rc<Distribution<'a>>>;

/// Parses a whole index.
///
/// Anything that is not exactly an intact index of this version is refused.
pub fn parse(bytes: &[u8]) -> Result<Index<'_>> {
    parse_with_lines(bytes).map(|parsed| parsed.index)
}

/// The same, with the lines that [`render_over`](super::render_over) copies.
pub fn parse_with_lines(bytes: &[u8]) -> Result<Parsed<'_>> {
    let file = IndexFile::verify(bytes)?;
    let header = Header::parse(file.header)?;
    // Segments that overlap could hold more entry points than there is memory for.
    if header.total_length().is_none_or(|length| length > file.body.len()) {
        return Err(Invalid::Corrupt("place of a segment"));
    }
    // What is not understood must be intact all the same, as for the reader in Python.
    header.unknown.iter().try_for_each(|range| file.segment(*range).map(drop))?;
    let segments = [
        file.segment(header.table)?,
        file.segment(header.stamps)?,
        file.segment(header.top_level)?,
        file.segment(header.requirements)?,
        file.segment(header.contents)?,
    ];
    let mut distributions = table(&file, &header, segments)?;
    groups(&file, &header, &mut distributions)?;
    let Header { site, settled, without, seal, .. } = header;
    Ok(Parsed { index: Index { site, settled, distributions, without, seal }, lines: segments })
}

fn table<'a>(file: &IndexFile<'a>, header: &Header<'_>, segments: [&'a str; 5]) -> Result<Rows<'a>> {
    const WRONG: Invalid = Invalid::Corrupt("table of distributions");
    let [table, stamps_of_rows, names_of_rows, requirements_of_rows, contents_of_rows] = segments;
    let mut stamp_lines = lines(stamps_of_rows);
    let mut top_level_lines = lines(names_of_rows);
    let mut requirements_lines = lines(requirements_of_rows);
    let mut contents_lines = lines(contents_of_rows);
    let mut order_lines = file.segment(header.order)?.as_bytes().chunks(ORDER_LINE);
    // A forged count takes no more memory than the table.
    let mut distributions = Rows::with_capacity(header.count.min(table.len() / TABLE_LINE));
    for line in lines(table) {
        let mut fields = fields(line);
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
        let has = |flag| flags.as_bytes().contains(&flag);
        let field = |absent, text| (!has(absent)).then_some(Cow::Borrowed(text));
        let identity = Identity { name: field(b'n', name), version: field(b'v', version) };
        let mut stamps = stamp_lines.next().and_then(stamps).ok_or(Invalid::Corrupt("stamps"))?;
        if distributions.len() == DISTRIBUTIONS {
            return Err(Invalid::Corrupt("number of distributions"));
        }
        let top_level = top_level_lines.next().and_then(|line| top_level(line, &mut stamps));
        let requirements = requirements_lines
            .next()
            .map(|line| (line != OPAQUE).then_some(Cow::Borrowed(line)))
            .filter(|line| line.as_deref().is_none_or(are_requirements))
            .ok_or(Invalid::Corrupt("requirements"))?;
        let contents = contents_lines.next().and_then(contents).ok_or(Invalid::Corrupt("contents"))?;
        let position = order_lines.next().and_then(position).ok_or(Invalid::Corrupt("order"))?;
        distributions.push(Rc::new(Distribution {
            file_name,
            position,
            key: (!key.is_empty()).then_some(Cow::Borrowed(key)),
            identity: (!has(b'm')).then_some(identity),
            requirements,
            entry_points: (!has(b'e')).then(Vec::new),
            configparser_differs: has(b'c') && !has(b'e'),
            top_level: top_level.ok_or(Invalid::Corrupt("top-level"))?,
            stamps,
            contents,
            settled: true,
        }));
    }
    let mut more = stamp_lines.chain(top_level_lines).chain(requirements_lines).chain(contents_lines);
    if distributions.len() != header.count || more.next().is_some() {
        return Err(WRONG);
    }
    if order_lines.next().is_some() {
        return Err(Invalid::Corrupt("order"));
    }
    for row in &header.unsettled {
        Rc::make_mut(distributions.get_mut(*row).ok_or(WRONG)?).settled = false;
    }
    for line in lines(file.segment(header.missing)?) {
        let (row, names) = line.split_once('\t').ok_or(Invalid::Corrupt("missing"))?;
        let row = distributions.get_mut(number::<usize>(row)?).ok_or(Invalid::Corrupt("missing"))?;
        Rc::make_mut(row).top_level.missing =
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

fn groups<'a>(file: &IndexFile<'a>, header: &Header<'a>, distributions: &mut Rows<'a>) -> Result<()> {
    const WRONG: Invalid = Invalid::Corrupt("group");
    // Entries are stored by group. Those that come before one that precedes them in their file have to wait for it.
    let mut early = Vec::new();
    let mut count = 0;
    for (group, range) in &header.groups {
        for line in lines(file.segment(*range)?) {
            let mut fields = fields(line);
            let mut next = || fields.next().ok_or(WRONG);
            let (row, position) = (number::<usize>(next()?)?, number::<usize>(next()?)?);
            let entry = EntryPoint { group: (*group).into(), name: next()?.into(), value: next()?.into() };
            if fields.next().is_some() {
                return Err(WRONG);
            }
            // They take more memory than their lines.
            if count == MAX_RECORDS {
                return Err(Invalid::Corrupt("number of entry points"));
            }
            count += 1;
            let entries = entries_of(distributions, row)?;
            if position == entries.len() {
                add(entries, entry);
            } else {
                early.push((row, position, entry));
            }
        }
    }
    early.sort_unstable_by_key(|(row, position, _)| (*row, *position));
    for (row, position, entry) in early {
        let entries = entries_of(distributions, row)?;
        if position != entries.len() {
            return Err(WRONG);
        }
        add(entries, entry);
    }
    Ok(())
}

fn entries_of<'r, 'a>(distributions: &'r mut Rows<'a>, row: usize) -> Result<&'r mut Vec<EntryPoint<'a>>> {
    const WRONG: Invalid = Invalid::Corrupt("group");
    let distribution = distributions.get_mut(row).ok_or(WRONG)?;
    Rc::make_mut(distribution).entry_points.as_mut().ok_or(WRONG)
}

fn add<'a>(entries: &mut Vec<EntryPoint<'a>>, entry: EntryPoint<'a>) {
    if entries.is_empty() {
        // Mostly it is the only one.
        entries.reserve_exact(1);
    }
    entries.push(entry);
}

/// Parses a line of the segment `order`, with its end.
fn position(line: &[u8]) -> Option<u32> {
    let (b'\n', digits) = line.split_last().filter(|_| line.len() == ORDER_LINE)? else { return None };
    number(std::str::from_utf8(digits).ok()?).ok()
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

fn contents(line: &str) -> Option<Contents> {
    let (metadata, entry_points) = line.split_once('\t')?;
    Some(Contents { metadata: fingerprint(metadata)?, entry_points: fingerprint(entry_points)? })
}

fn fingerprint(field: &str) -> Option<Option<Fingerprint>> {
    if field == "-" {
        return Some(None);
    }
    let (length, hash) = field.split_once(' ')?;
    Some(Some(Fingerprint { length: number(length).ok()?, hash: number(hash).ok()? }))
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
    let mut fields = fields(&line[line.len() - rest.len()..]);
    let word = fields.next()?;
    let (kind, _) = *Kind::WORDS.iter().find(|(_, of_kind)| *of_kind == word)?;
    let mut names = || fields.next().and_then(names_field);
    let names = TopLevel { kind, names: names()?, python_names: names()?, ..TopLevel::NONE };
    fields.next().is_none().then_some(names)
}

/// A field of escaped names, if all of them are well-formed.
fn names_field(names: &str) -> Option<Cow<'_, str>> {
    let is_text = |name: &str| unescape(name).is_some_and(|name| std::str::from_utf8(&name).is_ok());
    (find(b'%', names.as_bytes()).is_none() || names.split(' ').all(is_text)).then_some(Cow::Borrowed(names))
}
