//! Rendering an [`Index`] to the bytes of its file.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;

use super::header::lines;
use super::{
    BY_CONTENTS, END, Index, MAGIC, OPAQUE, ORDER_LINE, Parsed, SIZE_LINE, SIZE_LINE_DIGITS, Seal,
    SegmentRange,
};
use crate::checksum::checksum;
use crate::encoding::{escape, push_number};
use crate::freshness::Stamp;
use crate::metadata::entry_points::is_plainly_a_reference;
use crate::metadata::{Contents, Distribution, Fingerprint, Identity};

/// The bytes of the index file. The same distributions and stamps give the same bytes.
pub fn render(index: &Index<'_>) -> Vec<u8> {
    render_over(index, None)
}

/// The same bytes, made faster: the lines of distributions that both indexes share are copied from the old one.
pub fn render_over(index: &Index<'_>, old: Option<&Parsed<'_>>) -> Vec<u8> {
    let groups = groups(&index.distributions);
    let mut body = Body::default();
    let [of_table, of_stamps, of_top_level, of_requirements, of_contents] =
        old.map_or([None; 5], |old| old.lines.map(|segment| Some((&old.index, segment))));
    let table = body.append(|text| rows_over(text, index, of_table, distribution));
    let group_ranges: Vec<(&str, SegmentRange)> = groups
        .iter()
        .map(|(group, records)| {
            (*group, body.append(|text| records.iter().for_each(|record| record.render(text))))
        })
        .collect();
    let order = body.append(|text| {
        for row in &index.distributions {
            let mut digits = itoa::Buffer::new();
            let digits = digits.format(row.position);
            text.extend(std::iter::repeat_n('0', (ORDER_LINE - 1).saturating_sub(digits.len())));
            text.push_str(digits);
            text.push('\n');
        }
    });
    let stamps = body.append(|text| rows_over(text, index, of_stamps, stamps));
    let top_level = body.append(|text| rows_over(text, index, of_top_level, top_level));
    let missing = body.append(|text| {
        for (number, row) in index.distributions.iter().enumerate() {
            if !row.top_level.missing.is_empty() {
                let _ = writeln!(text, "{number}\t{}", row.top_level.missing);
            }
        }
    });
    let requirements = body.append(|text| rows_over(text, index, of_requirements, requirements));
    let contents = body.append(|text| rows_over(text, index, of_contents, contents));

    let mut header = String::new();
    let Stamp { mtime, ctime, inode, size } = index.site;
    let _ = writeln!(header, "site\t{mtime}\t{ctime}\t{inode}\t{size}");
    let _ = writeln!(header, "settled\t{}", if index.settled { "yes" } else { "no" });
    let _ = writeln!(header, "count\t{}", index.distributions.len());
    rows(&mut header, "unsettled", index, |row| !row.settled);
    rows(&mut header, "duplicates", index, is_duplicate(&index.distributions));
    rows(&mut header, "opaque", index, |row| row.entry_points.is_none());
    if let Some(seal) = &index.seal {
        sealed(&mut header, seal);
    }
    for directory in &index.without {
        header.push_str("without\t");
        directory.stamp.spell(&mut header);
        header.push('\t');
        escape(&mut header, &directory.path);
        header.push('\n');
    }
    for (name, range) in [
        ("distributions", table),
        ("order", order),
        ("stamps", stamps),
        ("top-level", top_level),
        ("missing", missing),
        ("requirements", requirements),
        ("contents", contents),
    ] {
        let _ = writeln!(header, "segment\t{name}\t{}\t{}\t{}", range.offset, range.length, range.checksum);
    }
    let _ = writeln!(header, "groups\t{}", group_ranges.len());
    for (group, range) in group_ranges {
        let _ = writeln!(header, "{}\t{}\t{}\t{group}", range.offset, range.length, range.checksum);
    }

    let header_length = MAGIC.len() + SIZE_LINE + header.len();
    let length = header_length + body.text.len() + END.len();
    let [a, b, c] = SIZE_LINE_DIGITS;
    let size_line = format!("{length:0a$} {header_length:0b$} {:0c$}\n", checksum(header.as_bytes()));
    // Without a copy of the body, which may be large.
    let mut text = body.text;
    text.insert_str(0, &[MAGIC, &size_line, &header].concat());
    text.push_str(END);
    text.into_bytes()
}

/// An entry point in the list of its group.
struct Record<'a> {
    row: usize,
    /// Its position among all entry points of its file.
    position: usize,
    name: &'a str,
    value: &'a str,
}

impl Record<'_> {
    fn render(&self, text: &mut String) {
        push_number(text, self.row);
        text.push('\t');
        push_number(text, self.position);
        for field in [self.name, self.value] {
            text.push('\t');
            text.push_str(field);
        }
        text.push('\n');
    }
}

