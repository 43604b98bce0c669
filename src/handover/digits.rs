//! Numbers in the digits of headers, variables and the kernel's tables. It never takes a sign, a
//! blank or a number that does not fit for one.

/// A number in decimal digits; `None` where there is anything else, or nothing.
pub fn decimal(digits: &[u8]) -> Option<u64> {
    number(digits, 10)
}

/// A number in hexadecimal digits; `None` where there is anything else, or nothing.
pub fn hexadecimal(digits: &[u8]) -> Option<u64> {
    number(digits, 16)
}

fn number(digits: &[u8], base: u32) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, byte| {
        let digit = char::from(*byte).to_digit(base)?;
        sum.checked_mul(u64::from(base))?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_digits_that_fit_is_a_number() {
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(hexadecimal(b"1aF"), Some(0x1af));
        for other in [&b""[..], b"+1", b"-1", b" 1", b"1 ", b"0x1", b"18446744073709551616"] {
            assert_eq!(decimal(other), None, "{}", other.escape_ascii());
        }
        assert_eq!(hexadecimal(b"g"), None);
    }
}
