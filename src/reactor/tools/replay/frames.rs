//! Replies as bytes: where one ends, and what it looks like without an order that means nothing.

/// The end of the frame that begins the bytes; nothing while it is not complete. O(length).
///
/// Errors: these bytes begin no frame.
pub fn end_of_frame(bytes: &[u8]) -> Result<Option<usize>, String> {
    let (mut at, mut left) = (0, 1_u64);
    while left > 0 {
        let Some((head, body_at)) = head_at(bytes, at)? else {
            return Ok(None);
        };
        left -= 1;
        at = body_at;
        match head {
            Head::Line => {}
            Head::Bulk(length) => at = at.saturating_add(length).saturating_add(2),
            Head::Aggregate(count) => left = left.saturating_add(count),
        }
        if at > bytes.len() {
            return Ok(None);
        }
    }
    Ok(Some(at))
}

enum Head {
    Line,
    /// So many bytes follow, and a line end.
    Bulk(usize),
    /// So many frames follow.
    Aggregate(u64),
}

/// The head at a place, and where its line ends.
fn head_at(bytes: &[u8], at: usize) -> Result<Option<(Head, usize)>, String> {
    let Some(length) = memchr::memchr(b'\n', &bytes[at..]) else {
        return Ok(None);
    };
    let line = &bytes[at..at + length];
    let number = || {
        let text = std::str::from_utf8(line.get(1..).unwrap_or_default()).unwrap_or_default().trim_end();
        text.parse::<i64>().map_err(|_| format!("no length: {}", line.escape_ascii()))
    };
    let head = match line.first() {
        Some(b'$' | b'=' | b'!') => match number()? {
            length @ 0.. => Head::Bulk(length as usize),
            _ => Head::Line,
        },
        Some(b'*' | b'~' | b'>') => Head::Aggregate(number()?.max(0) as u64),
        Some(b'%') => Head::Aggregate(number()?.max(0) as u64 * 2),
        // A map of attributes, and the frame that they belong to.
        Some(b'|') => Head::Aggregate(number()?.max(0) as u64 * 2 + 1),
        Some(b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(') => Head::Line,
        _ => return Err(format!("no reply: {}", line.escape_ascii())),
    };
    Ok(Some((head, at + length + 1)))
}

/// Takes all complete frames from the front of the bytes.
///
/// Errors: the bytes are no frames.
pub fn take_frames(bytes: &mut Vec<u8>) -> Result<Vec<Vec<u8>>, String> {
    let (mut frames, mut at) = (Vec::new(), 0);
    while at < bytes.len()
        && let Some(length) = end_of_frame(&bytes[at..])?
    {
        frames.push(bytes[at..at + length].to_vec());
        at += length;
    }
    bytes.drain(..at);
    Ok(frames)
}

/// An array, set or map with its elements sorted, `width` frames making up one. Anything else stays as it is.
pub fn sorted(frame: &[u8], width: usize) -> Vec<u8> {
    let is_aggregate = matches!(frame.first(), Some(b'*' | b'~' | b'%'));
    let Some((true, Ok(Some((_, mut at))))) = Some((is_aggregate, head_at(frame, 0))) else {
        return frame.to_vec();
    };
    let mut result = frame[..at].to_vec();
    let mut elements = Vec::new();
    while at < frame.len() {
        let start = at;
        for _ in 0..width {
            let Ok(Some(length)) = end_of_frame(&frame[at..]) else { break };
            at += length;
        }
        if at == start {
            return frame.to_vec();
        }
        elements.push(&frame[start..at]);
    }
    elements.sort_unstable();
    result.extend(elements.concat());
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_ends_where_its_last_part_does() {
        let frames: &[&str] = &[
            "+OK\r\n",
            ":1\r\n",
            "$3\r\na\nb\r\n",
            "$-1\r\n",
            "$0\r\n\r\n",
            "*-1\r\n",
            "*0\r\n",
            "*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
            "%1\r\n+a\r\n~1\r\n,1.5\r\n",
            "|1\r\n+a\r\n+b\r\n:7\r\n",
            ">2\r\n+a\r\n_\r\n",
            "=7\r\ntxt:abc\r\n",
        ];
        for frame in frames {
            for end in 0..frame.len() {
                assert_eq!(end_of_frame(&frame.as_bytes()[..end]), Ok(None), "{frame:?} up to {end}");
            }
            assert_eq!(end_of_frame(format!("{frame}+next\r\n").as_bytes()), Ok(Some(frame.len())), "{frame:?}");
        }
        for bad in ["hello\r\n", "$x\r\n", "*\r\n", "\r\n"] {
            assert!(end_of_frame(bad.as_bytes()).is_err(), "{bad:?}");
        }
        let mut bytes = b"+a\r\n:1\r\n$5\r\nab".to_vec();
        assert_eq!(take_frames(&mut bytes), Ok(vec![b"+a\r\n".to_vec(), b":1\r\n".to_vec()]));
        assert_eq!(bytes, b"$5\r\nab");
    }

    #[test]
    fn an_unending_depth_is_no_stack() {
        assert_eq!(end_of_frame("*1\r\n".repeat(1_000_000).as_bytes()), Ok(None));
        assert_eq!(end_of_frame(b"*9223372036854775807\r\n*9223372036854775807\r\n"), Ok(None));
        assert_eq!(end_of_frame(b"$9223372036854775807\r\n"), Ok(None));
    }

    #[test]
    fn elements_are_sorted_alone_or_in_pairs() {
        let flat = b"*4\r\n+d\r\n+1\r\n+a\r\n+2\r\n";
        assert_eq!(sorted(flat, 1), b"*4\r\n+1\r\n+2\r\n+a\r\n+d\r\n");
        assert_eq!(sorted(flat, 2), b"*4\r\n+a\r\n+2\r\n+d\r\n+1\r\n");
        assert_eq!(sorted(b"%2\r\n+d\r\n+1\r\n+a\r\n+2\r\n", 2), b"%2\r\n+a\r\n+2\r\n+d\r\n+1\r\n");
        assert_eq!(sorted(b"+b\r\n", 1), b"+b\r\n");
        assert_eq!(sorted(b"*-1\r\n", 1), b"*-1\r\n");
    }
}
