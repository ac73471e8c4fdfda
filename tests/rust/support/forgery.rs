//! Indexes as an attacker makes them: with any content, and correct checksums.

/// Corrects the size line and the checksum of the header, and those of the segments where they are found.
pub fn with_right_checks(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.split_inclusive('\n');
    let (magic, size_line) = (lines.next()?, lines.next()?);
    let mut header = String::new();
    let mut groups = None;
    for line in lines.by_ref() {
        if groups == Some(0) {
            break;
        }
        header.push_str(line);
        match &mut groups {
            Some(left) => *left -= 1,
            None => groups = line.strip_prefix("groups\t").and_then(|count| count.trim().parse::<u32>().ok()),
        }
        if groups == Some(0) {
            break;
        }
    }
    let body = text.get(magic.len() + size_line.len() + header.len()..)?;
    let sealed = |line: &str| -> Option<String> {
        let mut fields: Vec<String> = line.split('\t').map(str::to_owned).collect();
        let first = fields.iter().position(|field| field.parse::<usize>().is_ok())?;
        let offset: usize = fields.get(first)?.parse().ok()?;
        let length: usize = fields.get(first + 1)?.parse().ok()?;
        let segment = body.as_bytes().get(offset..offset.checked_add(length)?)?;
        let place = fields.get_mut(first + 2)?;
        let end = if place.ends_with('\n') { "\n" } else { "" };
        *place = format!("{}{end}", checksum(segment));
        Some(fields.join("\t"))
    };
    let is_place =
        |line: &str| line.starts_with("segment\t") || line.starts_with(|c: char| c.is_ascii_digit());
    let header: String = header
        .split_inclusive('\n')
        .map(|line| if is_place(line) { sealed(line).unwrap_or(line.to_owned()) } else { line.to_owned() })
        .collect();
    let header_length = magic.len() + size_line.len() + header.len();
    let length = header_length + body.len();
    let size_line = format!("{length:012} {header_length:010} {:010}\n", checksum(header.as_bytes()));
    Some([magic, &size_line, &header, body].concat().into_bytes())
}

/// The definition of the checksum, a byte at a time.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| (value * 256 + u64::from(*byte)) % 1_073_741_789)
}
