//! Numbers of payment cards.

use super::values::Found;

/// A bare card number: the digits of a maker, and the check sum.
pub(super) fn is_card(found: &Found<'_>) -> bool {
    let digits: Vec<u8> =
        found.value().bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
    let number =
        |n: usize| digits.iter().take(n).fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit));
    let length = digits.len();
    let made = match number(2) {
        40..=49 => matches!(length, 13 | 16 | 19),
        51..=55 | 22..=27 | 35 => length == 16,
        34 | 37 => length == 15,
        30 | 36 | 38 | 39 => length == 14,
        60 | 62 | 64 | 65 => (16..=19).contains(&length),
        _ => false,
    };
    made && luhn(&digits)
}

/// The check sum of payment cards.
pub(in super::super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| u32::from(*digit) << (at % 2))
        .map(|digit| if digit > 9 { digit - 9 } else { digit })
        .sum();
    sum.is_multiple_of(10)
}
