// SPDX-License-Identifier: Apache-2.0
//! Points in time, as certificates and callers give them. There is no clock here.

/// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted (POSIX time).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(pub i64);

impl UnixTime {
    /// 9999-12-31T23:59:59Z, which RFC 5280 (4.1.2.5) gives to a certificate
    /// without a well-defined expiration date: no caller's time is after it.
    pub const NO_EXPIRATION: Self = Self(253_402_300_799);

    /// Reads the contents of a UTCTime, `YYMMDDHHMMSSZ`: years 1950 to 2049
    /// (RFC 5280, 4.1.2.5.1).
    pub fn from_utc_time(text: &[u8]) -> Option<Self> {
        let [y, rest @ ..] = <&[u8; 13]>::try_from(text).ok()?;
        let century = if *y < b'5' { *b"20" } else { *b"19" };
        let mut full = [century[0], century[1], *y, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        if let Some(end) = full.last_chunk_mut() {
            *end = *rest;
        }
        Self::from_generalized_time(&full)
    }

    /// Reads the contents of a GeneralizedTime, `YYYYMMDDHHMMSSZ`, without
    /// fractions of a second (RFC 5280, 4.1.2.5.2).
    pub fn from_generalized_time(text: &[u8]) -> Option<Self> {
        let (digits, b"Z") = text.split_at_checked(14)? else { return None };
        let mut fields = [0; 7];
        for (field, pair) in fields.iter_mut().zip(digits.chunks_exact(2)) {
            *field = match *pair {
                [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
                    i32::from(tens - b'0') * 10 + i32::from(ones - b'0')
                }
                _ => return None,
            };
        }
        let [century, year, month, day, hour, minute, second] = fields;
        let year = century * 100 + year;
        let valid = (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        let second_of_day = (hour * 60 + minute) * 60 + second;
        valid.then(|| {
            Self(i64::from(days_since_1970(year, month, day)) * 86_400 + i64::from(second_of_day))
        })
    }
}

const fn days_in_month(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts years from March on, so that the leap day is a year's last.
const fn days_since_1970(year: i32, month: i32, day: i32) -> i32 {
    // One Gregorian cycle more keeps January of the year 0 positive.
    const MARCH_OF_YEAR_0_TO_1970: i32 = 719_468 + 146_097;
    let march_year = year + 400 - if month <= 2 { 1 } else { 0 };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    march_year * 365 + march_year / 4 - march_year / 100 + march_year / 400 + day_of_year
        - MARCH_OF_YEAR_0_TO_1970
}

#[cfg(test)]
mod tests {
    use super::UnixTime;

    #[test]
    fn reads_both_forms_as_date_does() {
        // Seconds from `date -u -d ... +%s`.
        for (text, seconds) in [
            ("700101000000Z", 0),
            ("500101000000Z", -631_152_000),
            ("491231235959Z", 2_524_607_999),
            ("000229120000Z", 951_825_600),
            ("261123081530Z", 1_795_421_730),
        ] {
            assert_eq!(UnixTime::from_utc_time(text.as_bytes()), Some(UnixTime(seconds)), "{text}");
        }
        for (text, seconds) in [
            ("19700101000000Z", 0),
            ("20500101000000Z", 2_524_608_000),
            ("20000301000000Z", 951_868_800),
            ("21000301000000Z", 4_107_542_400),
            ("00000101000000Z", -62_167_219_200),
            ("99991231235959Z", UnixTime::NO_EXPIRATION.0),
        ] {
            let read = UnixTime::from_generalized_time(text.as_bytes());
            assert_eq!(read, Some(UnixTime(seconds)), "{text}");
        }
    }

    #[test]
    fn refuses_what_rfc_5280_does_not_allow() {
        for text in [
            "",
            "7001010000Z",
            "700101000000",
            "700101000000z",
            "700101000000+0000",
            "700101000060Z",
            "700101006000Z",
            "700101240000Z",
            "700100000000Z",
            "700132000000Z",
            "700001000000Z",
            "701301000000Z",
            "700229000000Z",
            "010229000000Z",
            "70010100000 Z",
            "19700101000000Z",
        ] {
            assert_eq!(UnixTime::from_utc_time(text.as_bytes()), None, "{text}");
        }
        for text in [
            "700101000000Z",
            "19700101000000.5Z",
            "197001010000Z",
            "19700101000000",
            "21000229000000Z",
            "20230230000000Z",
            "19700101000000+00",
        ] {
            assert_eq!(UnixTime::from_generalized_time(text.as_bytes()), None, "{text}");
        }
        assert!(UnixTime::from_generalized_time(b"20000229000000Z").is_some());
    }
}
