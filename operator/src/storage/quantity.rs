//! Amounts of storage, compared. Pure.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Whether one quantity is less than another; `false` when either cannot be read, so that nothing is grown by mistake.
pub(super) fn less(one: &Quantity, other: &Quantity) -> bool {
    matches!((bytes(one), bytes(other)), (Some(one), Some(other)) if one < other)
}

/// A quantity of storage in thousandths of a byte
/// (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>).
fn bytes(quantity: &Quantity) -> Option<i128> {
    let text = quantity.0.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let unit = unit(suffix)?;
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let digits = &fraction[..fraction.len().min(18)];
    let part: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let scale = 10_i128.checked_pow(u32::try_from(digits.len()).ok()?)?;
    whole.checked_mul(unit)?.checked_add(part.checked_mul(unit)? / scale)
}

/// The value of a suffix, in thousandths.
fn unit(suffix: &str) -> Option<i128> {
    let unit = match suffix {
        "m" => return Some(1),
        "" => 1,
        "k" => 1000,
        "M" => 1000_i128.pow(2),
        "G" => 1000_i128.pow(3),
        "T" => 1000_i128.pow(4),
        "P" => 1000_i128.pow(5),
        "E" => 1000_i128.pow(6),
        "Ki" => 1024,
        "Mi" => 1024_i128.pow(2),
        "Gi" => 1024_i128.pow(3),
        "Ti" => 1024_i128.pow(4),
        "Pi" => 1024_i128.pow(5),
        "Ei" => 1024_i128.pow(6),
        exponent => 10_i128.checked_pow(exponent.strip_prefix(['e', 'E'])?.trim_start_matches('+').parse().ok()?)?,
    };
    Some(unit * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(text: &str) -> Quantity {
        Quantity(text.to_owned())
    }

    #[test]
    fn quantities_compare_across_their_notations() {
        for (less_one, more) in [("1Gi", "2Gi"), ("1G", "1Gi"), ("1023Mi", "1Gi"), ("1.4Gi", "1.5Gi"), ("5e8", "1G")] {
            assert!(less(&quantity(less_one), &quantity(more)), "{less_one} < {more}");
            assert!(!less(&quantity(more), &quantity(less_one)), "{more} < {less_one}");
        }
        for (one, other) in [("1Gi", "1024Mi"), ("1.5Gi", "1536Mi"), ("1k", "1000"), ("1e3", "1k"), ("1000m", "1")] {
            assert_eq!(bytes(&quantity(one)), bytes(&quantity(other)), "{one} = {other}");
        }
        for bad in ["", "x", "1Zi", "1.x"] {
            assert!(bad.is_empty() || bytes(&quantity(bad)).is_none(), "{bad}");
        }
    }
}
