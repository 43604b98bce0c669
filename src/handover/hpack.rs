//! Which answers of HTTP/2 are `text/event-stream`, told from their compressed fields (RFC 7541): the
//! first one on a connection spells it out, and the next ones refer to it by a number.
//!
//! Follows how many fields the server has had its client remember, and decodes none of them.

/// `text/event-stream`, as it is and in the code of RFC 7541, appendix B: there up to the last whole byte.
const EVENTS: [&[u8]; 2] =
    [b"text/event-stream", &[0x49, 0x7c, 0xa5, 0x82, 0xf7, 0x2d, 0x49, 0x59, 0x09, 0xb0, 0xa3]];
/// Fields of the static table.
const STATIC: u64 = 61;
const CONTENT_TYPE: u64 = 31;

/// What one side has had the other one remember.
#[derive(Clone, Copy, Debug)]
pub struct DynamicTable {
    remembered: u64,
    /// The field that says so, by how many were remembered with it; 0 for none.
    events: u64,
    lost: bool,
}

impl DynamicTable {
    /// Before the first answer.
    pub const NEW: DynamicTable = DynamicTable { remembered: 0, events: 0, lost: false };

    /// Whether these fields say that events follow. They have to be all of a message.
    pub fn name_events(&mut self, mut block: &[u8]) -> bool {
        let mut found = false;
        while !self.lost && !block.is_empty() {
            let Some((rest, events)) = self.field(block) else {
                self.lost = true;
                return false;
            };
            found |= events;
            block = rest;
        }
        found
    }

    /// Fields went past that nobody saw whole.
    pub fn lose(&mut self) {
        self.lost = true;
    }

    /// One field, and what follows it.
    fn field<'a>(&mut self, block: &'a [u8]) -> Option<(&'a [u8], bool)> {
        let first = *block.first()?;
        if first & 0x80 != 0 {
            let (index, rest) = number(block, 7)?;
            let remembered = index.checked_sub(STATIC + 1);
            let which = remembered.and_then(|back| self.remembered.checked_sub(back));
            return Some((rest, self.events != 0 && which == Some(self.events)));
        }
        if first & 0xe0 == 0x20 {
            return number(block, 5).map(|(_, rest)| (rest, false));
        }
        let remember = first & 0x40 != 0;
        let (index, rest) = number(block, if remember { 6 } else { 4 })?;
        let (name, rest) = if index == 0 { string(rest)? } else { (&[][..], rest) };
        let (value, rest) = string(rest)?;
        let named = index == CONTENT_TYPE || name.eq_ignore_ascii_case(b"content-type");
        let events = (named || index > STATIC) && EVENTS.iter().any(|text| value.starts_with(text));
        if remember {
            self.remembered += 1;
            if events {
                self.events = self.remembered;
            }
        }
        Some((rest, events))
    }
}

/// A number whose first byte leaves it so many bits (section 5.1).
fn number(bytes: &[u8], bits: u32) -> Option<(u64, &[u8])> {
    let (first, mut rest) = bytes.split_first()?;
    let most = (1_u64 << bits) - 1;
    let mut value = u64::from(*first) & most;
    let mut shift = 0;
    while value >= most {
        let (byte, after) = rest.split_first()?;
        rest = after;
        if shift > 28 {
            return None;
        }
        value = value.checked_add(u64::from(byte & 0x7f) << shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some((value, rest))
}

/// A text (section 5.2), as it was sent.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = number(bytes, 7)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_spells_it_out_and_the_next_ones_refer_to_it() {
        // As the Python package hpack sends them, with Huffman's code and without.
        let coded: [(&[u8], bool); 3] = [
            (b"\x88\x5f\x8c\x49\x7c\xa5\x82\xf7\x2d\x49\x59\x09\xb0\xa3\xa7\x61\x81\xf3", true),
            (b"\x88\x5f\x87\x49\x7c\xa5\x89\xd3\x4d\x1f", false),
            (b"\x88\xc0\xbf", true),
        ];
        let plain: [(&[u8], bool); 3] = [
            (b"\x88\x5f\x11text/event-stream\x61\x01x", true),
            (b"\x88\x40\x03x-a\x01b", false),
            (b"\x88\xc0", true),
        ];
        for answers in [coded, plain] {
            let mut fields = DynamicTable::NEW;
            for (block, events) in answers {
                assert_eq!(fields.name_events(block), events, "{}", block.escape_ascii());
            }
            // The number of another field.
            assert!(!fields.name_events(b"\x88\xbe"));
        }
    }

    #[test]
    fn a_field_that_is_not_remembered_and_one_with_its_whole_name() {
        let mut fields = DynamicTable::NEW;
        assert!(fields.name_events(b"\x0f\x10\x11text/event-stream"));
        assert!(fields.name_events(b"\x00\x0ccontent-type\x11text/event-stream"));
        assert!(!fields.name_events(b"\x00\x03x-a\x11text/event-stream"));
        assert!(!fields.name_events(b"\xbe"), "nothing was remembered");
        // A change of the table's size comes first.
        assert!(fields.name_events(b"\x3f\xe1\x1f\x5f\x11text/event-stream"));
        assert!(fields.name_events(b"\xbe"));
    }

    #[test]
    fn what_is_cut_is_lost_for_good() {
        for cut in [&b"\x5f\x11text"[..], b"\x5f", b"\xff\xff\xff\xff\xff\xff\xff"] {
            let mut fields = DynamicTable::NEW;
            assert!(!fields.name_events(cut), "{}", cut.escape_ascii());
            assert!(!fields.name_events(b"\x88\x5f\x11text/event-stream"));
        }
    }
}