/// The records of each group, sorted by its name.
fn groups<'a>(distributions: &'a [Rc<Distribution<'_>>]) -> Vec<(&'a str, Vec<Record<'a>>)> {
    let mut groups = HashMap::<&str, Vec<Record<'_>>>::new();
    for (row, distribution) in distributions.iter().enumerate() {
        for (position, entry) in distribution.entry_points.iter().flatten().enumerate() {
            let record = Record { row, position, name: &entry.name, value: &entry.value };
            groups.entry(&entry.group).or_default().push(record);
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_unstable_by_key(|(group, _)| *group);
    groups
}

/// Adds a line for each distribution: that of the old index where it is the same one, or what `spell` makes.
fn rows_over(
    text: &mut String,
    index: &Index<'_>,
    old: Option<(&Index<'_>, &str)>,
    spell: impl Fn(&mut String, &Distribution<'_>),
) {
    let known = old.into_iter().flat_map(|(old, segment)| old.distributions.iter().zip(lines(segment)));
    let mut known = known.peekable();
    for row in &index.distributions {
        let is_row = |(other, _): &(&Rc<Distribution<'_>>, &str)| Rc::ptr_eq(other, row);
        let line = known.next_if(is_row).or_else(|| {
            while known.next_if(|(other, _)| other.file_name < row.file_name).is_some() {}
            known.next_if(is_row)
        });
        match line {
            Some((_, line)) => text.push_str(line),
            None => spell(text, row),
        }
        text.push('\n');
    }
}

fn stamps(text: &mut String, row: &Distribution<'_>) {
    row.stamps.itself.spell(text);
    text.push('\t');
    optional(text, row.stamps.metadata);
    text.push('\t');
    optional(text, row.stamps.entry_points);
}

fn top_level(text: &mut String, row: &Distribution<'_>) {
    optional(text, row.stamps.top_level);
    text.push('\t');
    optional(text, row.stamps.files);
    for field in [row.top_level.kind.word(), &row.top_level.names, &row.top_level.python_names] {
        text.push('\t');
        text.push_str(field);
    }
}

fn requirements(text: &mut String, row: &Distribution<'_>) {
    text.push_str(row.requirements.as_deref().unwrap_or(OPAQUE));
}

fn contents(text: &mut String, row: &Distribution<'_>) {
    let Contents { metadata, entry_points } = row.contents;
    for (file, end) in [(metadata, "\t"), (entry_points, "")] {
        match file {
            Some(Fingerprint { length, hash }) => {
                push_number(text, length);
                text.push(' ');
                push_number(text, hash);
            }
            None => text.push('-'),
        }
        text.push_str(end);
    }
}

fn distribution(text: &mut String, row: &Distribution<'_>) {
    escape(text, &row.file_name);
    text.push('\t');
    let nothing = Identity::default();
    let identity = row.identity.as_ref().unwrap_or(&nothing);
    for (flag, set) in [
        ('e', row.entry_points.is_none()),
        ('c', row.entry_points.is_some() && row.configparser_differs),
        ('r', row.entry_points.iter().flatten().any(|entry| !is_plainly_a_reference(&entry.value))),
        ('m', row.identity.is_none()),
        ('n', row.identity.is_some() && identity.name.is_none()),
        ('v', row.identity.is_some() && identity.version.is_none()),
    ] {
        if set {
            text.push(flag);
        }
    }
    for field in [&row.key, &identity.name, &identity.version] {
        text.push('\t');
        text.push_str(field.as_deref().unwrap_or_default());
    }
}

/// Whether another row may have the same name: of those, only the one listed first counts.
fn is_duplicate<'a>(distributions: &'a [Rc<Distribution<'_>>]) -> impl Fn(&Distribution<'_>) -> bool + 'a {
    let mut seen = HashMap::<&str, usize>::with_capacity(distributions.len());
    for key in distributions.iter().filter_map(|row| row.key.as_deref()) {
        *seen.entry(key).or_default() += 1;
    }
    // Without a key only the reader knows the name.
    move |row| row.key.as_deref().is_none_or(|key| seen.get(key).is_some_and(|count| *count > 1))
}

/// Adds a header line with the numbers of all rows for which `is` holds, if there are any.
fn rows(header: &mut String, name: &str, index: &Index<'_>, is: impl Fn(&Distribution<'_>) -> bool) {
    let mut separator = '\t';
    for (number, _) in index.distributions.iter().enumerate().filter(|(_, row)| is(row)) {
        if separator == '\t' {
            header.push_str(name);
        }
        let _ = write!(header, "{separator}{number}");
        separator = ' ';
    }
    if separator == ' ' {
        header.push('\n');
    }
}

fn sealed(header: &mut String, seal: &Seal<'_>) {
    let Seal::Times { time, names, witnesses } = seal else {
        let _ = writeln!(header, "sealed\t{BY_CONTENTS}");
        return;
    };
    let _ = write!(header, "sealed\t{time}\t{names}");
    for witness in witnesses {
        match witness.state {
            Some((time, size)) => drop(write!(header, "\t{time} {size} ")),
            None => header.push_str("\t- - "),
        }
        escape(header, &witness.path);
    }
    header.push('\n');
}

fn optional(text: &mut String, stamp: Option<Stamp>) {
    match stamp {
        Some(stamp) => stamp.spell(text),
        None => text.push('-'),
    }
}

/// The segments, one after the other.
#[derive(Default)]
struct Body {
    text: String,
}

impl Body {
    fn append(&mut self, fill: impl FnOnce(&mut String)) -> SegmentRange {
        let offset = self.text.len();
        fill(&mut self.text);
        let segment = &self.text.as_bytes()[offset..];
        SegmentRange { offset, length: segment.len(), checksum: checksum(segment) }
    }
}
