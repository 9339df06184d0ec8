//! A look at a request that was not parsed yet: the argument that most likely is its key.

/// Longest key worth a hash ahead of its time, in bytes: what is longer hides no cache miss any more.
const KEY_MAX_BYTES: usize = 256;
/// Most digits of a length that are looked at; what is longer is no key.
const DIGITS_MAX: usize = 8;

/// The first argument behind the command's name, which for nearly every command is its first key. None where the input is not a
/// multibulk request with such an argument in full. Nothing depends on it but what is prefetched.
#[inline]
pub fn peek_key(input: &[u8]) -> Option<&[u8]> {
    let (_, rest) = header(input, b'*')?;
    let (name_bytes, rest) = header(rest, b'$')?;
    let (key_bytes, rest) = header(rest.get(name_bytes + 2..)?, b'$')?;
    rest.get(..key_bytes).filter(|_| key_bytes <= KEY_MAX_BYTES)
}

/// The number of a header line, and what follows the line.
#[inline]
fn header(input: &[u8], mark: u8) -> Option<(usize, &[u8])> {
    let digits = input.strip_prefix(&[mark])?;
    let mut number = 0;
    for (index, byte) in digits.iter().enumerate().take(DIGITS_MAX + 1) {
        match byte {
            b'0'..=b'9' => number = number * 10 + usize::from(byte - b'0'),
            b'\r' => return Some((number, digits.get(index + 2..)?)),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_argument_behind_the_name() {
        assert_eq!(peek_key(b"*2\r\n$3\r\nGET\r\n$5\r\nabcde\r\n"), Some(&b"abcde"[..]));
        assert_eq!(peek_key(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\nxx"), Some(&b"k"[..]));
    }

    #[test]
    fn leaves_alone_what_is_not_whole_or_not_multibulk() {
        let whole = b"*2\r\n$3\r\nGET\r\n$5\r\nabcde\r\n";
        for length in 0..whole.len() - 2 {
            assert_eq!(peek_key(&whole[..length]), None, "{length} bytes of it");
        }
        for other in
            [&b"GET key\r\n"[..], b"*1\r\n$4\r\nPING\r\n", b"*2\r\n$-1\r\n", b"*2\r\n$999999999999999999999\r\n"]
        {
            assert_eq!(peek_key(other), None, "{}", String::from_utf8_lossy(other));
        }
        let long = [b"*2\r\n$3\r\nGET\r\n$300\r\n".as_slice(), &[b'x'; 300], b"\r\n"].concat();
        assert_eq!(peek_key(&long), None);
    }
}
