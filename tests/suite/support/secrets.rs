//! Shapes of secrets, made at run time: no file of the project holds one.
//!
//! The shapes are lines of text files, whose form is said in `secrets/development.txt`.

mod held_out;

pub use held_out::held_out;

/// One secret in its usual surroundings.
pub struct Shape {
    /// What kind of secret it is.
    pub family: &'static str,
    /// The line that it is made from.
    pub name: &'static str,
    /// The text that holds the secret.
    pub text: String,
    /// What must not come out.
    pub secret: Vec<String>,
}

/// The shapes that redaction was developed with.
pub fn development() -> Vec<Shape> {
    shapes(include_str!("secrets/development.txt"))
}

/// All shapes, those with them that were kept away while redaction was developed.
pub fn all() -> Vec<Shape> {
    [development(), held_out()].into_iter().flatten().collect()
}

/// So many characters of `alphabet`, the same for the same seed.
pub fn chance(seed: u64, alphabet: &str, len: usize) -> String {
    Chance::of(&format!("held out {seed}")).draw(alphabet, len)
}

/// Lines that hold no secret.
pub fn ordinary() -> Vec<&'static str> {
    include_str!("secrets/ordinary.txt").lines().filter(|line| !line.starts_with('#')).collect()
}

/// The shapes that `lines` describe.
pub fn shapes(lines: &'static str) -> Vec<Shape> {
    lines
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" | "))
        .map(|(family, name)| {
            let mut chance = Chance::of(name);
            let mut secret = Vec::new();
            let mut text = String::new();
            for (at, part) in name.split(['‹', '›']).enumerate() {
                if at % 2 == 0 {
                    text.push_str(part);
                } else {
                    text.push_str(&chance.part(part, &mut secret));
                }
            }
            Shape { family, name, text: text.replace('⏎', "\n").replace('⇥', "\t"), secret }
        })
        .collect()
}

const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";

/// Chance that is the same each time.
pub struct Chance(u64);

impl Chance {
    /// The chance that belongs to `name`.
    pub fn of(name: &str) -> Self {
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    /// `length` characters of `alphabet`.
    pub fn draw(&mut self, alphabet: &str, length: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..length).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }

    fn part(&mut self, kind: &str, secret: &mut Vec<String>) -> String {
        let (kind, rest) = kind.split_at(1);
        let length = rest.parse().unwrap_or(0);
        let alphabet = match kind {
            "=" => return rest.to_owned(),
            "m" => [UPPER, LOWER, DIGITS].concat(),
            "u" => [UPPER, DIGITS].concat(),
            "l" => [LOWER, DIGITS].concat(),
            "h" => [DIGITS, "abcdef"].concat(),
            "H" => [DIGITS, "ABCDEF"].concat(),
            "b" => [UPPER, LOWER, DIGITS, "+/"].concat(),
            "s" => [UPPER, LOWER, DIGITS, "-_"].concat(),
            "d" => DIGITS.to_owned(),
            "B" => [UPPER, "234567"].concat(),
            "p" => self.password(),
            "w" => self.word(),
            "q" => self.composed(),
            "j" => return self.web_token(secret),
            "k" => return self.key_body(length, secret),
            "c" => self.card(),
            "e" => self.address(),
            other => panic!("unknown kind {other}"),
        };
        let made = if matches!(kind, "p" | "w" | "q" | "c" | "e") {
            alphabet
        } else {
            self.draw(&alphabet, length)
        };
        secret.push(made.clone());
        made
    }

    fn word(&mut self) -> String {
        const WORDS: [&str; 12] = [
            "kestrel", "moon", "harbour", "violet", "granite", "sunday", "pepper", "lantern",
            "otter", "marble", "winter", "cobalt",
        ];
        format!("{}{}", WORDS[self.below(12)], WORDS[self.below(12)])
    }

    fn password(&mut self) -> String {
        let mut word = self.word();
        word[..1].make_ascii_uppercase();
        let (sign, digits) = (self.draw("!*-+$^~#", 1), self.draw(DIGITS, 3));
        format!("{word}{sign}{digits}")
    }

    /// A password as `Otter-Bay-7`, which a name could be as well.
    fn composed(&mut self) -> String {
        let (one, two) = (self.word(), self.word());
        let sign = self.draw("-_.", 1);
        let words = [one, two].map(|word| word[..1].to_uppercase() + &word[1..5]);
        format!("{}{sign}{}", words.join(&sign), self.draw(DIGITS, 2))
    }

    fn web_token(&mut self, secret: &mut Vec<String>) -> String {
        let alphabet = [UPPER, LOWER, DIGITS, "-_"].concat();
        let parts: Vec<String> =
            [30, 80, 43].iter().map(|length| self.draw(&alphabet, *length)).collect();
        secret.extend(parts.iter().cloned());
        format!("eyJ{}.eyJ{}.{}", parts[0], parts[1], parts[2])
    }

    fn key_body(&mut self, lines: usize, secret: &mut Vec<String>) -> String {
        let alphabet = [UPPER, LOWER, DIGITS, "+/"].concat();
        let lines: Vec<String> = (0..lines).map(|_| self.draw(&alphabet, 64)).collect();
        secret.extend(lines.iter().cloned());
        lines.join("\n")
    }

    fn card(&mut self) -> String {
        let start = format!("4{}", self.draw(DIGITS, 14));
        let last = (0..10).map(|last| format!("{start}{last}")).find(|number| luhn(number));
        let number = last.unwrap();
        [&number[..4], &number[4..8], &number[8..12], &number[12..]].join(" ")
    }

    fn address(&mut self) -> String {
        format!("{}.{}@{}.example", self.word(), self.draw(LOWER, 3), self.word())
    }
}

fn luhn(number: &str) -> bool {
    let digits = number.bytes().rev().map(|digit| u32::from(digit - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(at, digit)| if at % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 })
        .sum();
    sum.is_multiple_of(10)
}
