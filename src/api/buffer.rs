//! Bytes of a request or an answer that may hold a secret.

use std::io;

use axum::body::Bytes;
use zeroize::Zeroizing;

/// Grows without leaving copies behind, and is wiped when dropped.
///
/// Why not a `Vec`? Its old allocation goes back unwiped whenever it grows. What lies in the buffers of the connection
/// and of the TLS library is out of reach here.
#[derive(Debug, Default)]
pub(crate) struct Buffer(Zeroizing<Vec<u8>>);

impl Buffer {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut grown = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two().max(SMALLEST)));
            grown.extend_from_slice(&self.0);
            self.0 = grown;
        }
        self.0.extend_from_slice(bytes);
    }

    /// The same bytes as a body, still wiped when the last part of it is dropped.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self.0)
    }

    /// The same bytes as text; `None` where they are not UTF-8.
    pub(crate) fn into_text(mut self) -> Option<Zeroizing<String>> {
        match String::from_utf8(std::mem::take(&mut self.0)) {
            Ok(text) => Some(Zeroizing::new(text)),
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                None
            }
        }
    }
}

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const SMALLEST: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_comes_out_whole() {
        let mut buffer = Buffer::default();
        for _ in 0..1000 {
            buffer.push("grüß".as_bytes());
        }
        assert_eq!(buffer.into_text().unwrap().as_str(), "grüß".repeat(1000));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let mut buffer = Buffer::default();
        buffer.push(&[0xff]);
        assert!(buffer.into_text().is_none());
    }
}
