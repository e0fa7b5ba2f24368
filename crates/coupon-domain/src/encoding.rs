//! `enc(x, ..)`: for each field a u32 big-endian length, then the bytes; integers big-endian. What is hashed is encoded so, so that no two
//! lists of fields look alike.

/// Builds an encoding field by field.
#[derive(Debug, Default)]
pub(crate) struct Encoder(Vec<u8>);

/// As many bytes as most encodings have, so that one allocation does.
const USUAL: usize = 128;

impl Encoder {
    /// Begins with a label, as every encoding does.
    pub(crate) fn labelled(label: &str) -> Self {
        Self(Vec::with_capacity(USUAL)).field(label.as_bytes())
    }

    pub(crate) fn field(mut self, bytes: &[u8]) -> Self {
        // No field of ours comes near 4 GiB.
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn number(self, number: u64) -> Self {
        self.field(&number.to_be_bytes())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
