//! Takes out of texts what differs from run to run and from compiler to compiler.

/// Paths of handover files without the name of their folder: a sum of their content, which differs from
/// compiler to compiler.
pub fn without_content(text: &str) -> String {
    let short = |part: &str| match part.split_at_checked(16) {
        Some((sum, rest)) if sum.bytes().all(|byte| byte.is_ascii_hexdigit()) => format!("…{rest}"),
        _ => part.to_owned(),
    };
    text.split("/handover/").map(short).collect::<Vec<_>>().join("/handover/")
}

/// `✓ shop: 2 started in 0.3 s` without the number.
pub fn without_time(line: &str) -> String {
    let Some((start, end)) = line.split_once(" in ") else { return line.to_owned() };
    let number = end.split(' ').next().unwrap_or_default();
    match end
        .strip_prefix(number)
        .filter(|rest| rest.starts_with(" s") && number.parse::<f64>().is_ok())
    {
        Some(rest) => format!("{start} in TIME{rest}"),
        None => line.to_owned(),
    }
}
